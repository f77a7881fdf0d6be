"""What the steps of a project were made of the last time, and so which input made one run again.

A record a project (Dockerfile, context, platform) has the keys of its steps; a record a key has the
inputs that the key was made of.  A build in which nothing changed reads the first and writes none.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence

import msgspec

from oakum.builder.stack import identity
from oakum.builder.state import StageState
from oakum.builder.target import Item
from oakum.dockerfile import Instruction, Mount
from oakum.store import Store

Inputs = dict[str, str]
"""Inputs of a step by name, each with its value, or with a digest of it."""

LAST = "last-1"
INPUTS = "inputs-1"
BEFORE = "files before it"
"""Name of the input that is everything below a RUN."""
_MOST = 50
_LONGEST = 200
_QUIET = re.compile("pass|secret|token|key|auth|cred|private|salt|pwd", re.IGNORECASE)
_SHOWN = ("environment ", "working directory", "user", "network", "hosts", "platform")


class LastStep(msgspec.Struct, frozen=True, array_like=True):
    """A step as it was built."""

    keyword: str
    text: str
    key: str
    content: str


class LastStage(msgspec.Struct, frozen=True, array_like=True):
    """A stage as it was built."""

    base: str
    """Identity of what it began with."""
    steps: list[LastStep]


class Memory:
    """The last build of a project, and the one that is under way."""

    def __init__(self, store: Store, project: Sequence[str]) -> None:
        """`project` are the words that tell this project from others."""
        self.store = store
        self._key = identity(project)
        self._raw = store.records.get(LAST, self._key)
        self._stages: dict[str, StageMemory] = {}
        try:
            kind = dict[str, LastStage]
            self._last = msgspec.msgpack.decode(self._raw, type=kind) if self._raw else {}
        except msgspec.DecodeError:
            self._last = {}

    def stage(self, name: str, base: str, instructions: Iterable[Instruction]) -> StageMemory:
        """The memory of a stage that begins with the content `base`."""
        last = self._last.get(name, LastStage("", []))
        texts = {instruction.original for instruction in instructions}
        made = self._stages[name] = StageMemory(self.store, last, base, texts)
        return made

    def keep(self) -> None:
        """Let this build be the last one."""
        now = {name: LastStage(one.base, one.steps) for name, one in self._stages.items()}
        raw = msgspec.msgpack.encode(dict(sorted({**self._last, **now}.items())))
        if raw != self._raw:
            self.store.records.put(LAST, self._key, raw)


class StageMemory:
    """The steps of a stage: as they were, and as they are now."""

    def __init__(self, store: Store, last: LastStage, base: str, texts: set[str]) -> None:
        self._store = store
        self._last = last
        self._texts = texts
        self._left = list(last.steps)
        self._lines: list[tuple[int, LastStep, LastStep | None]] = []
        self.base = base
        self.steps: list[LastStep] = []

    def built(
        self,
        instruction: Instruction,
        key: str,
        content: str,
        inputs: Callable[[], Inputs],
        *,
        ran: bool,
    ) -> tuple[str, tuple[str, ...]]:
        """Note a step; why it ran and, as far as that is it, which of its inputs changed."""
        was = self._counterpart(instruction)
        if was is None or was.key != key:
            now = inputs()
            told = self._compared(was, now) if ran else ("", ())
            if not self._store.records.path(INPUTS, key).exists():
                self._store.records.put(INPUTS, key, msgspec.msgpack.encode(now))
        else:
            told = ("its result is not in the cache any more", ()) if ran else ("", ())
        step = LastStep(instruction.keyword, instruction.original, key, content)
        self._lines.append((instruction.first_line, step, was))
        self.steps.append(step)
        return told

    def _counterpart(self, instruction: Instruction) -> LastStep | None:
        """The step that this one was: of the same text, or one that its place was taken from."""
        same = (one for one in self._left if one.text == instruction.original)
        gone = (
            one
            for one in self._left
            if one.keyword == instruction.keyword and one.text not in self._texts
        )
        found = next(same, None) or next(gone, None)
        if found is not None:
            self._left.remove(found)
        return found

    def _compared(self, was: LastStep | None, now: Inputs) -> tuple[str, tuple[str, ...]]:
        if was is None:
            return "never built before", ()
        raw = self._store.records.get(INPUTS, was.key)
        try:
            old = msgspec.msgpack.decode(raw, type=Inputs) if raw else None
        except msgspec.DecodeError:
            old = None
        if old is None:
            return "its inputs changed; what they were is not known any more", ()
        changed = [
            self._cause() if name == BEFORE else _change(name, old.get(name), now.get(name))
            for name in dict.fromkeys((*now, *old))
            if old.get(name) != now.get(name)
        ]
        rest = len(changed) - _MOST
        shown = changed[:_MOST] + ([f"and {rest} more"] if rest > 0 else [])
        return summary(shown), tuple(shown)

    def _cause(self) -> str:
        """Why what lies below a step is not what it was."""
        if self.base != self._last.base:
            return f"{BEFORE}: the base is another"
        for line, step, was in self._lines:
            if was is None:
                return f"{BEFORE}: line {line} is new"
            if was.content != step.content:
                return f"{BEFORE}: line {line} gave others"
        return f"{BEFORE}: the steps are others, or in another order"


def summary(changed: Sequence[str], most: int = 3) -> str:
    """A few changes on one line."""
    text = "; ".join(changed[:most])
    return f"{text}; and {len(changed) - most} more" if len(changed) > most else text


def _change(name: str, old: str | None, new: str | None) -> str:
    if name.startswith("/"):
        return _file_change(name, old, new)
    if not name.startswith(_SHOWN):
        return f"{name} changed" if old and new else f"{name} is {'new' if new else 'gone'}"
    if old is not None and new is not None:
        if _is_digest(old) or _is_digest(new):
            return f"{name} changed"
        return f"{name}: was {old!r}, is {new!r}"
    value = new if new is not None else old
    shown = "" if value is None or _is_digest(value) else f": {value!r}"
    return f"{name} is {'gone' if new is None else 'new'}{shown}"


def _file_change(path: str, old: str | None, new: str | None) -> str:
    if old is None or new is None:
        return f"{path} is {'gone' if new is None else 'new'}"
    was, now = old.split(" ", 3), new.split(" ", 3)
    words = ("type", "mode", "owner", "content")
    which = [word for word, one, other in zip(words, was, now, strict=True) if one != other]
    return f"{' and '.join(which)} of {path} changed"


def inputs_of_items(items: Iterable[Item]) -> Inputs:
    """The entries of a layer that is written without running anything."""
    found = {}
    for item in items:
        entry = item.entry
        rest = identity(
            [entry.digest, entry.link, entry.device, sorted((entry.xattrs or {}).items())]
        )
        owner = f"{entry.uid}:{entry.gid}"
        name = "/" + os.fsencode(entry.path).decode("utf-8", "backslashreplace")
        found[name] = f"{entry.kind.value} {entry.mode:o} {owner} {rest[:16]}"
    return found


def inputs_of_run(
    state: StageState,
    words: Sequence[str],
    network: str,
    hosts: Iterable[tuple[str, str]],
    mounts: Sequence[tuple[Mount, tuple[object, str]]],
) -> Callable[[], Inputs]:
    """What a RUN is made of as the state is now; a mount comes with its options and its content."""
    found = {
        "working directory": state.workdir,
        "user": state.user,
        "network": network,
        "hosts": " ".join(f"{name}={address}" for name, address in hosts),
        "platform": str(state.platform),
    }
    content, env = state.stack.content, dict(state.env)

    def named() -> Inputs:
        shown = {}
        for mount, (options, seen) in mounts:
            place = f"{mount.type} mount at {mount.target or mount.id}"
            shown[f"options of the {place}"] = identity([options])
            shown[f"content of the {place}"] = seen
        command = {"the command": identity(words), BEFORE: content}
        variables = {f"environment {name}": _kept(name, env[name]) for name in sorted(env)}
        return {**command, **variables, **found, **shown}

    return named


def _kept(name: str, value: str) -> str:
    if _QUIET.search(name) or len(value) > _LONGEST:
        return f"sha256:{identity([name, value])[:24]}"
    return value


def _is_digest(value: str) -> bool:
    return re.fullmatch("sha256:[0-9a-f]{24}", value) is not None
