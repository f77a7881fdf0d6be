"""New versions written where the old ones stand, every other byte kept."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from oakum.dockerfile.edits import Edit, NotEditable, apply_edits
from oakum.dockerfile.instruction import Dockerfile
from oakum.dockerfile.mentions import Mention, mentions
from oakum.dockerfile.parse import parse_dockerfile
from oakum.dockerfile.scope import Given
from oakum.dockerfile.shape import allows, distribute, shaped
from oakum.dockerfile.text import Span
from oakum.dockerfile.trace import Segment

_VERSION = re.compile(r"(?:[0-9]+:)?[0-9A-Za-z][0-9A-Za-z.+~-]*")


class Wanted(msgspec.Struct, frozen=True):
    """A version that a mention is to get."""

    mention: Mention
    version: str


class Refused(msgspec.Struct, frozen=True):
    """A version that cannot be written into the file."""

    mention: Mention
    version: str
    reason: str
    hint: str


class VersionPlan(msgspec.Struct, frozen=True):
    """Edits that have been tried: the edited file was read again and names what was wanted."""

    edits: tuple[Edit, ...]
    refused: tuple[Refused, ...]
    also: tuple[Wanted, ...]
    """Mentions that were not asked for and get another version, as they share a variable."""
    unchanged: tuple[Wanted, ...]
    """Wanted ones that the file allows already: the same version, or a glob that takes it."""


def set_version(
    dockerfile: Dockerfile, mention: Mention, version: str, given: Given | None = None
) -> tuple[Edit, ...]:
    """The edits that let the mention's line install `version`; none where it does already.

    `given` as it was for the mention.  Raises `NotEditable`.
    """
    plan = set_versions(dockerfile, [Wanted(mention, version)], given)
    if plan.refused:
        raise NotEditable(plan.refused[0].reason, plan.refused[0].hint)
    return plan.edits


def set_versions(
    dockerfile: Dockerfile, wanted: Sequence[Wanted], given: Given | None = None
) -> VersionPlan:
    """The edits for several mentions at once; those that cannot be had are refused."""
    given = given or Given()
    refused: list[Refused] = []
    edits: dict[Wanted, tuple[Edit, ...]] = {}
    for one in wanted:
        try:
            edits[one] = _edits(dockerfile, one)
        except NotEditable as error:
            refused.append(Refused(one.mention, one.version, error.what, error.todo))
    for one, reason in _conflicts(edits).items():
        hint = "give each its own variable, or write the version at each package"
        refused.append(Refused(one.mention, one.version, reason, hint))
        del edits[one]
    while True:
        every = tuple(dict.fromkeys(edit for some in edits.values() for edit in some))
        wrong, also = _tried(dockerfile, every, list(edits), given)
        if not wrong:
            break
        for one, reason in wrong:
            refused.append(Refused(one.mention, one.version, reason, "change the line by hand"))
            del edits[one]
    unchanged = tuple(one for one, some in edits.items() if not some)
    return VersionPlan(every, tuple(refused), tuple(also), unchanged)


def _edits(dockerfile: Dockerfile, wanted: Wanted) -> tuple[Edit, ...]:
    mention, version = wanted.mention, wanted.version
    if not _VERSION.fullmatch(version):
        raise NotEditable(f"not a version: {version[:80]!r}", "see Debian policy 5.6.12")
    place = f"{dockerfile.name}:{mention.line}: {mention.package}"
    if not mention.pinned:
        raise NotEditable(f"{place} is not pinned", "its version is a matter of the lock")
    if mention.version is None:
        name = mention.holder.name if mention.holder else ""
        what = f"${name} is not set in the file, or not to one value" if name else "an output"
        raise NotEditable(f"{place}: {what}; only a run can tell the version", "set it in an ARG")
    if allows(mention.version, version):
        return ()
    new = shaped(mention.version, version)
    if new is None:
        raise NotEditable(
            f"{place}: the pattern {mention.version} has no place for {version}",
            "write the pattern by hand",
        )
    texts = _texts(mention, new)
    if texts is None:
        raise NotEditable(_why_not(place, mention, version), _hint(mention))
    found: dict[Span, Edit] = {}
    for piece, text in zip(mention.pieces, texts, strict=True):
        if piece.text == text:
            continue
        assert piece.span is not None
        edit = Edit(piece.span, text.encode("ascii"), f"{mention.package} to {version}")
        if found.setdefault(piece.span, edit) != edit:
            raise NotEditable(
                f"{place}: {piece.source.name} is in the version twice", "write it by hand"
            )
    return tuple(found.values())


def _texts(mention: Mention, new: str) -> list[str] | None:
    """The new text of each piece of the mention's version."""
    pieces = [piece.text for piece in mention.pieces]
    fixed = [piece.span is None for piece in mention.pieces]
    literal = [
        at_fixed or piece.source.kind == "word"
        for piece, at_fixed in zip(mention.pieces, fixed, strict=True)
    ]
    variables_alone = distribute(pieces, literal, new)
    return variables_alone or distribute(pieces, fixed, new)


def _why_not(place: str, mention: Mention, version: str) -> str:
    outside = [piece for piece in mention.pieces if piece.span is None]
    for piece in outside:
        if piece.source.kind == "build-arg":
            return f"{place}: {piece.source.name} is given with --build-arg as {piece.text}"
        if piece.source.kind == "image":
            return f"{place}: the base image's environment holds {piece.text}"
    return f"{place}: {version} does not fit {mention.word}, which is {mention.version} now"


def _hint(mention: Mention) -> str:
    if any(piece.source.kind == "build-arg" for piece in mention.pieces):
        return "give the new version with --build-arg: editing the default would not help"
    return "write the version in the line itself"


def _conflicts(edits: dict[Wanted, tuple[Edit, ...]]) -> dict[Wanted, str]:
    """Those that want different text in one place, each with a reason that names both."""
    owners: dict[Span, tuple[Wanted, bytes]] = {}
    found: dict[Wanted, str] = {}
    for one, some in edits.items():
        for piece in one.mention.pieces:
            if piece.span is None:
                continue
            text = next((e.text for e in some if e.span == piece.span), piece.text.encode())
            other, theirs = owners.setdefault(piece.span, (one, text))
            if theirs == text:
                continue
            reason = _clash(other, one, piece)
            found.setdefault(other, reason)
            found.setdefault(one, reason)
    return found


def _clash(one: Wanted, other: Wanted, piece: Segment) -> str:
    name = piece.source.name or "one text"
    return (
        f"{name} (line {piece.source.line or one.mention.line}) holds the version of "
        f"{one.mention.package} and of {other.mention.package}, "
        f"which are to get {one.version} and {other.version}"
    )


def _tried(
    dockerfile: Dockerfile, edits: tuple[Edit, ...], wanted: list[Wanted], given: Given
) -> tuple[list[tuple[Wanted, str]], list[Wanted]]:
    """Read the edited file: wanted ones that did not come out, others that changed as well."""
    try:
        edited = parse_dockerfile(apply_edits(dockerfile.raw, edits), dockerfile.name)
    except NotEditable as error:
        return [(one, error.what) for one in wanted], []
    before, after = _mentions(dockerfile, given), _mentions(edited, given)
    if [one.package for one in before] != [one.package for one in after]:
        return [(one, "the edited file names other packages") for one in wanted], []
    now = dict(zip(before, after, strict=True))
    wrong = []
    for one in wanted:
        new = now.get(one.mention)
        if new is None or new.version is None or not allows(new.version, one.version):
            wrong.append((one, f"{one.mention.package} would be {new.version if new else None}"))
    asked = {one.mention for one in wanted}
    also = [
        Wanted(old, new.version or "")
        for old, new in now.items()
        if old.version != new.version and old not in asked
    ]
    return wrong, also


def _mentions(dockerfile: Dockerfile, given: Given) -> tuple[Mention, ...]:
    return mentions(
        dockerfile,
        build_args=given.build_args,
        platform=given.platform,
        image_env=given.image_env,
    )
