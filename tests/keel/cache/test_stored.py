"""Answers as they are kept, and conditional requests."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.responses import PlainTextResponse, Response

from keel.cache.codec import codec_for
from keel.cache.contract import Event
from keel.cache.stored import Policy, StoredResponse, answer, matches, stored

_TAGS = st.text(alphabet="abc,*W/ ", max_size=5).map(lambda text: f'"{text}"'.encode())


@pytest.mark.parametrize(
    ("said", "is_known"),
    [
        (b'"a"', True),
        (b'W/"a"', True),
        (b'"b", "a"', True),
        (b'"b",W/"a" , "c"', True),
        (b" * ", True),
        (b'"b"', False),
        (b"a", False),
        (b'"ba"', False),
        (b'"*"', False),
        (b"", False),
    ],
)
def test_tags_are_compared_weakly(said: bytes, is_known: bool) -> None:  # noqa: FBT001 - an expectation
    assert matches(said, b'"a"') is is_known
    assert matches(said, b'W/"a"') is is_known


@given(st.lists(_TAGS, max_size=4), _TAGS)
def test_a_tag_is_found_in_a_list_if_and_only_if_it_is_in_it(listed: list[bytes], tag: bytes) -> None:
    assert matches(b", ".join(listed), tag) is (tag in listed)


def test_an_answer_survives_its_encoding() -> None:
    kept = stored(PlainTextResponse("text", headers={"Content-Language": "de"}), Policy(60))
    assert kept is not None
    codec = codec_for(StoredResponse)
    assert codec.decode(codec.encode(kept)) == kept


def test_equal_bodies_have_equal_tags_and_others_do_not() -> None:
    def tag(body: str) -> bytes:
        kept = stored(PlainTextResponse(body), Policy(60))
        assert kept is not None
        return kept.etag

    assert tag("a") == tag("a") != tag("b")


def test_an_etag_of_ones_own_is_kept_and_headers_of_the_moment_are_not() -> None:
    said = {"etag": 'W/"mine"', "age": "3", "date": "x", "x-cache": "hit", "x-own": "1", "content-location": "/a"}
    kept = stored(PlainTextResponse("text", headers=said), Policy(60))
    assert kept is not None
    assert dict(kept.headers) == {
        b"etag": b'W/"mine"',
        b"x-own": b"1",
        b"content-location": b"/a",
        b"content-length": b"4",
        b"content-type": b"text/plain; charset=utf-8",
    }
    scope = {"method": "GET", "headers": [(b"if-none-match", b'"x"'), (b"if-none-match", b'"mine"')]}
    sent = answer(kept, Policy(60), scope, Event.HIT)
    assert (sent.status_code, sent.body) == (304, b"")
    assert {name for name, _ in sent.raw_headers} == {b"etag", b"content-location", b"cache-control", b"x-cache"}


def test_a_users_own_answer_may_say_that_it_is_private() -> None:
    response = PlainTextResponse("text", headers={"cache-control": "private, max-age=5", "vary": "Cookie"})
    assert stored(response, Policy(60, private=True, varies=(b"authorization", b"cookie"))) is not None
    assert stored(response, Policy(60, varies=(b"cookie",))) is None
    assert stored(response, Policy(60, private=True)) is None


def test_bytes_in_a_view_are_kept_as_bytes() -> None:
    kept = stored(Response(memoryview(b"view")), Policy(60))
    assert kept is not None
    assert kept.body == b"view"
