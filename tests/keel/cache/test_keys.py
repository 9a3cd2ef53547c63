"""The names of entries, and what they are called on a server."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from redis.crc import key_slot

from keel.cache import keys
from keel.cache.contract import Kind, Mark, PatternRefused
from keel.cache.keys import ServerKeys

SERVER = ServerKeys("tradesense:test")
names = st.text(min_size=1, max_size=300) | st.sampled_from(["a:b", "{", "}{", "a#b", "x" * 200, "x" * 201])


@given(names, names)
def test_two_names_are_never_one_on_the_server(one: str, other: str) -> None:
    assume(one != other)
    assert keys.safe(one) != keys.safe(other)
    assert keys.safe(keys.safe(one)) == keys.safe(one) or "#" in keys.safe(one)


def test_no_name_is_what_another_is_shortened_to() -> None:
    long = "portfolio:" + "x" * 500
    assert keys.safe(keys.safe(long)) != keys.safe(long)


@given(names)
def test_what_belongs_to_a_key_lies_in_one_slot(name: str) -> None:
    notice = SERVER.notice(Mark(Kind.KEY, name))
    places = (SERVER.value(name), SERVER.lease(name), notice)
    assert len({key_slot(place.encode("utf-8", "surrogatepass")) for place in places}) == 1


@given(names, st.sampled_from([Kind.KEY, Kind.TAG, Kind.PREFIX]))
def test_a_notice_says_what_it_is_about(name: str, kind: Kind) -> None:
    notice = SERVER.notice(Mark(kind, name)).encode("utf-8", "surrogatepass")
    assert notice.startswith(SERVER.tracked.encode())
    assert SERVER.read_notice(notice) == (kind, keys.safe(name))


@pytest.mark.parametrize(
    "notice",
    [b"", b"tradesense:test:inv:", b"tradesense:test:inv:z:{a}", b"tradesense:test:inv:k:a", b"x:inv:k:{a}", b"\xff"],
)
def test_what_is_no_notice_says_nothing(notice: bytes) -> None:
    assert SERVER.read_notice(notice) is None


@given(names)
def test_a_key_lies_beneath_its_prefixes_and_no_other(name: str) -> None:
    found = keys.prefixes(name)
    assert all(name.startswith(prefix) and prefix.endswith(":") for prefix in found)
    assert len(found) == min(name.count(":"), keys.MOST_PREFIXES)


@pytest.mark.parametrize("text", [":", "*", "a*", "a:b:c:d:e", "a:*:"])
def test_what_covers_no_key_is_refused_as_a_prefix(text: str) -> None:
    with pytest.raises(PatternRefused, match="tag"):
        keys.prefix(text)


def test_every_kind_has_its_version_somewhere_else() -> None:
    marks = [Mark(Kind.TAG, "a"), Mark(Kind.PREFIX, "a"), Mark(Kind.ROOT, "")]
    assert len({SERVER.version(mark) for mark in marks}) == 3
