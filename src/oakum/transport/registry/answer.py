"""Reading answers of servers that may be hostile: bounded, and fit to be shown."""

from __future__ import annotations

import httpx
import msgspec

from oakum.errors import InvalidImage

_ERROR_BYTES = 64 * 1024


def bounded(response: httpx.Response, most: int, what: str) -> bytes:
    """The body as it was sent; `InvalidImage` as soon as it has more than `most` bytes.

    Raises `httpx.TransportError` when the connection is cut.
    """
    raw = bytearray()
    for piece in response.iter_raw():
        raw += piece
        if len(raw) > most:
            raise InvalidImage(
                f"{what}: more than {most} bytes", "the source is damaged or hostile"
            )
    return bytes(raw)


def plain(text: str, most: int = 200) -> str:
    """Text from a server on one line, without control characters."""
    return "".join(c if c.isprintable() else " " for c in text[:most]).strip()


def said(response: httpx.Response) -> tuple[str, str]:
    """Code and message of an error's body (distribution spec, "Error codes"); empty without."""
    body = bytearray()
    try:
        for piece in response.iter_raw():
            body += piece
            if len(body) > _ERROR_BYTES:
                break
        first = msgspec.json.decode(bytes(body))["errors"][0]
        code, message = str(first.get("code", "")), str(first.get("message", ""))
    except (
        httpx.HTTPError,
        httpx.StreamError,
        msgspec.DecodeError,
        LookupError,
        TypeError,
        AttributeError,
        RecursionError,
        UnicodeDecodeError,
    ):
        return "", ""
    return plain(code, 60), plain(f"{code}: {message}" if message else code)
