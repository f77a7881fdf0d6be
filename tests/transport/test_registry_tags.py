"""Listing tags, page by page, from registries that may not want it to end."""

from __future__ import annotations

import json

import pytest

from oakum.errors import InvalidImage, NotFound, OakumError, TransportError
from oakum.oci import Manifest, parse_reference
from oakum.store import Store
from oakum.transport import RegistryOptions, list_tags
from support.faulty import Answer, FaultyRegistry, Request
from support.images import copy


def tags(registry: FaultyRegistry, **options: object) -> list[str]:
    reference = parse_reference(f"{registry.host}/app")
    return list_tags(reference, RegistryOptions(**options))  # type: ignore[arg-type]


def small_pages(request: Request, right: Answer) -> Answer:
    """What a registry answers that has its own mind about the size of a page."""
    found = json.loads(right.body)["tags"]
    page = Answer(200, {}, json.dumps({"tags": found[:2]}).encode())
    if len(found) <= 2:
        return page
    return page.having(Link=f'<{request.path}?last={found[1]}>; rel="next"')


def test_pages_are_followed(faulty: FaultyRegistry) -> None:
    faulty.tags["app"] = [f"v{n}" for n in range(7)]
    faulty.change("tags/list", small_pages)
    assert tags(faulty) == [f"v{n}" for n in range(7)]
    assert len(faulty.lines("tags")) == 4


@pytest.mark.parametrize("form", ["absolute", "relative", "several", "no-quotes"])
def test_links_come_in_several_forms(faulty: FaultyRegistry, form: str) -> None:
    faulty.tags["app"] = ["a", "b", "c"]
    link = {
        "absolute": f'<{faulty.url}/v2/app/tags/list?n=9&last=b>; rel="next"',
        "relative": '<list?n=9&last=b>; rel="next"',
        "several": '</x>; rel="prev", </v2/app/tags/list?n=9&last=b>; rel="next"',
        "no-quotes": "</v2/app/tags/list?n=9&last=b>; rel=next",
    }[form]
    body = b'{"tags": ["a", "b"]}'
    faulty.answer("tags/list", Answer(200, {"Link": link}, body), times=1)
    assert tags(faulty) == ["a", "b", "c"]


@pytest.mark.parametrize(
    "link",
    [
        "<http://192.0.2.3/v2/app/tags/list>; rel=next",
        "<https://other.example/v2/app/tags/list>; rel=next",
        "<ftp://127.0.0.1/>; rel=next",
        "<http://[::1>; rel=next",
        "<http://127.0.0.1:1/v2/app/tags/list>; rel=next",
    ],
)
def test_a_next_page_elsewhere_is_refused(faulty: FaultyRegistry, link: str) -> None:
    faulty.answer("tags/list", Answer(200, {"Link": link}, b'{"tags": ["a"]}'))
    with pytest.raises(TransportError) as caught:
        tags(faulty)
    assert "reach" not in caught.value.what


@pytest.mark.parametrize("link", [";;;", "<", "<>; rel=next", "x" * 5000, ", , ,", "<a"])
def test_a_link_that_is_none_is_the_end(faulty: FaultyRegistry, link: str) -> None:
    faulty.answer("tags/list", Answer(200, {"Link": link}, b'{"tags": ["a"]}'))
    assert tags(faulty) == ["a"]


def test_pages_that_never_end_are_an_error(faulty: FaultyRegistry) -> None:
    link = '</v2/app/tags/list?n=1000>; rel="next"'
    faulty.answer("tags/list", Answer(200, {"Link": link}, b'{"tags": ["a"]}'))
    with pytest.raises(TransportError, match="does not end"):
        tags(faulty)
    assert len(faulty.lines("tags")) == 1
    many = json.dumps({"tags": [f"t{n}" for n in range(50_000)]}).encode()

    def more(request: Request, right: Answer) -> Answer:
        last = int(request.query.get("last", "0")) + 1
        return Answer(200, {"Link": f'</v2/more/tags/list?last={last}>; rel="next"'}, many)

    faulty.change("/v2/more", more)
    with pytest.raises(TransportError, match="does not end"):
        list_tags(parse_reference(f"{faulty.host}/more"), RegistryOptions())


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"7", b'{"tags": 7}', b'{"tags": {"a": 1}}', b"\xff", b"[" * 9000]
)
def test_an_answer_that_is_no_list_is_an_error(faulty: FaultyRegistry, body: bytes) -> None:
    faulty.answer("tags/list", Answer(200, {}, body))
    with pytest.raises(TransportError, match="not a list of tags"):
        tags(faulty)


def test_what_is_no_tag_is_left_out(faulty: FaultyRegistry) -> None:
    said = {"tags": ["ok", "", 7, None, "a b", "\x1b[2J", "../up", "x" * 129, "1.0"]}
    faulty.answer("tags/list", Answer(200, {}, json.dumps(said).encode()))
    assert tags(faulty) == ["ok", "1.0"]


def test_no_tags_and_no_repository(faulty: FaultyRegistry) -> None:
    faulty.answer("tags/list", Answer(200, {}, b'{"tags": null}'), times=1)
    assert tags(faulty) == []
    faulty.answer("tags/list", Answer(404))
    with pytest.raises(NotFound):
        tags(faulty)


def test_a_page_without_bounds_is_not_read(faulty: FaultyRegistry) -> None:
    headers = {"Content-Length": str(100 << 20)}
    faulty.answer("tags/list", Answer(200, headers, b" " * (20 << 20)))
    with pytest.raises(InvalidImage, match="more than"):
        tags(faulty)


def test_a_page_that_is_cut_or_busy_is_asked_for_again(faulty: FaultyRegistry) -> None:
    faulty.tags["app"] = ["a"]
    faulty.cut("tags/list", 3, times=2)
    faulty.answer("tags/list", Answer(503), times=1)
    assert tags(faulty) == ["a"]
    faulty.cut("tags/list", 3, times=1000)
    with pytest.raises(OakumError):
        tags(faulty, retries=1)


def test_a_real_registry_lists_what_was_pushed(
    registry: str, store: Store, image: Manifest
) -> None:
    for tag in ("1.0", "1.1", "latest"):
        copy(store, f"store:{image.digest}", f"docker://{registry}/listed:{tag}")
    found = list_tags(parse_reference(f"{registry}/listed"), RegistryOptions())
    assert sorted(found) == ["1.0", "1.1", "latest"]
