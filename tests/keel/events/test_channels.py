"""A channel over a broker that answers when it is told to: what overtakes what."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from keel.events.channels import Channel
from keel.events.contract import Message, Notice, Place, Position, Resumed
from keel.events.memory import MemoryBroker
from keel.events.streams import QueuedStream
from keel.redis.contract import RedisUnavailable
from keel.tasks import Tasks
from tests.keel.redis.telling import soon


class SlowBroker(MemoryBroker):
    """Answers `resume` when the gate is open; what was published is sent on when `send` says so."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.gate.set()
        self.asked = 0
        self.is_away = False
        self.sent: list[Notice] = []
        self._receive: Callable[[Notice], None]

    def listen(self, channel: str, receive: Callable[[Notice], None], live: Callable[[], None]) -> Callable[[], None]:
        self._receive = receive
        return super().listen(channel, self.sent.append, live)

    async def resume(self, channel: str, since: Place | None) -> Resumed:
        self.asked += 1
        if self.is_away:
            raise RedisUnavailable
        found = await super().resume(channel, since)
        await self.gate.wait()
        return found

    def send(self) -> None:
        """Send on what was published."""
        sent, self.sent[:] = self.sent[:], []
        for notice in sent:
            self._receive(notice)


class NoBreaks:
    async def mend(self, channel: str) -> None:
        """There is nothing to mend."""


@pytest.fixture
def broker() -> SlowBroker:
    return SlowBroker()


@pytest.fixture
async def channel(broker: SlowBroker) -> AsyncIterator[Channel]:
    async with Tasks() as tasks:
        channel = Channel("c", broker, NoBreaks(), tasks)
        yield channel
        channel.close()


async def publish(broker: SlowBroker, *data: bytes) -> Place:
    return [await broker.publish("c", each, None) for each in data][-1]


async def joined(channel: Channel, since: Place | None = None) -> QueuedStream:
    stream = QueuedStream("c", 1 << 20, None)
    await channel.join(stream, since)
    return stream


async def read(stream: QueuedStream) -> list[bytes | Position]:
    found: list[bytes | Position] = []
    while stream.unread_bytes:
        item = await anext(stream)
        assert isinstance(item, Position | Message)
        found.append(item.data if isinstance(item, Message) else item)
    return found


async def test_a_subscriber_gets_what_comes_while_its_history_is_fetched(channel: Channel, broker: SlowBroker) -> None:
    first = await publish(broker, b"1")
    other = await joined(channel)
    await publish(broker, b"2")
    broker.gate.clear()
    joining = asyncio.get_running_loop().create_task(joined(channel, first))
    await soon(lambda: broker.asked == 2)
    await publish(broker, b"3", b"4")
    broker.send()
    broker.gate.set()
    stream = await joining
    assert await read(stream) == [Position("c", *first, recovered=True), b"2", b"3", b"4"]
    assert (await read(other))[1:] == [b"1", b"2", b"3", b"4"]


async def test_a_history_that_is_ahead_of_the_pushes_is_not_repeated(channel: Channel, broker: SlowBroker) -> None:
    first = await publish(broker, b"1")
    other = await joined(channel)
    await publish(broker, b"2", b"3")
    stream = await joined(channel, first)
    broker.send()
    assert await read(stream) == [Position("c", *first, recovered=True), b"2", b"3"]
    assert (await read(other))[1:] == [b"1", b"2", b"3"]


async def test_a_gap_in_the_pushes_is_filled(channel: Channel, broker: SlowBroker) -> None:
    stream = await joined(channel)
    await publish(broker, b"1", b"2", b"3")
    del broker.sent[1]
    broker.gate.clear()
    broker.send()
    await soon(lambda: broker.asked == 2)
    await publish(broker, b"4", b"5")
    del broker.sent[0]
    broker.send()
    broker.gate.set()
    await soon(lambda: broker.asked == 3)
    await soon(lambda: stream._tail.offset == 5)
    assert (await read(stream))[1:] == [b"1", b"2", b"3", b"4", b"5"]


async def test_a_late_message_of_an_epoch_that_is_over_changes_nothing(channel: Channel, broker: SlowBroker) -> None:
    stream = await joined(channel)
    await publish(broker, b"1")
    late = broker.sent[:]
    broker.sent.clear()
    await broker.begin("c")
    place = await publish(broker, b"2")
    broker.send()
    await soon(lambda: stream._tail == place)
    broker.sent[:] = late
    broker.send()
    await soon(lambda: channel._looking is None)
    await publish(broker, b"3")
    broker.send()
    assert (await read(stream))[1:] == [Position("c", place.epoch, 1, recovered=False), b"3"]


async def test_an_epoch_that_begins_while_it_is_looked_up_is_noticed(channel: Channel, broker: SlowBroker) -> None:
    stream = await joined(channel)
    broker.gate.clear()
    channel.look()
    await soon(lambda: broker.asked == 2)
    await broker.begin("c")
    place = await publish(broker, b"1")
    broker.send()
    broker.gate.set()
    await soon(lambda: stream._tail == place)
    assert not stream.closed


async def test_what_becomes_local_while_it_is_looked_up_is_told_when_it_is_shared_again(
    channel: Channel, broker: SlowBroker
) -> None:
    stream = await joined(channel)
    broker.gate.clear()
    channel.look()
    await soon(lambda: broker.asked == 2)
    channel.deliver_here(b"here")
    broker.gate.set()
    await soon(lambda: channel._looking is None)
    assert not channel.is_local
    assert stream._tail.epoch == channel._place.epoch
    place = await publish(broker, b"1")
    broker.send()
    first, alone, data, back, last = await read(stream)
    assert isinstance(alone, Position)
    assert isinstance(back, Position)
    assert isinstance(first, Position)
    assert (alone.recovered, data) == (False, b"here")
    assert back == Position("c", place.epoch, 0, recovered=False)
    assert last == b"1"


async def test_a_broker_that_goes_while_a_subscriber_comes_is_told_of(channel: Channel, broker: SlowBroker) -> None:
    place = await publish(broker, b"1")
    await joined(channel)
    await publish(broker, b"2")
    broker.is_away = True
    stream = await joined(channel, place)
    positions = await read(stream)
    assert channel.is_local
    assert [isinstance(each, Position) and each.recovered for each in positions] == [False] * len(positions)
    broker.is_away = False
    await soon(lambda: not channel.is_local, 20)  # it looks again by itself
    (back,) = await read(stream)
    assert back == Position("c", place.epoch, 2, recovered=False)


async def test_a_channel_that_is_closed_does_nothing_more(channel: Channel, broker: SlowBroker) -> None:
    await joined(channel)
    channel.go_local()
    channel.close()
    channel.look()
    assert channel._looking is None
    assert broker.asked == 1
