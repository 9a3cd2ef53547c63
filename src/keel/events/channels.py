"""One channel as this process hears it: in order, looked up where something is missing, local where nobody answers."""

import asyncio
from collections.abc import Callable
from secrets import token_hex
from typing import Final, Protocol

from keel.events.contract import Broker, Message, Notice, Place, Position
from keel.events.streams import QueuedStream
from keel.redis.contract import CommandRefused, RedisUnavailable
from keel.tasks import Tasks

RETRY_S: Final = 0.5
READY_S: Final = 1.0
"""How long a subscriber waits for the channel to be heard, before it is told that it may miss something."""


class Breaks(Protocol):
    """The channels of which messages were lost or delivered here alone: their epoch must not go on."""

    async def mend(self, channel: str) -> None:
        """Begin a new epoch where that is due."""


class Channel:
    """The streams of one channel, and its place.

    `is_local`: what is published here reaches this process alone, and nothing else is heard.
    """

    def __init__(self, name: str, broker: Broker, breaks: Breaks, tasks: Tasks) -> None:
        self.name = name
        self.is_local = False
        self.streams: set[QueuedStream] = set()
        self.members: dict[str, str] = {}
        self._broker = broker
        self._breaks = breaks
        self._tasks = tasks
        self._loop = asyncio.get_running_loop()
        self._place = Place("", 0)
        self._ready = asyncio.Event()
        self._is_heard = False
        self._is_closed = False
        self._looking: asyncio.Task[None] | None = None
        self._look_again = False
        self._pending: list[Notice] = []
        self._retry: asyncio.TimerHandle | None = None
        self._leave: Callable[[], None] = broker.listen(name, self._receive, self._live)

    async def join(self, stream: QueuedStream, since: Place | None) -> None:
        """Let a stream begin, at `since` where that is possible."""
        self.streams.add(stream)
        if not self._broker.available:
            self.go_local()
        try:
            async with asyncio.timeout(READY_S):
                await self._ready.wait()
        except TimeoutError:
            self.go_local()
        stream.start(*await self._beginning(since))

    def go_local(self) -> None:
        """The broker is away."""
        if not self.is_local:
            self.is_local = True
            self._break(Place(f"here-{token_hex(8)}.", 0))
            self._ready.set()
        if self._broker.available and self._retry is None:
            self._retry = self._loop.call_later(RETRY_S, self._look_later)

    def deliver_here(self, data: bytes) -> Place:
        """Hand a message to the streams of this process, in an epoch of its own."""
        self.go_local()
        self._deliver(data)
        return self._place

    def look(self) -> None:
        """Find out where the channel is, and what of it was missed."""
        if self._looking is not None:
            self._look_again = True
        elif not self._is_closed:
            self._looking = self._tasks.start(f"events: {self.name}", self._look())

    def close(self) -> None:
        """Listen no more."""
        self._is_closed = True
        self._leave()
        if self._looking is not None:
            self._looking.cancel()
        if self._retry is not None:
            self._retry.cancel()

    async def _beginning(self, since: Place | None) -> tuple[Position, list[Message]]:
        if since is None or since == self._place:
            return self._position(self._place, recovered=not self.is_local or since is not None), []
        if not self.is_local:
            try:
                found = await self._broker.resume(self.name, since)
            except (RedisUnavailable, CommandRefused):
                self.go_local()
            else:
                if not found.recovered:
                    return self._position(found.place, recovered=False), []
                return self._position(since, recovered=True), self._messages(since, found.missed)
        return self._position(self._place, recovered=False), []

    def _live(self) -> None:
        self._is_heard = True
        self.look()

    def _look_later(self) -> None:
        self._retry = None
        self.look()

    def _receive(self, notice: Notice) -> None:
        place, now = notice.place, self._place
        if self._looking is not None:
            self._pending.append(notice)
        elif self.is_local or place.epoch != now.epoch:
            self.look()
        elif place.offset > now.offset + 1:
            self._pending.append(notice)
            self.look()
        elif place.offset == now.offset + 1:
            self._deliver(notice.data)

    async def _look(self) -> None:
        try:
            self._look_again = True
            while self._look_again and self._is_heard:
                self._look_again = False
                await self._breaks.mend(self.name)
                place = self._place
                fresh = self.is_local or not place.epoch
                found = await self._broker.resume(self.name, None if fresh else place)
                unchanged = self._place == place  # else it has become local meanwhile
                self._catch_up(found.place, found.missed, known=unchanged and not fresh and found.recovered)
        except (RedisUnavailable, CommandRefused):
            self._pending.clear()
            self.go_local()
        finally:
            self._looking = None

    def _catch_up(self, place: Place, missed: list[bytes], *, known: bool) -> None:
        if known:
            for data in missed:
                self._deliver(data)
        else:
            self._break(place)
        self._place = place
        self.is_local = False
        self._ready.set()
        pending, self._pending = self._pending, []
        for notice in pending:
            if notice.place.epoch != self._place.epoch or notice.place.offset > self._place.offset + 1:
                self._look_again = True  # of an epoch that is over, or of one that had begun since
            elif notice.place.offset == self._place.offset + 1:
                self._deliver(notice.data)

    def _break(self, place: Place) -> None:
        self._place = place
        position = self._position(place, recovered=False)
        for stream in list(self.streams):
            stream.offer(position)

    def _deliver(self, data: bytes) -> None:
        self._place = Place(self._place.epoch, self._place.offset + 1)
        message = Message(self.name, *self._place, data)
        for stream in list(self.streams):
            stream.offer(message)

    def _position(self, place: Place, *, recovered: bool) -> Position:
        return Position(self.name, *place, recovered=recovered)

    def _messages(self, since: Place, missed: list[bytes]) -> list[Message]:
        return [Message(self.name, since.epoch, since.offset + at, data) for at, data in enumerate(missed, 1)]
