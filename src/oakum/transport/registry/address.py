"""Where a request may go: origins, loopback hosts, and the places that a server names."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

import httpx

from oakum.errors import InvalidReference, TransportError, UsageError
from oakum.oci import parse_reference

Origin = tuple[str, str, int | None]
"""Scheme, host and port (None for the scheme's own): what credentials belong to."""


def origin_of(url: str) -> Origin:
    """The origin of an absolute URL that `next_address` gave or that was made here."""
    parsed = httpx.URL(url)
    return parsed.scheme, parsed.host, parsed.port


def checked_host(text: str) -> str:
    """`text`, if it is ``host[:port]``; `UsageError` otherwise."""
    try:
        if parse_reference(f"{text}/name").host == text:
            return text
    except InvalidReference:
        pass
    raise UsageError(
        f"not a registry host: {text[:100]!r}",
        "write host or host:port, without http:// and without a path",
    )


def is_loopback(host: str) -> bool:
    """Whether ``host[:port]`` is this machine, so that http needs no permission."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
        if name == "localhost" or name.endswith(".localhost"):
            return True
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def may_be_plain(host: str, insecure: tuple[str, ...]) -> bool:
    """Whether ``host[:port]`` may be spoken to over http: loopback, or declared insecure."""
    return is_loopback(host) or host in insecure


def next_address(now: str, place: str, host: str, insecure: tuple[str, ...]) -> str:
    """The absolute URL that `place` means at the URL `now`: a redirect, an upload, a realm.

    `host` is the registry that named it.  Raises `TransportError` for what is no http URL, for a
    way from https back to http, and for http to a host that must not be spoken to so.
    """
    try:
        url = httpx.URL(now).join(place).copy_with(fragment=None)
    except (httpx.InvalidURL, ValueError, UnicodeError) as error:
        raise refused(f"{host} names a place that is no URL") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise refused(f"{host} names a place that is no http address")
    if url.scheme == "https":
        return str(url)
    if httpx.URL(now).scheme == "https":
        raise refused(f"{host} leads from https to http, which would give the transfer away")
    there = url.netloc.decode("ascii")
    if not may_be_plain(there, insecure):
        raise TransportError(
            f"{host} leads to http://{there[:200]}, which is not this machine",
            "if that host may be spoken to without encryption, name it with --insecure-registry",
        )
    return str(url)


def refused(what: str) -> TransportError:
    """The error for a registry that names a place where nobody should go."""
    return TransportError(what, "the registry is misconfigured or hostile; ask who runs it")
