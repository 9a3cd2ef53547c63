"""The events of one process: its channels, what it publishes, and what is done when the broker goes and comes."""

import asyncio
import logging
from collections import Counter
from datetime import timedelta
from secrets import token_hex
from types import TracebackType
from typing import Final

import msgspec

from keel.events.channels import Channel
from keel.events.coalescing import Coalescing
from keel.events.contract import (
    MOST_BYTES,
    QUEUE_BYTES,
    Broker,
    Closing,
    MessageTooLarge,
    Place,
    Published,
    TooManyStreams,
)
from keel.events.observer import NullObserver, Observer
from keel.events.streams import QueuedStream
from keel.redis.contract import CommandRefused, RedisUnavailable
from keel.tasks import Tasks
from keel.traces.spans import part

TENDING: Final = timedelta(seconds=20)
"""Between two looks after every channel: who is there is noted again, and a message that was lost is noticed."""
MOST_BROKEN: Final = 100_000
RETRY_S: Final = 0.5

_LOG: Final = logging.getLogger(__name__)


class Hub:
    """`keel.events.contract.Events` over a broker."""

    def __init__(self, broker: Broker, tasks: Tasks) -> None:
        self.observer: Observer = NullObserver()
        self._broker = broker
        self._tasks = tasks
        self._channels: dict[str, Channel] = {}
        self._broken: dict[str, int] = {}
        """Channels of which a message was delivered here alone, or nowhere, and how often that happened."""
        self._mending: asyncio.Task[None] | None = None
        self._coalescing = Coalescing(self._publish, tasks)
        self._tending = tasks.every(TENDING, "events: tending", self._tend)
        self._unwatch = broker.watch(self)

    async def publish(
        self, channel: str, data: object, *, idempotency_key: str | None = None, coalesce: str | None = None
    ) -> Published | None:
        """Send `data` to all who subscribe to `channel`; all that `Events.publish` says holds."""
        if coalesce is not None and idempotency_key is not None:
            raise ValueError("a message that may be replaced has no idempotency key")
        encoded = msgspec.json.encode(data)
        if len(encoded) > MOST_BYTES:
            raise MessageTooLarge(len(encoded))
        if coalesce is None:
            await self._coalescing.flush(channel)
        elif self._coalescing.hold(channel, coalesce, encoded):
            return None
        with part("publish", {"messaging.destination.template": channel.partition(":")[0]}, kind="producer"):
            return await self._publish(channel, encoded, idempotency_key)

    def subscribe(
        self,
        channel: str,
        *,
        since: tuple[str, int] | None = None,
        member: str | None = None,
        at_most: int | None = None,
        heartbeat_s: float | None = None,
        queue_bytes: int = QUEUE_BYTES,
    ) -> "Subscription":
        """Receive what is published on `channel`; all that `Events.subscribe` says holds."""
        stream = QueuedStream(channel, queue_bytes, heartbeat_s)
        return Subscription(self, stream, None if since is None else Place(*since), member, at_most)

    async def presence(self, channel: str) -> Counter[str]:
        """Who is subscribed to `channel` as a member, and how often."""
        try:
            return Counter(await self._broker.present(channel))
        except (RedisUnavailable, CommandRefused):
            here = self._channels.get(channel)
            return Counter(here.members.values() if here else ())

    async def enter(self, stream: QueuedStream, since: Place | None) -> Channel:
        """Let a stream begin."""
        channel = self._channels.get(stream.channel)
        if channel is None:
            channel = self._channels[stream.channel] = Channel(stream.channel, self._broker, self, self._tasks)
        self.observer.opened(stream.channel)
        await channel.join(stream, since)
        return channel

    def leave(self, stream: QueuedStream) -> None:
        """Let a stream go, and the channel with its last one."""
        channel = self._channels.get(stream.channel)
        if channel is not None and stream in channel.streams:
            channel.streams.discard(stream)
            self.observer.closed(stream.channel, stream.closed)
            if not channel.streams:
                channel.close()
                del self._channels[stream.channel]

    async def appear(self, channel: Channel, connection: str, member: str, at_most: int | None) -> None:
        """Note who is there; raises TooManyStreams."""
        channel.members[connection] = member
        try:
            admitted = await self._broker.appear(channel.name, {connection: member}, at_most)
        except (RedisUnavailable, CommandRefused):
            admitted = at_most is None or len(channel.members) <= at_most
        if not admitted:
            raise TooManyStreams(at_most or 0)

    def disappear(self, channel: Channel, connection: str) -> None:
        """Forget who was there."""
        member = channel.members.pop(connection)
        try:
            self._tasks.start(f"events: leaving {channel.name}", self._disappear(channel.name, connection, member))
        except RuntimeError:  # everything is closed already; it is forgotten in time
            return

    async def mend(self, channel: str) -> None:
        """Begin a new epoch where messages did not reach everybody."""
        times = self._broken.get(channel)
        if times is not None:
            await self._broker.begin(channel)
            if self._broken.get(channel) == times:
                del self._broken[channel]

    def came(self) -> None:
        """The broker is there (again): see what was missed."""
        self._mend_soon()
        for channel in self._channels.values():
            channel.look()

    def went(self) -> None:
        """The broker is away, or one of its servers: each channel sees for itself."""
        for channel in self._channels.values():
            channel.look()

    async def close(self) -> None:
        """Send what is held back, and end every stream."""
        await self._coalescing.close()
        self._unwatch()
        self._tending.cancel()
        for channel in list(self._channels.values()):
            for stream in channel.streams:
                stream.close(Closing.SHUTDOWN)
                self.observer.closed(stream.channel, stream.closed)
            channel.close()
        self._channels.clear()

    async def _publish(self, channel: str, data: bytes, idempotency_key: str | None = None) -> Published:
        try:
            place = await self._broker.publish(channel, data, idempotency_key)
        except (RedisUnavailable, CommandRefused) as error:
            if channel not in self._broken:
                _LOG.warning("a message on %s reaches this process alone: %s", channel, error)
            self.observer.published(channel, shared=False)
            return self._publish_here(channel, data)
        self.observer.published(channel, shared=True)
        return Published(*place)

    def _publish_here(self, channel: str, data: bytes) -> Published:
        self._broken[channel] = self._broken.get(channel, 0) + 1
        if len(self._broken) > MOST_BROKEN:
            del self._broken[next(iter(self._broken))]
        here = self._channels.get(channel)
        if here is None:
            self._mend_soon()
            return Published("", 0, shared=False)
        return Published(*here.deliver_here(data), shared=False)

    def _mend_soon(self) -> None:
        if self._mending is None and self._broken and self._broker.available:
            self._mending = self._tasks.start("events: new epochs", self._mend_all())

    async def _mend_all(self) -> None:
        try:
            while self._broken and self._broker.available:
                for channel in list(self._broken):
                    try:
                        await self.mend(channel)
                    except (RedisUnavailable, CommandRefused):
                        await asyncio.sleep(RETRY_S)
                        break
        finally:
            self._mending = None

    async def _tend(self) -> None:
        for channel in list(self._channels.values()):
            channel.look()
            if channel.members:
                try:
                    await self._broker.appear(channel.name, dict(channel.members))
                except (RedisUnavailable, CommandRefused):
                    continue

    async def _disappear(self, channel: str, connection: str, member: str) -> None:
        try:
            await self._broker.disappear(channel, connection, member)
        except (RedisUnavailable, CommandRefused) as error:
            _LOG.info("whoever left %s is forgotten in a minute: %s", channel, error)


class Subscription:
    """One `async with`: begins on entering, and ends on leaving."""

    def __init__(
        self, hub: Hub, stream: QueuedStream, since: Place | None, member: str | None, at_most: int | None
    ) -> None:
        self._hub = hub
        self._stream = stream
        self._since = since
        self._member = member
        self._at_most = at_most
        self._connection = token_hex(8)
        self._channel: Channel | None = None

    async def __aenter__(self) -> QueuedStream:
        try:
            self._channel = await self._hub.enter(self._stream, self._since)
            if self._member is not None:
                await self._hub.appear(self._channel, self._connection, self._member, self._at_most)
        except BaseException:
            self._end()
            raise
        return self._stream

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        if self._channel is not None and self._connection in self._channel.members:
            self._hub.disappear(self._channel, self._connection)
        self._hub.leave(self._stream)
        self._stream.close(Closing.SHUTDOWN)
