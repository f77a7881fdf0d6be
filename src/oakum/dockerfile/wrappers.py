"""Commands that run other commands: sudo, env, timeout, xargs…"""

from __future__ import annotations

import re

from oakum.dockerfile.apt import is_tool
from oakum.dockerfile.syntax import Field

_TALKERS = (
    *("echo", "printf", "cat", "grep", "egrep", "fgrep", "sed", "awk", "tee", "test", "which"),
    *("type", "man", "true", "false", ":", "alias", "trap", "log", "ls", "rm", "ln", "cp", "mv"),
    *("apt-key", "dpkg", "dpkg-query", "find", "hash", "chmod", "chown", "touch", "mkdir", "info"),
    *("chroot", "debootstrap", "mmdebstrap", "systemd-nspawn", "docker", "podman", "ssh", "git"),
)
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=.*", re.DOTALL)
_WORDS_OF_APT = ("install", "reinstall", "upgrade", "dist-upgrade", "full-upgrade")


def apt_fields(fields: list[Field]) -> list[Field] | None:
    """The fields from apt's name on, behind whatever runs it; None where it is not run.

    A command that is not known as one that only speaks of others counts as one that runs them
    (``retry 3 apt-get install …``) when apt's name is a word of its own.
    """
    names = [field.value.text.rsplit("/", 1)[-1] for field in fields]
    if not names or names[0] in _TALKERS:
        return None
    for at, name in enumerate(names):
        if is_tool(name) and (at == 0 or not _is_option_value(fields, at)):
            return fields[at:]
    return None


def shell_start(fields: list[Field]) -> int | None:
    """Index of a shell's name behind ``sudo``, ``env`` and the like; None where there is none."""
    wrappers = ("sudo", "env", "exec", "command", "nice", "time", "timeout", "eatmydata", "gosu")
    names = [field.value.text.rsplit("/", 1)[-1] for field in fields]
    if not names or names[0] not in wrappers:
        return None
    for at, name in enumerate(names[1:], 1):
        if name in ("sh", "bash", "dash", "ash", "ksh", "zsh"):
            return at
    return None


def _is_option_value(fields: list[Field], at: int) -> bool:
    """Whether the word before makes it a value, as in ``dpkg -l apt``."""
    name = fields[at].value.text
    following = [field.value.text for field in fields[at + 1 :]]
    return name == "apt" and not any(text in _WORDS_OF_APT for text in following)
