"""One subscription: a queue bounded by bytes, and the promise that it has no gaps that it does not tell of."""

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Final, Self

from keel.events.contract import Beat, Closing, Item, Message, Place, Position, StreamClosed

OVERHEAD_BYTES: Final = 100
"""What an entry of a queue weighs beside its data."""


class QueuedStream:
    """`keel.events.contract.Stream`.

    It holds back what comes in while it is found out where it starts (`start`). From then on `offer` lets pass what
    follows on what was there before, drops what was there already, and tells of anything else by a position.
    """

    def __init__(self, channel: str, queue_bytes: int, heartbeat_s: float | None) -> None:
        self.channel = channel
        self.unread_bytes = 0
        self.closed: Closing | None = None
        self.ended = asyncio.Event()
        self._queue_bytes = queue_bytes
        self._heartbeat_s = heartbeat_s
        self._queue = deque[Position | Message]()
        self._held: list[Position | Message] | None = []
        self._tail = Place("", 0)
        self._head = Place("", 0)
        self._reader: asyncio.Future[None] | None = None

    @property
    def place(self) -> Place:
        """The place of what was handed out last."""
        return self._head

    def start(self, position: Position, missed: Iterable[Message]) -> None:
        """It begins here."""
        held, self._held = self._held or [], None
        self._put(position)
        for message in missed:
            self._put(message)
        for item in held:
            self.offer(item)

    def offer(self, item: Position | Message) -> None:
        """A message of the channel's, or a break in it."""
        if self._held is not None:
            self._held.append(item)
        elif isinstance(item, Position):
            if item.epoch != self._tail.epoch or item.offset > self._tail.offset:
                self._put(item)
        elif item.epoch != self._tail.epoch or item.offset > self._tail.offset + 1:
            self._put(Position(self.channel, item.epoch, item.offset - 1, recovered=False))
            self._put(item)
        elif item.offset == self._tail.offset + 1:
            self._put(item)

    def close(self, reason: Closing) -> None:
        """End it; what is unread is dropped."""
        if self.closed is None:
            self.closed = reason
            self._queue.clear()
            self.unread_bytes = 0
            self.ended.set()
            self._wake()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Item:
        """The next item; raises StreamClosed."""
        while not self._queue:
            if self.closed is not None:
                raise StreamClosed(self.closed)
            if not await self._woken():
                return Beat(self.channel, *self._head)
        item = self._queue.popleft()
        self.unread_bytes -= _size(item)
        self._head = Place(item.epoch, item.offset)
        return item

    def _put(self, item: Position | Message) -> None:
        if self.closed is not None:
            return
        self._tail = Place(item.epoch, item.offset)
        self.unread_bytes += _size(item)
        if self.unread_bytes > self._queue_bytes:
            self.close(Closing.SLOW)
            return
        self._queue.append(item)
        self._wake()

    async def _woken(self) -> bool:
        """Wait until there is something; False where it has been quiet for as long as a heartbeat."""
        if self._reader is not None:
            raise RuntimeError("a stream has one reader")
        self._reader = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(self._heartbeat_s):
                await self._reader
        except TimeoutError:
            return False
        finally:
            self._reader = None
        return True

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)


def _size(item: Position | Message) -> int:
    return OVERHEAD_BYTES + (len(item.data) if isinstance(item, Message) else 0)
