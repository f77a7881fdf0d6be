"""Which checks run: the directive ``# check=``, and comments of that kind above instructions."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from oakum.errors import DockerfileError

_TRUE = ("1", "t", "T", "true", "TRUE", "True")
_FALSE = ("0", "f", "F", "false", "FALSE", "False")
_COMMENT = re.compile(r"check\s*=\s*(\S+)", re.IGNORECASE)


class CheckOptions(msgspec.Struct, frozen=True):
    """What ``skip=…;experimental=…;error=…`` says."""

    skip: frozenset[str] = frozenset()
    """Names of rules that are not to run; ``all`` for every one."""
    experimental: frozenset[str] = frozenset()
    """Names of experimental rules that are to run; ``all`` for every one."""
    error: bool = False
    """Whether a warning fails the build."""

    def runs(self, name: str, experimental: bool) -> bool:
        """Whether the rule of that name is to run."""
        if experimental:
            return bool(self.experimental & {name, "all"})
        return not self.skip & {name, "all"}

    def beside(self, comments: Sequence[str]) -> CheckOptions:
        """These options with those of the first comment ``check=…``."""
        for text in comments:
            match = _COMMENT.match(text)
            if match is None:
                continue
            try:
                more = parse_check_options(match[1])
            except DockerfileError:
                return self
            return CheckOptions(
                self.skip | more.skip, self.experimental | more.experimental, self.error
            )
        return self


def parse_check_options(text: str) -> CheckOptions:
    """The options in ``skip=A,B;error=true``; `DockerfileError` for others than BuildKit's."""
    fields: dict[str, frozenset[str] | bool] = {}
    for part in text.strip().split(";", 2) if text.strip() else ():
        key, equals, value = part.partition("=")
        key, value = key.strip(), value.strip()
        if not equals or key not in ("skip", "experimental", "error"):
            raise DockerfileError(
                f"invalid check option {part[:80]!r}", "write skip=RULE,RULE;error=true"
            )
        if key == "error":
            if value not in _TRUE + _FALSE:
                raise DockerfileError(f"invalid check option {part[:80]!r}", "write error=true")
            fields[key] = value in _TRUE
        else:
            fields[key] = frozenset(name.strip() for name in value.split(","))
    return msgspec.convert(fields, CheckOptions)
