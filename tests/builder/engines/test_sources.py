"""What an engine gets: every image by its digest, lines where they were."""

from __future__ import annotations

from pathlib import Path

import pytest

from oakum.builder import BuildRequest, Images, read_dockerfile
from oakum.builder.engines.sources import Outline, Pins, pinned
from oakum.dockerfile import Lock, LockedBase
from oakum.oci import Digest
from oakum.store import Store
from oakum.transport import RegistryOptions

A, B = Digest("sha256:" + "a" * 64), Digest("sha256:" + "b" * 64)
HOST = "127.0.0.1:1"
"""Where no registry is: all that is known is what the lock has."""


def pins_of(store: Store, place: Path, *lines: str, **more: object) -> Pins:
    (place / "Dockerfile").write_text("\n".join(lines) + "\n")
    request = BuildRequest(place, **more)  # type: ignore[arg-type]
    bases = (
        LockedBase(f"{HOST}/a:1", str(request.platform), A),
        LockedBase(f"{HOST}/b", str(request.platform), B),
    )
    outline = Outline(read_dockerfile(request), request)
    return pinned(outline, Images(store, RegistryOptions()), Lock(bases))


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ((f"FROM {HOST}/a:1",), (f"FROM {HOST}/a@{A}",)),
        ((f"FROM {HOST}/a:1 AS x", "FROM x"), (f"FROM {HOST}/a@{A} AS x", "FROM x")),
        (
            ("ARG TAG=1", "FROM --platform=linux/amd64 \\", f"  {HOST}/a:$TAG AS x"),
            ("ARG TAG=1", "FROM --platform=linux/amd64 \\", f"  {HOST}/a@{A} AS x"),
        ),
        (("FROM scratch", "COPY x /"), ("FROM scratch", "COPY x /")),
        (
            ("FROM scratch", f"COPY --chmod=644 --from={HOST}/b /x {HOST}/b"),
            ("FROM scratch", f"COPY --chmod=644 --from={HOST}/b@{B} /x {HOST}/b"),
        ),
        (
            (
                f"FROM {HOST}/a:1",
                f"RUN --mount=from={HOST}/b,target=/b \\",
                f"  echo from={HOST}/b",
            ),
            (
                f"FROM {HOST}/a@{A}",
                f"RUN --mount=from={HOST}/b@{B},target=/b \\",
                f"  echo from={HOST}/b",
            ),
        ),
        ((f"FROM {HOST}/a:1 AS a", "FROM scratch"), (f"FROM {HOST}/a:1 AS a", "FROM scratch")),
    ],
)
def test_images_are_named_by_digest(
    lines: tuple[str, ...], expected: tuple[str, ...], store: Store, tmp_path: Path
) -> None:
    pins = pins_of(store, tmp_path, *lines)
    assert pins.text.decode() == "\n".join(expected) + "\n"
    assert pins.loose == ()


def test_what_no_registry_answers_for_is_left_and_told(store: Store, tmp_path: Path) -> None:
    pins = pins_of(store, tmp_path, f"FROM {HOST}/unknown:3")
    assert pins.text.decode() == f"FROM {HOST}/unknown:3\n"
    assert pins.loose == (f"{HOST}/unknown:3",)
    assert pins.bases == ()


def test_named_contexts_are_pinned_where_they_are_images(store: Store, tmp_path: Path) -> None:
    contexts = {"a": f"docker-image://{HOST}/a:1", "d": str(tmp_path), "l": "oci-layout:///x:1"}
    lines = ("FROM a", "COPY --from=d /x /", "COPY --from=l /x /")
    pins = pins_of(store, tmp_path, *lines, contexts=contexts)
    assert pins.text.decode() == "\n".join(lines) + "\n"
    assert pins.contexts == {**contexts, "a": f"docker-image://{HOST}/a@{A}"}
    assert [base.image for base in pins.bases] == [f"{HOST}/a:1"]
