"""What events promise, in memory and over a server that two instances share."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec
import pytest

import keel
from keel.events.contract import (
    HISTORY,
    MOST_BYTES,
    Beat,
    Closing,
    Events,
    Item,
    Message,
    MessageTooLarge,
    Place,
    Position,
    Published,
    Stream,
    StreamClosed,
    TooManyStreams,
)
from keel.opening import Keel
from tests.keel.redis.telling import soon


@pytest.fixture(params=["memory", "redis"])
async def pair(request: pytest.FixtureRequest, redis_namespace: str) -> AsyncIterator[tuple[Events, Events]]:
    """The events as two instances see them; in memory there is only one."""
    url = request.getfixturevalue("redis_url") if request.param == "redis" else None
    async with AsyncExitStack() as stack:
        opened = [await stack.enter_async_context(Keel.open(url, redis_namespace)) for _ in range(2 if url else 1)]
        yield opened[0].events, opened[-1].events


@pytest.fixture
def events(pair: tuple[Events, Events]) -> Events:
    return pair[0]


@pytest.fixture
def elsewhere(pair: tuple[Events, Events]) -> Events:
    return pair[1]


async def next_of(stream: Stream) -> Item:
    async with asyncio.timeout(20):
        return await anext(stream)


async def begun(stream: Stream) -> Position:
    item = await next_of(stream)
    assert isinstance(item, Position)
    return item


async def data_of(stream: Stream, count: int) -> list[Any]:
    found = []
    for _ in range(count):
        item = await next_of(stream)
        assert isinstance(item, Message), item
        found.append(msgspec.json.decode(item.data))
    return found


async def publish_all(events: Events, *data: object) -> list[Place]:
    places = []
    for each in data:
        published = await events.publish("user:7", each)
        assert published is not None
        assert published.shared
        places.append(Place(published.epoch, published.offset))
    return places


async def test_what_is_published_reaches_every_subscriber_in_order(events: Events, elsewhere: Events) -> None:
    async with AsyncExitStack() as stack:
        streams = [
            await stack.enter_async_context(each.subscribe("user:7")) for each in (events, events, elsewhere, elsewhere)
        ]
        places = [*await publish_all(events, 0, 1, 2), *await publish_all(elsewhere, 3, 4)]
        for stream in streams:
            position = await begun(stream)
            assert position == Position("user:7", places[0].epoch, 0, recovered=True)
            assert await data_of(stream, 5) == [0, 1, 2, 3, 4]
            assert stream.place == places[-1]
        assert [place.offset for place in places] == [1, 2, 3, 4, 5]


async def test_channels_are_told_apart(events: Events, elsewhere: Events) -> None:
    names = ["a", "b", "{a}", "a}", "a" * 300, "ä b\n"]
    async with AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(elsewhere.subscribe(name)) for name in names]
        for at, name in enumerate(names):
            await events.publish(name, at)
        for at, stream in enumerate(streams):
            assert (await begun(stream)).channel == stream.channel == names[at]
            assert await data_of(stream, 1) == [at]


async def test_who_comes_back_gets_exactly_what_was_missed(events: Events, elsewhere: Events) -> None:
    places = await publish_all(events, *range(10))
    for since, missed in ((places[3], [4, 5, 6, 7, 8, 9]), (places[9], []), (Place(places[0].epoch, 0), [*range(10)])):
        async with elsewhere.subscribe("user:7", since=since) as stream:
            assert await begun(stream) == Position("user:7", *since, recovered=True)
            assert await data_of(stream, len(missed)) == missed
    async with elsewhere.subscribe("user:7", since=places[7]) as stream:
        await publish_all(events, 10)
        await begun(stream)
        assert await data_of(stream, 3) == [8, 9, 10]


async def test_who_joins_others_gets_what_was_missed_and_then_what_they_get(events: Events, elsewhere: Events) -> None:
    places = await publish_all(events, 0, 1, 2)
    async with elsewhere.subscribe("user:7") as first, elsewhere.subscribe("user:7", since=places[0]) as second:
        await publish_all(events, 3)
        await begun(first)
        await begun(second)
        assert await data_of(first, 1) == [3]
        assert await data_of(second, 3) == [1, 2, 3]


@pytest.mark.parametrize(
    "since", [("unknown", 1), ("un.known", 0), ("here-0123.", 4), ("", 0), ("known", 99)], ids=lambda since: since[0]
)
async def test_who_comes_back_from_nowhere_is_told(events: Events, since: tuple[str, int]) -> None:
    places = await publish_all(events, 0, 1)
    asked = (places[0].epoch, since[1]) if since[0] == "known" else since
    async with events.subscribe("user:7", since=asked) as stream:
        assert await begun(stream) == Position("user:7", *places[1], recovered=False)
        await publish_all(events, 2)
        assert await data_of(stream, 1) == [2]


async def test_who_was_away_for_longer_than_history_is_told(events: Events, elsewhere: Events) -> None:
    places = await publish_all(events, *range(HISTORY + 5))
    for at, recovered in ((3, False), (4, True)):
        async with elsewhere.subscribe("user:7", since=places[at]) as stream:
            assert (await begun(stream)).recovered is recovered
            if recovered:
                assert await data_of(stream, HISTORY) == list(range(5, HISTORY + 5))


async def test_more_than_can_be_sent_at_once_is_not_resumed(events: Events) -> None:
    places = await publish_all(events, *(["x" * 60_000] * 10))
    async with events.subscribe("user:7", since=(places[0].epoch, 0)) as stream:
        assert not (await begun(stream)).recovered
    async with events.subscribe("user:7", since=places[3]) as stream:
        assert (await begun(stream)).recovered
        assert len(await data_of(stream, 6)) == 6


async def test_a_message_with_a_known_key_is_not_sent_again(events: Events, elsewhere: Events) -> None:
    async with elsewhere.subscribe("user:7") as stream:
        first = await events.publish("user:7", "a", idempotency_key="import:1")
        again = await elsewhere.publish("user:7", "b", idempotency_key="import:1")
        other = await elsewhere.publish("user:7", "c", idempotency_key="import:2")
        elsewhere_too = await events.publish("user:8", "d", idempotency_key="import:1")
        assert first is not None
        assert other is not None
        assert elsewhere_too is not None
        assert again == first
        assert (other.offset, elsewhere_too.offset) == (2, 1)
        await begun(stream)
        assert await data_of(stream, 2) == ["a", "c"]


async def test_of_messages_that_replace_one_another_the_first_and_the_newest_are_sent(
    events: Events, elsewhere: Events
) -> None:
    async with elsewhere.subscribe("user:7") as stream:
        answers = [await events.publish("user:7", at, coalesce="import:1") for at in range(50)]
        await begun(stream)
        assert await data_of(stream, 2) == [0, 49]
        assert answers[0] is not None
        assert answers[1:] == [None] * 49
        await asyncio.sleep(0.3)
        await events.publish("user:7", "later", coalesce="import:1")
        assert await data_of(stream, 1) == ["later"]


async def test_nothing_overtakes_what_is_held_back(events: Events) -> None:
    async with events.subscribe("user:7") as stream:
        for at in range(3):
            await events.publish("user:7", at, coalesce="import:1")
            await events.publish("user:7", at + 10, coalesce="import:2")
        await events.publish("user:7", "done")
        await begun(stream)
        assert await data_of(stream, 5) == [0, 10, 2, 12, "done"]


async def test_what_is_held_back_is_sent_when_all_is_closed(redis_url: str, redis_namespace: str) -> None:
    async with Keel.open(redis_url, redis_namespace) as there, there.events.subscribe("user:7") as stream:
        async with Keel.open(redis_url, redis_namespace) as here:
            await here.events.publish("user:7", 1, coalesce="import:1")
            await here.events.publish("user:7", 2, coalesce="import:1")
        await begun(stream)
        assert await data_of(stream, 2) == [1, 2]


async def test_data_of_any_kind_travels_as_json_and_is_encoded_once(events: Events) -> None:
    @dataclass
    class Summary:
        net: Decimal

    made = []

    def frame(message: Message) -> bytes:
        made.append(message.offset)
        return b"%d %s" % (message.offset, message.data)

    async with events.subscribe("user:7") as first, events.subscribe("user:7") as second:
        await events.publish("user:7", Summary(Decimal("1.50")))
        for stream in (first, second):
            await begun(stream)
            message = await next_of(stream)
            assert isinstance(message, Message)
            assert message.encoded(frame) == b'1 {"net":"1.50"}'
            assert "Summary" not in repr(message)
        assert made == [1]


async def test_what_is_too_large_is_refused(events: Events) -> None:
    with pytest.raises(MessageTooLarge):
        await events.publish("user:7", "x" * MOST_BYTES)
    with pytest.raises(ValueError, match="idempotency"):
        await events.publish("user:7", 1, idempotency_key="a", coalesce="a")


async def test_a_subscriber_that_never_reads_is_closed_and_costs_nobody_else_anything(
    events: Events, elsewhere: Events
) -> None:
    async with (
        elsewhere.subscribe("user:7", queue_bytes=5000) as slow,
        elsewhere.subscribe("user:7", queue_bytes=5000) as quick,
    ):
        await begun(quick)
        for at in range(200):
            await events.publish("user:7", [at, "x" * 100])
            assert (await data_of(quick, 1))[0][0] == at
        await asyncio.wait_for(slow.ended.wait(), 20)
        with pytest.raises(StreamClosed) as closed:
            await next_of(slow)
        assert closed.value.reason is Closing.SLOW
        assert slow.unread_bytes == 0  # type: ignore[attr-defined]  # its own


async def test_a_stream_that_is_closed_says_why(events: Events) -> None:
    async with events.subscribe("user:7") as stream:
        await begun(stream)
        waiting = asyncio.get_running_loop().create_task(next_of(stream))
        await asyncio.sleep(0)
        stream.close(Closing.REVOKED)
        stream.close(Closing.SLOW)
        with pytest.raises(StreamClosed, match="revoked"):
            await waiting
        with pytest.raises(StreamClosed, match="revoked"):
            await next_of(stream)


async def test_closing_everything_ends_every_stream() -> None:
    async with AsyncExitStack() as stack:
        async with Keel.open() as opened:
            stream = await stack.enter_async_context(opened.events.subscribe("user:7", member="u"))
            await begun(stream)
        with pytest.raises(StreamClosed, match="shutdown"):
            await next_of(stream)


async def test_a_heartbeat_comes_where_nothing_else_does(events: Events) -> None:
    async with events.subscribe("user:7", heartbeat_s=0.05) as stream:
        position = await begun(stream)
        assert await next_of(stream) == Beat("user:7", position.epoch, position.offset)
        (place,) = await publish_all(events, 1)
        while not isinstance(await next_of(stream), Message):
            pass
        assert await next_of(stream) == Beat("user:7", *place)


async def test_a_stream_has_one_reader_and_outlives_one_that_is_cancelled(events: Events) -> None:
    async with events.subscribe("user:7") as stream:
        await begun(stream)
        waiting = asyncio.get_running_loop().create_task(next_of(stream))
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="one reader"):
            await next_of(stream)
        waiting.cancel()
        await asyncio.wait([waiting])
        await publish_all(events, 1)
        assert await data_of(stream, 1) == [1]


async def test_presence_shows_who_is_there_and_how_often(events: Events, elsewhere: Events) -> None:
    async with events.subscribe("desk", member="ada"), elsewhere.subscribe("desk", member="ada"):
        async with elsewhere.subscribe("desk", member="grace hopper"), events.subscribe("desk"):
            for each in (events, elsewhere):
                assert await each.presence("desk") == Counter({"ada": 2, "grace hopper": 1})
        await _present(events, "desk", {"ada": 2})
        assert await events.presence("nowhere") == Counter()
    await _present(events, "desk", {})


async def _present(events: Events, channel: str, expected: dict[str, int]) -> None:
    async with asyncio.timeout(20):
        while await events.presence(channel) != Counter(expected):  # noqa: ASYNC110 - it is no event
            await asyncio.sleep(0.005)


async def test_more_than_are_allowed_are_refused_wherever_they_come(events: Events, elsewhere: Events) -> None:
    async with events.subscribe("user:7", member="u", at_most=2):
        async with elsewhere.subscribe("user:7", member="u", at_most=2) as stream:
            for each in (events, elsewhere):
                with pytest.raises(TooManyStreams):
                    async with each.subscribe("user:7", member="u", at_most=2):
                        pytest.fail("one too many")
            await publish_all(events, 1)
            await begun(stream)
            assert await data_of(stream, 1) == [1]
        await _present(events, "user:7", {"u": 1})
        async with events.subscribe("user:7", member="u", at_most=2):
            pass


async def test_coming_and_going_leaves_nothing_behind(events: Events, elsewhere: Events) -> None:
    for number in range(30):
        async with elsewhere.subscribe("user:7") as stream:
            await publish_all(events, number)
            await begun(stream)
            assert await data_of(stream, 1) == [number]
    await soon(lambda: not elsewhere._channels, 20)  # type: ignore[attr-defined]  # its own


async def test_the_handles_are_those_of_the_running_keel() -> None:
    async with Keel.open(), keel.subscribe("user:7") as stream:
        published = await keel.publish("user:7", {"a": 1})
        assert isinstance(published, Published)
        await begun(stream)
        assert await data_of(stream, 1) == [{"a": 1}]
