"""How values lie on the server."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from keel.cache import frame
from keel.cache.codec import Undecodable
from keel.cache.contract import Stamps, Stored

values = st.builds(
    Stored,
    id=st.binary(min_size=frame.ID_BYTES, max_size=frame.ID_BYTES),
    payload=st.binary(max_size=100) | st.integers(0, 20_000).map(bytes),
    fresh_until=st.floats(0, 1e10),
    expires=st.floats(0, 1e10),
    stamps=st.builds(Stamps, st.lists(st.none() | st.binary(max_size=40), max_size=5).map(tuple)),
    tags=st.lists(st.text(max_size=20), max_size=3).map(tuple),
    version=st.none() | st.integers(0, 1 << 60),
    cost_s=st.floats(0, 100),
    is_soft=st.booleans(),
)


@given(values)
def test_what_is_written_is_read(value: Stored) -> None:
    written = frame.write(value)
    assert frame.read(written) == value
    assert frame.identity(written) == value.id


@given(values)
def test_the_server_marks_a_value_as_softly_invalidated_by_its_first_byte(value: Stored) -> None:
    softened = frame.SOFT + frame.write(value)[1:]
    assert frame.read(softened).is_soft


@given(values, values)
def test_a_frame_is_known_again_by_its_mark(value: Stored, other: Stored) -> None:
    written = frame.write(value)
    opened = frame.opened(written, None)
    assert frame.opened(written, opened) is opened
    assert frame.payload(written, opened) == value.payload
    softened = frame.opened(frame.SOFT + written[1:], opened)
    assert softened.is_soft
    assert softened.head == opened.head
    different = frame.opened(frame.write(structs.replace(other, id=bytes(255 - each for each in value.id))), opened)
    assert different.head.stamps == other.stamps.versions


@given(values)
def test_long_values_are_compressed_where_that_makes_them_shorter(value: Stored) -> None:
    assert len(frame.write(value)) <= len(value.payload) + 600


@given(st.binary(max_size=200))
def test_anything_else_is_no_value(data: bytes) -> None:
    with pytest.raises(Undecodable):
        frame.read(b"\x00" * 9 + b"\x09" + data)


@given(values, st.data())
def test_a_value_that_was_cut_short_or_damaged_raises_nothing_else(value: Stored, data: st.DataObject) -> None:
    written = bytearray(frame.write(value))
    at = data.draw(st.integers(0, len(written) - 1))
    written[at] ^= data.draw(st.integers(1, 255))
    for damaged in (bytes(written), bytes(written[:at])):
        try:
            frame.read(damaged)
        except Undecodable:
            continue


def test_what_does_not_become_shorter_is_left_as_it_is() -> None:
    payload = b"".join(bytes([number * number % 251, number % 256]) for number in range(1 << 11))
    noise = bytes((each * 167 + at * at * 31) % 256 for at, each in enumerate(payload))
    value = Stored(b"12345678", noise, 1.0, 2.0, Stamps(()), ())
    assert frame.read(frame.write(value)) == value
