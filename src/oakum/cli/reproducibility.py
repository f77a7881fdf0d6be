"""What ``build --verify-reproducible`` says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from oakum.builder import BuildRequest, Built
    from oakum.errors import ProofFailed
    from oakum.progress import Progress
    from oakum.store import Store
    from oakum.transport import RegistryOptions
    from oakum.verbs import Reproducibility


def verify_builds(
    store: Store,
    request: BuildRequest,
    built: Sequence[Built],
    registry: RegistryOptions,
    progress: Progress,
) -> tuple[Reproducibility, ...]:
    """Each of the images compared with one that is built again."""
    import msgspec

    from oakum.verbs import verify_reproducible

    found = []
    for one in built:
        platform = request.platform if len(built) == 1 else one.image.config.platform
        again = msgspec.structs.replace(request, platform=platform)
        found.append(
            verify_reproducible(store, again, first=one, registry=registry, progress=progress)
        )
    return tuple(found)


def not_reproducible(checked: tuple[Reproducibility, ...], *, shown: bool) -> ProofFailed:
    """The error for images that differ; what differs is printed if it is to be `shown`."""
    from oakum.cli.output import say
    from oakum.errors import ProofFailed

    if shown:
        say("\n".join(line for one in checked for line in _lines(one)))
    count = sum(len(one.differences) + one.more for one in checked)
    place = "stand above" if shown else "are in the JSON result"
    return ProofFailed(
        f"two builds of the same sources gave different images ({count} differences)",
        f"nothing was named, written or pushed; the differences {place}, with advice",
        checked,
    )


def verified(checked: Sequence[Reproducibility]) -> str:
    """What is said of images that came out the same."""
    lines = []
    for one in checked:
        lines.append(f"built again, the same: {one.digest}")
        lines += [f"not varied: {text}" for text in one.not_varied]
    return "\n".join(lines)


def _lines(one: Reproducibility) -> Iterator[str]:
    """A report in the manner of diffoscope: by step, then by path."""
    if one.identical:
        return
    yield f"{one.platform}: {one.digest} and {one.other_digest}"
    step = None
    for item in one.differences:
        if (item.stage, item.line, item.step) != step:
            step = (item.stage, item.line, item.step)
            note = " (perhaps since an earlier step differs)" if item.follows else ""
            yield f"line {item.line} [{item.stage}] {item.step[:120]}{note}"
        cause = "" if item.cause == "unknown" else f" ({item.cause})"
        what = f": {item.detail}" if item.detail else ""
        yield f"  {item.path or 'the layer'}: {', '.join(item.aspects)}{what}{cause}"
        yield from (f"    {text}" for text in item.excerpt)
        yield f"    advice: {item.advice}"
    if one.more:
        yield f"  and {one.more} more"
    yield from (f"not varied: {text}" for text in one.not_varied)
