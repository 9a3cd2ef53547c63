"""What a stream lets pass, whatever it is offered."""

import asyncio

import pytest

from keel.events.contract import Closing, Message, Place, Position, StreamClosed
from keel.events.streams import OVERHEAD_BYTES, QueuedStream


def stream_of(queue_bytes: int = 10_000) -> QueuedStream:
    return QueuedStream("c", queue_bytes, None)


def message(offset: int, epoch: str = "e") -> Message:
    return Message("c", epoch, offset, b"%d" % offset)


def position(offset: int, epoch: str = "e", *, recovered: bool = False) -> Position:
    return Position("c", epoch, offset, recovered=recovered)


async def read(stream: QueuedStream) -> list[Position | tuple[str, int]]:
    """All there is: positions, and the places of messages."""
    found: list[Position | tuple[str, int]] = []
    while stream.unread_bytes:
        item = await anext(stream)
        found.append(item if isinstance(item, Position) else (item.epoch, item.offset))
    return found


async def test_what_comes_while_it_begins_is_held_back_and_fitted_in() -> None:
    stream = stream_of()
    for offset in (3, 4, 5):
        stream.offer(message(offset))
    assert stream.unread_bytes == 0
    stream.start(position(1, recovered=True), [message(2), message(3)])
    assert await read(stream) == [position(1, recovered=True), ("e", 2), ("e", 3), ("e", 4), ("e", 5)]


async def test_a_break_while_it_begins_is_told_after_the_beginning() -> None:
    stream = stream_of()
    stream.offer(position(0, "here"))
    stream.offer(message(1, "here"))
    stream.start(position(1, recovered=True), [message(2)])
    assert await read(stream) == [position(1, recovered=True), ("e", 2), position(0, "here"), ("here", 1)]


async def test_what_was_there_already_is_dropped() -> None:
    stream = stream_of()
    stream.start(position(4, recovered=True), [])
    for item in (message(3), message(4), position(4), position(2), message(5), message(5)):
        stream.offer(item)
    assert await read(stream) == [position(4, recovered=True), ("e", 5)]


async def test_a_gap_is_told_of() -> None:
    stream = stream_of()
    stream.start(position(4, recovered=True), [])
    stream.offer(message(7))
    stream.offer(message(1, "later"))
    expected = [position(4, recovered=True), position(6), ("e", 7), position(0, "later"), ("later", 1)]
    assert await read(stream) == expected


async def test_a_break_goes_on_from_where_it_says() -> None:
    stream = stream_of()
    stream.start(position(4, recovered=True), [])
    stream.offer(position(9))
    stream.offer(message(10))
    assert await read(stream) == [position(4, recovered=True), position(9), ("e", 10)]
    assert stream.place == Place("e", 10)


async def test_the_queue_is_bounded_by_bytes() -> None:
    stream = stream_of(queue_bytes=3 * OVERHEAD_BYTES + 2)
    stream.start(position(0, recovered=True), [message(1), message(2)])
    assert stream.closed is None
    stream.offer(message(3))
    assert stream.closed is Closing.SLOW
    assert stream.ended.is_set()
    assert stream.unread_bytes == 0
    stream.offer(message(4))
    with pytest.raises(StreamClosed):
        await anext(stream)


async def test_a_reader_that_waits_is_woken_once() -> None:
    stream = stream_of()
    waiting = asyncio.get_running_loop().create_task(anext(stream))
    await asyncio.sleep(0)
    stream.start(position(0, recovered=True), [message(1)])
    assert await waiting == position(0, recovered=True)
    assert await read(stream) == [("e", 1)]
