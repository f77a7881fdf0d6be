"""Whether an image's sources lack its distribution's security suite, and where that suite is."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit, urlunsplit

import msgspec

from oakum.repository.interface import ImageFiles
from oakum.repository.sources import Source
from oakum.repository.stanzas import decode

_ALIASES = {"stable", "oldstable", "oldoldstable", "testing"}
_DISTRIBUTIONS = {"debian": ("debian", "debian-security"), "ubuntu": ("ubuntu", "ubuntu")}


def distribution(files: ImageFiles) -> tuple[str, str]:
    """`ID` and `VERSION_CODENAME` of os-release(5); empty where they are not given."""
    raw = files.read("etc/os-release") or files.read("usr/lib/os-release") or b""
    fields = {}
    for line in decode(raw).splitlines():
        name, _, value = line.partition("=")
        fields[name.strip()] = value.strip().strip("\"'")
    return fields.get("ID", ""), fields.get("VERSION_CODENAME", "")


def missing_security(sources: Sequence[Source], files: ImageFiles) -> tuple[str, Source | None]:
    """The name of the security suite that no source names, and the source that would.

    The name is empty when nothing is missing, or for a distribution that oakum does not know.  The
    source is None when the image's own mirror does not tell where the suite would be.
    """
    name, codename = distribution(files)
    if name not in _DISTRIBUTIONS or not codename or codename == "sid":
        return "", None
    if any(_is_security(source) for source in sources):
        return "", None
    suite = (
        f"{codename}/updates"
        if codename in ("jessie", "stretch", "buster")
        else f"{codename}-security"
    )
    for source in sources:
        uri = _security_uri(source.uri, *_DISTRIBUTIONS[name])
        if uri and source.suite in {codename, *_ALIASES}:
            return suite, msgspec.structs.replace(source, uri=uri, suite=suite, file="")
    return suite, None


def _is_security(source: Source) -> bool:
    return source.suite.endswith("-security") or source.suite.endswith("/updates")


def _security_uri(uri: str, own: str, security: str) -> str:
    """The mirror's URI with its path segment `own` changed to `security`; empty without one."""
    parts = urlsplit(uri)
    segments = parts.path.split("/")
    for own_name in (own, f"{own}-ports"):
        if own_name in segments:
            at = len(segments) - 1 - segments[::-1].index(own_name)
            segments[at] = security if own != security else own_name
            return urlunsplit(parts._replace(path="/".join(segments)))
    return ""
