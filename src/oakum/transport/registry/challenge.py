"""``WWW-Authenticate``: how a registry wants to be told who asks (RFC 9110, 11.6.1)."""

from __future__ import annotations

import re

import msgspec

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PARAMETER = re.compile(rf'\s*({_TOKEN})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|({_TOKEN}))\s*(?:,|$)')
_SCHEME = re.compile(rf"\s*({_TOKEN})(?:\s+|$|(?=,))")
_MAX = 8192


class Challenge(msgspec.Struct, frozen=True):
    """One way that is offered."""

    scheme: str
    """``basic`` or ``bearer``, in lower case."""
    parameters: dict[str, str]
    """Realm, service, scope; names in lower case."""


def parse_challenges(headers: list[str]) -> list[Challenge]:
    """The challenges of all ``WWW-Authenticate`` headers, in order; what is malformed is left."""
    found = []
    for header in headers:
        text = header[:_MAX]
        while text.strip(" ,"):
            text = text.lstrip(" ,")
            scheme = _SCHEME.match(text)
            if not scheme:
                break
            text = text[scheme.end() :]
            parameters: dict[str, str] = {}
            while (match := _PARAMETER.match(text)) is not None:
                value = match[2] if match[2] is not None else match[3]
                parameters[match[1].lower()] = re.sub(r"\\(.)", r"\1", value)
                text = text[match.end() :]
            found.append(Challenge(scheme[1].lower(), parameters))
    return found
