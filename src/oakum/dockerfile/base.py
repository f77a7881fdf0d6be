"""Edits of FROM: the base's tag and digest, where they stand."""

from __future__ import annotations

import msgspec

from oakum.dockerfile.edits import Edit, NotEditable
from oakum.dockerfile.instruction import Dockerfile
from oakum.dockerfile.scope import Given, base_word, global_scope
from oakum.dockerfile.shape import distribute
from oakum.dockerfile.stages import Stage
from oakum.dockerfile.text import Span
from oakum.dockerfile.trace import Source, Traced, segments, traced
from oakum.dockerfile.words import dockerfile_value


class Base(msgspec.Struct, frozen=True):
    """What a FROM names, expanded."""

    text: str
    """The whole reference."""
    name: str
    """Without tag and digest."""
    tag: str | None
    digest: str | None
    known: bool
    """Whether every variable in it is set."""


def base_of(dockerfile: Dockerfile, stage: Stage, given: Given | None = None) -> Base:
    """The stage's base with its variables replaced."""
    value = _value(dockerfile, stage, given or Given())
    tag, at = _parts(value.text)
    text = value.text
    return Base(
        text=text,
        name=text[: tag if tag is not None else at],
        tag=text[tag + 1 : at] if tag is not None else None,
        digest=text[at + 1 :] if at < len(text) else None,
        known=value.known,
    )


def base_edit(
    dockerfile: Dockerfile,
    stage: Stage,
    *,
    digest: str | None = None,
    tag: str | None = None,
    given: Given | None = None,
) -> tuple[Edit, ...]:
    """The edits that give the stage's FROM this tag, this digest, or both.

    A part that is there is replaced where it stands (an ARG's default, if that holds it), a
    part that is missing is written behind what is there.  Raises `NotEditable`.
    """
    value = _value(dockerfile, stage, given or Given())
    place = f"{dockerfile.name}:{stage.from_.first_line}: FROM {stage.base}"
    if not value.known or not value.text:
        raise NotEditable(f"{place}: a variable in it is not set", "give it a default")
    colon, at = _parts(value.text)
    found: list[Edit] = []
    inserted = ""
    if tag is not None:
        if colon is not None:
            found += _replaced(value.cut(colon + 1, at), tag, place, "tag")
        else:
            inserted += f":{tag}"
    if digest is not None:
        if at < len(value.text):
            found += _replaced(value.cut(at + 1), digest, place, "digest")
        else:
            inserted += f"@{digest}"
    if inserted and colon is None and at < len(value.text):
        found.append(_insertion(value.cut(0, at), inserted, stage, place))
    elif inserted:
        found.append(_insertion(value, inserted, stage, place))
    return tuple(_merged(found))


def _value(dockerfile: Dockerfile, stage: Stage, given: Given) -> Traced:
    scope = global_scope(dockerfile, given)
    return dockerfile_value(
        traced(base_word(stage), Source("word")), scope.lookup, stage.from_.escape
    )


def _parts(text: str) -> tuple[int | None, int]:
    """Index of the tag's colon (None without a tag), and of the ``@`` or the end."""
    at = text.find("@") if "@" in text else len(text)
    colon = text.rfind(":", 0, at)
    return (colon if colon > text.rfind("/", 0, at) else None), at


def _replaced(old: Traced, new: str, place: str, what: str) -> list[Edit]:
    pieces = list(segments(old))
    texts = distribute([p.text for p in pieces], [p.span is None for p in pieces], new)
    if texts is None:
        outside = [p.source.name for p in pieces if p.source.kind == "build-arg"]
        why = f"{outside[0]} is given with --build-arg" if outside else f"{new} does not fit"
        raise NotEditable(f"{place}: cannot change its {what}: {why}", "change it by hand")
    return [
        Edit(piece.span, text.encode(), f"{what} of the base to {new}")
        for piece, text in zip(pieces, texts, strict=True)
        if piece.text != text and piece.span is not None
    ]


def _insertion(before: Traced, text: str, stage: Stage, place: str) -> Edit:
    """Write `text` behind the last character of `before`.

    An ARG that holds the whole reference gets it in its default; one that holds a part (such as
    a tag that other stages share) is left alone, and the text goes behind it in the FROM.
    """
    pieces = list(segments(before))
    last = pieces[-1]
    whole = len({piece.source for piece in pieces}) == 1
    if whole and last.source.kind == "build-arg":
        raise NotEditable(f"{place}: {last.source.name} is given with --build-arg", "give it there")
    if last.span is not None and (whole or last.source.kind == "word"):
        return Edit(Span(last.span.end, last.span.end), text.encode(), f"base to {text}")
    end = base_word(stage).offset(len(base_word(stage).text))
    return Edit(Span(end, end), text.encode(), f"base to {text}")


def _merged(edits: list[Edit]) -> list[Edit]:
    """An insertion right behind a replacement as one edit."""
    found: list[Edit] = []
    for edit in sorted(edits, key=lambda one: one.span):
        if found and found[-1].span.end == edit.span.start and edit.span.start == edit.span.end:
            last = found.pop()
            edit = Edit(last.span, last.text + edit.text, f"{last.why}, {edit.why}")
        found.append(edit)
    return found
