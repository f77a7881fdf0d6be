"""Listing the tags of a repository, page by page (distribution spec v1.1, "Listing Tags")."""

from __future__ import annotations

import re

import httpx
import msgspec

from oakum.errors import TransportError
from oakum.oci import Reference
from oakum.transport.registry.client import Client

_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_PAGE = 1000
_MAX_TAGS = 200_000
_MAX_PAGE_BYTES = 16 << 20


def read_tags(client: Client, reference: Reference) -> list[str]:
    """All tags, in the registry's order; what is no tag by the spec's grammar is left out.

    Raises `TransportError` for pages that lead away from the registry or never end.
    """
    what = f"list the tags of {reference.name}"
    scopes = (f"repository:{reference.repository}:pull",)
    url: str | None = client.absolute(f"/v2/{reference.repository}/tags/list?n={_PAGE}")
    seen: set[str] = set()
    tags: list[str] = []
    while url is not None:
        if url in seen or len(tags) > _MAX_TAGS or len(seen) > _MAX_TAGS // _PAGE * 10:
            raise TransportError(
                f"{what}: the list does not end", "the registry is broken or hostile"
            )
        seen.add(url)
        response, raw = client.read(url, scopes=scopes, what=what, most=_MAX_PAGE_BYTES)
        tags += _parsed(raw, what)
        url = _following(client, url, response, what)
    return tags


def _following(client: Client, url: str, response: httpx.Response, what: str) -> str | None:
    place = response.links.get("next", {}).get("url")
    if not place:
        return None
    following = client.absolute(place, url.removeprefix(client.base()))
    if not client.is_home(following):
        raise TransportError(
            f"{what}: the next page is on another host", "the registry is misconfigured or hostile"
        )
    return following


def _parsed(raw: bytes, what: str) -> list[str]:
    try:
        found = msgspec.json.decode(raw).get("tags") or []
        if not isinstance(found, list):
            raise TypeError("tags")
        return [tag for tag in found if isinstance(tag, str) and _TAG.fullmatch(tag)]
    except (
        msgspec.DecodeError,
        AttributeError,
        TypeError,
        UnicodeDecodeError,
        RecursionError,
    ) as error:
        raise TransportError(f"{what}: the answer is not a list of tags", "try again") from error
