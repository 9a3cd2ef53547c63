"""A client: reads a stream, checks what was promised of it, and comes back where it left off."""

import asyncio
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field

from keel.events.contract import Events, Item, Message, Place, Position, StreamClosed


@dataclass
class Log:
    """What one client has received over all its connections.

    `promise` is the place of the last message, which the next one must follow on, unless a position says otherwise.
    """

    promise: Place | None = None
    got: Counter[Place] = field(default_factory=Counter)
    data: list[bytes] = field(default_factory=list)
    by_place: dict[Place, bytes] = field(default_factory=dict)
    breaks: int = 0

    def take(self, item: Item) -> None:
        """Check an item against the promise."""
        match item:
            case Position(_, epoch, offset, recovered):
                if recovered and self.promise is not None:
                    assert self.promise == Place(epoch, offset)
                self.breaks += not recovered
                self.promise = Place(epoch, offset)
            case Message():
                assert self.promise is not None
                assert (item.epoch, item.offset) == (self.promise.epoch, self.promise.offset + 1)
                self.promise = Place(item.epoch, item.offset)
                self.got[self.promise] += 1
                assert self.got[self.promise] == 1
                assert self.by_place.setdefault(self.promise, item.data) == item.data
                self.data.append(item.data)


class Client:
    """Reads one channel, wherever it is connected to."""

    def __init__(self, channel: str) -> None:
        self.channel = channel
        self.log = Log()
        self._task: asyncio.Task[None] | None = None
        self._entered = asyncio.Event()

    async def connect(self, events: Events) -> None:
        """Come (back), and wait until the subscription has begun."""
        self._entered.clear()
        self._task = asyncio.get_running_loop().create_task(self._read(events))
        entered = asyncio.get_running_loop().create_task(self._entered.wait())
        await asyncio.wait({entered, self._task}, return_when=asyncio.FIRST_COMPLETED)
        entered.cancel()

    async def leave(self) -> None:
        """Go, without a word."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _read(self, events: Events) -> None:
        async with events.subscribe(self.channel, since=self.log.promise) as stream:
            self._entered.set()
            with suppress(StreamClosed):
                async for item in stream:
                    self.log.take(item)
