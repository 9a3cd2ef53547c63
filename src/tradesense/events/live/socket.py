"""The WebSocket: what a client asks, what it is answered, and what it hears of the channels it has subscribed to."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

import msgspec
from starlette.types import Receive, Send

from keel.context import budget
from keel.errors import Refusal
from keel.events.contract import Message, Position, Stream
from keel.tasks import Tasks
from tradesense.events import schemas
from tradesense.events.live.lines import Ending, Line, Lines
from tradesense.events.schemas import Asked, Ping, Subscribe, Unsubscribe
from tradesense.events.service.channels import Channels

MOST_CHANNELS: Final = 32
"""Channels that one connection may hear."""
MOST_TEXT: Final = 4096
"""Characters that a client's message may have."""
QUEUE_BYTES: Final = 256 * 1024
"""What a connection may leave unread of each channel, beside what the network holds."""
BURST: Final = 100
PER_SECOND: Final = 10
"""Messages that a client may send: so many at once, and so many a second in the long run."""
HEARTBEAT_S: Final = 25.0
GOODBYE_S: Final = 1.0
"""How long the close frame may take to a client that may not be reading."""
AT_ONCE: Final = 32
"""Messages that are sent without a look at what else there is to do."""


class Pace:
    """How often a client may send; a token bucket."""

    def __init__(self, now: float) -> None:
        self._left = float(BURST)
        self._at = now

    def take(self, now: float) -> bool:
        """Whether one more may come now."""
        self._left = min(BURST, self._left + (now - self._at) * PER_SECOND) - 1
        self._at = now
        return self._left >= 0


class Conversation:
    """One WebSocket that has been accepted, until it is over."""

    def __init__(self, lines: Lines, channels: Channels, line: Line, receive: Receive, send: Send) -> None:
        self._events = lines.events
        self._channels = channels
        self._line = line
        self._receive = receive
        self._send = send
        self._loop = asyncio.get_running_loop()
        self._tasks = Tasks()
        self._following: dict[str, asyncio.Task[None]] = {}
        self._said_at = self._loop.time()

    async def run(self) -> None:
        """Talk until the connection is over, and say goodbye."""
        with budget(None):  # each wait for Redis is bounded by itself: this is no request
            async with self._tasks:
                self._tasks.start("a client's messages", self._read())
                self._tasks.start("heartbeats", self._beat())
                await self._line.over.wait()
        if self._line.ending is not Ending.GONE:
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(GOODBYE_S):
                    ending = self._line.ending
                    await self._send({"type": "websocket.close", "code": ending.code, "reason": ending.reason})

    async def _read(self) -> None:
        pace = Pace(self._loop.time())
        with self._failing():
            while not self._line.over.is_set():
                received = await self._receive()
                text = received.get("text")
                if received["type"] == "websocket.disconnect":
                    self._line.end(Ending.GONE)
                elif not pace.take(self._loop.time()):
                    self._line.end(Ending.TOO_MANY_MESSAGES)
                elif text is None:
                    self._line.end(Ending.NOT_TEXT)
                elif len(text) > MOST_TEXT:
                    self._line.end(Ending.TOO_LARGE)
                else:
                    await self._hear(text)

    @contextmanager
    def _failing(self) -> Iterator[None]:
        """An error of ours ends the connection: whoever talks to us comes back, and nothing is missed in silence."""
        try:
            yield
        except Exception:
            self._line.end(Ending.UNAVAILABLE)
            raise

    async def _hear(self, text: str) -> None:
        try:
            asked = schemas.ASKED.decode(text)
        except msgspec.DecodeError as error:
            await self._refuse(None, None, "malformed", f"This is no message that is understood: {error}.")
            return
        match asked:
            case Subscribe():
                await self._subscribe(asked)
            case Unsubscribe():
                await self._unsubscribe(asked)
            case Ping():
                await self._say(schemas.encoded("pong", asked.id))

    async def _subscribe(self, asked: Subscribe) -> None:
        if asked.channel in self._following:
            await self._refuse(asked, asked.channel, "already_subscribed", "This connection hears the channel already.")
        elif len(self._following) >= MOST_CHANNELS:
            await self._refuse(
                asked, asked.channel, "too_many_channels", f"A connection may hear {MOST_CHANNELS} channels."
            )
        else:
            try:
                await self._channels.check(self._line.principal.user_id, asked.channel)
            except Refusal as refusal:
                await self._refuse(asked, asked.channel, refusal.code, refusal.detail)
            else:
                following = self._tasks.start(f"hearing {asked.channel}", self._follow(asked))
                self._following[asked.channel] = following

    async def _unsubscribe(self, asked: Unsubscribe) -> None:
        following = self._following.pop(asked.channel, None)
        if following is None:
            await self._refuse(asked, asked.channel, "not_subscribed", "This connection does not hear the channel.")
            return
        following.cancel()
        await asyncio.wait([following])
        await self._say(schemas.encoded("unsubscribed", asked.id, channel=asked.channel))

    async def _follow(self, asked: Subscribe) -> None:
        subscription = self._events.subscribe(
            asked.channel, since=asked.place, member=self._line.principal.subject, queue_bytes=QUEUE_BYTES
        )
        with self._failing():
            async with subscription as stream:
                watching = self._tasks.start("a slow client", self._line.end_with(stream))
                try:
                    await self._pass_on(stream, asked.id)
                finally:
                    watching.cancel()

    async def _pass_on(self, stream: Stream, id_: str | int | None) -> None:
        sent = 0
        with self._line.ending_with():
            async for item in stream:
                if isinstance(item, Message):
                    await self._say(item.encoded(schemas.message))
                elif isinstance(item, Position):
                    await self._say(schemas.position(item, is_first=not sent, id_=id_))
                sent += 1
                if sent % AT_ONCE == 0:
                    await asyncio.sleep(0)

    async def _beat(self) -> None:
        while True:
            quiet = self._loop.time() - self._said_at
            if quiet >= HEARTBEAT_S:
                await self._say(schemas.encoded("heartbeat"))
                quiet = 0
            await asyncio.sleep(HEARTBEAT_S - quiet)

    async def _refuse(self, asked: Asked | None, channel: str | None, code: str, detail: str) -> None:
        named = {} if channel is None else {"channel": channel}
        await self._say(
            schemas.encoded("error", None if asked is None else asked.id, code=code, detail=detail, **named)
        )

    async def _say(self, data: bytes) -> None:
        self._said_at = self._loop.time()
        try:
            await self._send({"type": "websocket.send", "text": data.decode()})
        except OSError:  # it has been cut
            self._line.end(Ending.GONE)
