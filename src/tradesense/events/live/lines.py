"""The live connections of this process: admitted, counted, and ended when they must be."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from datetime import datetime, timedelta
from enum import Enum
from typing import Final

from keel.clock import Clock
from keel.errors import NotAuthenticated, RateLimited, Unavailable
from keel.events.contract import Closing, Events, Stream, StreamClosed, TooManyStreams
from keel.tasks import Tasks
from tradesense.events.service.channels import CONNECTIONS, of_connections
from tradesense.http.authentication import Principal

LOOK_EVERY: Final = timedelta(seconds=0.5)
"""Between two looks at which sessions and keys have expired."""
AT_ONCE: Final = 16
"""Tokens that are asked for at the same time, when all are in doubt."""
DRAINED_S: Final = 2.0
"""How long connections are given to say goodbye when everything closes."""

_LOG: Final = logging.getLogger(__name__)

Verify = Callable[[str], Awaitable[datetime | None]]
"""Until when a token opens anything, asked of the database; None for ever. Raises `NotAuthenticated`."""
Watch = Callable[[str, Callable[[], None]], Callable[[], None]]
"""Calls back whenever a token may have ended; returns how to stop."""


class TooManyConnections(RateLimited):
    """The user has as many live connections as are allowed."""

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"You have {limit} live connections open, and no more are allowed; close one.",
            retry_after=timedelta(seconds=10),
        )


class ShuttingDown(Unavailable):
    """Not by this instance, which is about to end."""

    def __init__(self) -> None:
        super().__init__("This instance is shutting down; connect again.", retry_after=timedelta(seconds=1))


class Ending(Enum):
    """Why a connection ends: the code that closes a WebSocket (RFC 6455, 7.4), and the reason, for both ways."""

    SESSION_ENDED = (4401, "session_ended")
    SLOW = (4408, "slow")
    TOO_MANY_MESSAGES = (4429, "too_many_messages")
    TOO_LARGE = (1009, "too_large")
    NOT_TEXT = (1003, "not_text")
    SHUTDOWN = (1012, "shutdown")
    UNAVAILABLE = (1013, "unavailable")
    GONE = (1000, "gone")

    def __init__(self, code: int, reason: str) -> None:
        self.code = code
        self.reason = reason


_OF_STREAMS: Final[Mapping[Closing, Ending]] = {
    Closing.SLOW: Ending.SLOW,
    Closing.REVOKED: Ending.SESSION_ENDED,
    Closing.SHUTDOWN: Ending.SHUTDOWN,
}


class Line:
    """One live connection of somebody's. `ending` is set once, and `over` with it."""

    def __init__(self, principal: Principal) -> None:
        self.principal = principal
        self.ending = Ending.GONE
        self.over = asyncio.Event()
        self.until: datetime | None = None
        self.doubts = 0

    def end(self, ending: Ending) -> None:
        """End it, unless it is over already."""
        if not self.over.is_set():
            self.ending = ending
            self.over.set()

    async def end_with(self, stream: Stream) -> None:
        """End when a stream is closed by this side, also while what it gave is still being sent."""
        await stream.ended.wait()
        with self.ending_with():
            await anext(stream)

    @contextmanager
    def ending_with(self) -> Iterator[None]:
        """End where a stream that is read inside turns out to be closed."""
        try:
            yield
        except StreamClosed as closed:
            self.end(_OF_STREAMS[closed.reason])


class Lines:
    """All live connections of this process; a user has `most` over all processes.

    A connection ends within a second after its session or API key: whenever that is in doubt, or has reached its time,
    the token is asked for again, past all copies.
    """

    def __init__(self, events: Events, verify: Verify, watch: Watch, clock: Clock, tasks: Tasks, *, most: int) -> None:
        self.events = events
        self._verify = verify
        self._watch = watch
        self._clock = clock
        self._most = most
        self._lines: set[Line] = set()
        self._tasks = tasks
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._is_draining = False
        self._empty = asyncio.Event()
        self._tasks.every(LOOK_EVERY, "looking at which sessions have expired", self._look)

    @asynccontextmanager
    async def admit(self, principal: Principal) -> AsyncIterator[Line]:
        """A connection of this user's; raises `TooManyConnections`, `ShuttingDown`, `NotAuthenticated`."""
        if self._is_draining:
            raise ShuttingDown
        line, user = Line(principal), principal.user_id
        async with AsyncExitStack() as stack:
            stack.callback(self._watch(principal.token, lambda: self._doubt(line)))
            line.until = await self._verify(principal.token)
            own = self.events.subscribe(of_connections(user), member=principal.subject, at_most=self._most)
            try:
                await stack.enter_async_context(own)
            except TooManyStreams:
                raise TooManyConnections(self._most) from None
            await stack.enter_async_context(self.events.subscribe(CONNECTIONS, member=str(user)))
            if self._is_draining:
                raise ShuttingDown
            self._lines.add(line)
            stack.callback(self._forget, line)
            yield line

    def _forget(self, line: Line) -> None:
        self._lines.discard(line)
        if self._is_draining and not self._lines:
            self._empty.set()

    def drain(self) -> None:
        """End every connection, and admit no more."""
        self._is_draining = True
        for line in self._lines:
            line.end(Ending.SHUTDOWN)

    async def close(self) -> None:
        """Drain, and return when all have said goodbye, or have had the time to."""
        self.drain()
        if self._lines:
            with suppress(TimeoutError):
                async with asyncio.timeout(DRAINED_S):
                    await self._empty.wait()

    async def _look(self) -> None:
        now = self._clock.now()
        for line in self._lines:
            if line.until is not None and line.until <= now:
                self._doubt(line)

    def _doubt(self, line: Line) -> None:
        line.doubts += 1
        if line.doubts == 1 and not self._is_draining:
            self._tasks.start("asking for a token again", self._ask(line))

    async def _ask(self, line: Line) -> None:
        while line.doubts and not line.over.is_set():
            doubts = line.doubts
            try:
                async with self._turns:
                    line.until = await self._verify(line.principal.token)
            except NotAuthenticated:
                line.end(Ending.SESSION_ENDED)
            except Exception:  # noqa: BLE001 - logged; who cannot be known is not let stay
                _LOG.warning("a live connection is ended, as its session cannot be looked at", exc_info=True)
                line.end(Ending.UNAVAILABLE)
            line.doubts -= doubts
