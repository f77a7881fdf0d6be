"""Rules that look at an instruction of a stage and what is set there."""

from __future__ import annotations

import os.path
import re
from collections.abc import Iterator

from oakum.dockerfile.checks.interface import Found, Rule, quoted, written
from oakum.dockerfile.checks.suggest import meant
from oakum.dockerfile.expand import expand_words
from oakum.dockerfile.lines import split_words
from oakum.dockerfile.pairs import parse_args, parse_key_values
from oakum.dockerfile.scene import Step, from_platform

_SECRET = re.compile(
    r"(?:_|^)(?:apikey|auth|credentials?|key|password|pword|passwd|secret|token)(?:_|$)", re.I
)
_NO_SECRET = re.compile(r"(?:_|^)(?:public|file|version)(?:_|$)", re.I)
_COMMANDS = ("CMD", "ENTRYPOINT")
_NEVER_SET = ("BUILDKIT_SBOM_SCAN_CONTEXT", "BUILDKIT_SBOM_SCAN_STAGE")


def _here(step: Step, message: str) -> Found:
    return Found(message, step.instruction.first_line, step.instruction.last_line)


def _undefined(step: Step) -> Iterator[Found]:
    if not step.scene.known:
        return
    for name in step.unset():
        if name in _NEVER_SET:
            continue
        near = meant(name, step.scene.env)
        hint = f" (did you mean ${near}?)" if near else ""
        yield _here(step, f"Usage of undefined variable '${name}'{hint}")


def _legacy_pair(step: Step) -> Iterator[Found]:
    one = step.instruction
    if one.keyword not in ("ENV", "LABEL"):
        return
    start, end = split_words(one.body.text, one.escape)[0]
    if "=" not in one.body.text[start:end]:
        name = written(one)
        said = f'"{name} key=value" should be used instead of legacy "{name} key value" format'
        yield _here(step, said)


def _secret(step: Step) -> Iterator[Found]:
    one = step.instruction
    names: list[str] = []
    if one.keyword == "ENV":
        names = [step.expand(name) for name, _ in parse_key_values(one)]
    elif one.keyword == "ARG":
        names = [name for name, _ in parse_args(one)]
    for name in names:
        if _SECRET.search(name) and not _NO_SECRET.search(name):
            text = "Do not use ARG or ENV instructions for sensitive data"
            yield _here(step, f"{text} ({one.keyword} {quoted(name)})")


def _relative_workdir(step: Step) -> Iterator[Found]:
    if step.instruction.keyword != "WORKDIR" or step.scene.workdir:
        return
    path = step.expand(step.instruction.arguments[0])
    if not path.startswith("/"):
        text = f"Relative workdir {quoted(path)} can have unexpected results"
        yield _here(step, f"{text} if the base image changes")


def _several(step: Step) -> Iterator[Found]:
    """Told at the one before, which does not count."""
    one = step.instruction
    before = step.scene.last.get(one.keyword)
    if one.keyword in (*_COMMANDS, "HEALTHCHECK") and before is not None:
        text = f"Multiple {written(one)} instructions should not be used in the same stage"
        said = f"{text} because only the last one will be used"
        yield Found(said, before.first_line, before.last_line)


def _shell_form(step: Step) -> Iterator[Found]:
    one = step.instruction
    if one.keyword in _COMMANDS and not one.json and not step.scene.shell:
        text = f"JSON arguments recommended for {written(one)} to prevent unintended behavior"
        yield _here(step, f"{text} related to OS signals")


def _ignored(step: Step) -> Iterator[Found]:
    one, ignored = step.instruction, step.around.ignored
    if ignored is None or one.keyword not in ("COPY", "ADD") or one.flag("from"):
        return
    for source in step.sources():
        if re.match(r"https?://|git://|git@|ssh://", source):
            continue
        path = os.path.normpath(source)
        if ignored(path):
            verb = one.keyword.capitalize()
            text = f"Attempting to {verb} file {quoted(path)} that is excluded by .dockerignore"
            yield _here(step, text)


def _ports(step: Step) -> list[str]:
    if step.instruction.keyword != "EXPOSE":
        return []
    escape, env = step.scene.stage.from_.escape, step.scene.env
    words = sorted(step.instruction.arguments)
    return [port for word in words for port in expand_words(word, env, escape)]


def _protocol(step: Step) -> Iterator[Found]:
    for port in _ports(step):
        protocol = port.rpartition(":")[2].partition("/")[2]
        if protocol != protocol.lower():
            text = f"Defined protocol '{port}' in EXPOSE instruction should be lowercase"
            yield _here(step, text)


def _port_of_host(step: Step) -> Iterator[Found]:
    for port in _ports(step):
        if port.rpartition(":")[0].strip(":"):
            text = "EXPOSE instruction should not define an IP address or host-port mapping"
            yield _here(step, f"{text}, found '{port}'")


def _foreign_base(step: Step) -> Iterator[Found]:
    scene = step.scene
    found = scene.image.platform if scene.image else None
    if step.instruction.keyword != "FROM" or found is None:
        return
    wanted = from_platform(scene.stage, step.above, step.around)
    if wanted and (wanted.os, wanted.architecture) != (found.os, found.architecture):
        text = f"Base image {scene.base} was pulled with platform {quoted(str(found))}"
        yield _here(step, f"{text}, expected {quoted(str(wanted))} for current build")


STEP_RULES: tuple[Rule[Step], ...] = (
    Rule("InvalidBaseImagePlatform", "", _foreign_base),
    Rule("UndefinedVar", "undefined-var", _undefined),
    Rule("LegacyKeyValueFormat", "legacy-key-value-format", _legacy_pair),
    Rule("SecretsUsedInArgOrEnv", "secrets-used-in-arg-or-env", _secret),
    Rule("WorkdirRelativePath", "workdir-relative-path", _relative_workdir),
    Rule("MultipleInstructionsDisallowed", "multiple-instructions-disallowed", _several),
    Rule("JSONArgsRecommended", "json-args-recommended", _shell_form),
    Rule("CopyIgnoredFile", "copy-ignored-file", _ignored),
    Rule("ExposeProtoCasing", "expose-proto-casing", _protocol),
    Rule("ExposeInvalidFormat", "expose-invalid-format", _port_of_host),
)
