"""Events while servers and connections are mistreated."""

import asyncio
import random
import sys
from collections import Counter
from contextlib import AsyncExitStack

import pytest

from keel.context import Budget, budget
from keel.events.contract import Closing, Events, Message, Place, Position, Stream, StreamClosed
from keel.opening import Keel
from keel.redis.contract import Redis
from keel.redis.router import slot_of
from tests.conftest import CHECKOUT
from tests.keel.events.reading import Client
from tests.keel.redis.telling import soon
from tests.valkey import Cluster, Sentinels, Valkey, until

CHANNEL = "user:7"
HISTORY_KEY = "ns:eh:{user:7}"


async def next_of(stream: Stream) -> Position | Message:
    async with asyncio.timeout(30):
        item = await anext(stream)
    assert isinstance(item, Position | Message)
    return item


async def position_of(stream: Stream) -> Position:
    item = await next_of(stream)
    assert isinstance(item, Position), item
    return item


async def data_of(stream: Stream, count: int) -> list[bytes]:
    found = []
    for _ in range(count):
        item = await next_of(stream)
        assert isinstance(item, Message), item
        found.append(item.data)
    return found


def redis_of(keel: Keel) -> Redis:
    assert keel.redis is not None
    return keel.redis


async def available(*keels: Keel) -> None:
    for keel in keels:
        redis = redis_of(keel)
        await soon(lambda redis=redis: redis.available, 30)  # type: ignore[misc]


async def away(*keels: Keel) -> None:
    for keel in keels:
        redis = redis_of(keel)
        await soon(lambda redis=redis: not redis.available, 30)  # type: ignore[misc]


async def is_shared(events: Events, channel: str = CHANNEL) -> Place:
    """Publish until a message reaches everybody; the place of that."""
    async with asyncio.timeout(30):
        while True:
            published = await events.publish(channel, "shared")
            assert published is not None
            if published.shared:
                return Place(published.epoch, published.offset)
            await asyncio.sleep(0.05)


async def test_messages_that_the_push_connection_lost_are_fetched(valkey: Valkey) -> None:
    async with (
        Keel.open(valkey.url, "ns") as here,
        Keel.open(valkey.url, "ns") as there,
        there.events.subscribe(CHANNEL) as stream,
    ):
        await position_of(stream)
        for number in range(20):
            if number % 5 == 0:
                valkey.ask("CLIENT", "KILL", "TYPE", "pubsub")
            await here.events.publish(CHANNEL, number)
        assert await data_of(stream, 20) == [str(number).encode() for number in range(20)]


async def test_without_a_server_messages_reach_this_process_and_all_are_told(valkey: Valkey) -> None:
    async with (
        Keel.open(valkey.url, "ns") as here,
        Keel.open(valkey.url, "ns") as there,
        here.events.subscribe(CHANNEL) as mine,
        there.events.subscribe(CHANNEL) as others,
    ):
        await here.events.publish(CHANNEL, 1)
        for stream in (mine, others):
            await position_of(stream)
            await data_of(stream, 1)
        before = mine.place
        valkey.kill()
        await away(here, there)
        for stream in (mine, others):
            assert not (await position_of(stream)).recovered
        published = await here.events.publish(CHANNEL, 2)
        assert published is not None
        assert not published.shared
        assert await data_of(mine, 1) == [b"2"]
        async with here.events.subscribe(CHANNEL, since=before) as late, there.events.subscribe("other") as fresh:
            assert not (await position_of(late)).recovered
            assert not (await position_of(fresh)).recovered
        async with here.events.subscribe(CHANNEL, since=mine.place) as second:
            assert (await position_of(second)).recovered
        valkey.start()
        await available(here, there)
        for stream in (mine, others):
            position = await position_of(stream)
            assert not position.recovered
            assert position.epoch not in {before.epoch, published.epoch}
        place = await is_shared(here.events)
        assert await _until_shared(others) == place
        assert await _until_shared(mine) == place


async def _until_shared(stream: Stream) -> Place:
    while True:
        item = await next_of(stream)
        if isinstance(item, Message) and item.data == b'"shared"':
            return Place(item.epoch, item.offset)


async def test_an_outage_in_which_messages_went_astray_ends_the_epoch_for_who_was_not_there(valkey: Valkey) -> None:
    """The server keeps its data, so without a new epoch nobody who comes back would notice."""
    async with Keel.open(valkey.url, "ns") as here, Keel.open(valkey.url, "ns") as there:
        place = await is_shared(here.events)
        untouched = await is_shared(here.events, "quiet")
        valkey.pause()
        await away(here)
        published = await here.events.publish(CHANNEL, "astray")
        assert published is not None
        assert not published.shared
        valkey.resume()
        await available(here, there)
        await soon(lambda: here.events._broken == {}, 30)  # type: ignore[attr-defined]  # its own
        async with there.events.subscribe(CHANNEL, since=place) as stream:
            assert not (await position_of(stream)).recovered
        async with there.events.subscribe("quiet", since=untouched) as stream:
            assert (await position_of(stream)).recovered


async def test_an_outage_without_messages_loses_none(valkey: Valkey) -> None:
    client = Client(CHANNEL)
    async with Keel.open(valkey.url, "ns") as here, Keel.open(valkey.url, "ns") as there:
        await is_shared(here.events)
        await client.connect(there.events)
        valkey.pause()
        await away(here, there)
        valkey.resume()
        await available(here, there)
        place = await is_shared(here.events)
        await soon(lambda: client.log.promise == place, 30)
        await client.leave()


async def test_a_server_that_restarts_empty_is_another_one(valkey: Valkey) -> None:
    async with Keel.open(valkey.url, "ns") as keel:
        place = await is_shared(keel.events)
        valkey.restart()
        await available(keel)
        assert (await is_shared(keel.events)).offset == place.offset
        async with keel.events.subscribe(CHANNEL, since=place) as stream:
            assert not (await position_of(stream)).recovered


async def test_a_server_that_is_emptied_is_noticed_by_who_is_there_and_by_who_comes_back(valkey: Valkey) -> None:
    async with Keel.open(valkey.url, "ns") as keel, keel.events.subscribe(CHANNEL) as stream:
        await position_of(stream)
        place = await is_shared(keel.events)
        await data_of(stream, 1)
        valkey.ask("FLUSHALL")
        after = await is_shared(keel.events)
        position = await position_of(stream)
        assert not position.recovered
        if position.offset < after.offset:
            await data_of(stream, 1)
        assert stream.place == after != place
        async with keel.events.subscribe(CHANNEL, since=place) as second:
            assert not (await position_of(second)).recovered


async def test_a_full_server_is_as_one_that_is_away_and_nobody_is_left_in_the_dark(valkey: Valkey) -> None:
    async with (
        Keel.open(valkey.url, "ns") as here,
        Keel.open(valkey.url, "ns") as there,
        here.events.subscribe(CHANNEL) as mine,
        there.events.subscribe(CHANNEL) as others,
    ):
        await position_of(mine)
        await position_of(others)
        valkey.ask("CONFIG", "SET", "maxmemory", 1)
        published = await here.events.publish(CHANNEL, 1)
        assert published is not None
        assert not published.shared
        assert not (await position_of(mine)).recovered
        assert await data_of(mine, 1) == [b"1"]
        assert not (await position_of(others)).recovered
        valkey.ask("CONFIG", "SET", "maxmemory", 0)
        place = await is_shared(here.events)
        assert await _until_shared(others) == place


async def test_a_message_that_was_not_answered_in_time_is_told_of(valkey: Valkey) -> None:
    """The server is not away: it is slow, once."""
    async with (
        Keel.open(valkey.url, "ns") as here,
        Keel.open(valkey.url, "ns") as there,
        here.events.subscribe(CHANNEL) as mine,
        there.events.subscribe(CHANNEL) as others,
    ):
        await position_of(mine)
        await position_of(others)
        valkey.pause()
        published = await here.events.publish(CHANNEL, 1)
        valkey.resume()
        assert published is not None
        assert not published.shared
        await soon(lambda: here.events._broken == {}, 30)  # type: ignore[attr-defined]  # its own
        place = await is_shared(there.events)
        for stream, breaks in ((mine, 2), (others, 1)):  # mine was told that it is alone, too
            told = []
            while stream.place != place:
                told.append(await next_of(stream))
            assert sum(isinstance(item, Position) and not item.recovered for item in told) == breaks


async def test_publishing_takes_nothing_from_a_request_that_has_waited_enough(valkey: Valkey) -> None:
    async with Keel.open(valkey.url, "ns") as keel:
        with budget(0.0) as spent:
            assert isinstance(spent, Budget)
            assert (await is_shared(keel.events)).offset == 1


async def test_messages_are_counted_on_when_scripts_are_forgotten(valkey: Valkey) -> None:
    async with Keel.open(valkey.url, "ns") as keel:
        offsets = []
        for _ in range(3):
            offsets.append((await is_shared(keel.events)).offset)
            valkey.ask("SCRIPT", "FLUSH")
        assert offsets == [1, 2, 3]


async def test_what_is_kept_is_bounded_and_expires(valkey: Valkey) -> None:
    async with Keel.open(valkey.url, "ns") as keel:
        for number in range(1100):
            await keel.events.publish(CHANNEL, number, idempotency_key="only one" if number == 0 else None)
        async with keel.events.subscribe(CHANNEL, member="u"):
            keys = valkey.ask("KEYS", "ns:e*{user:7}*")
            assert len(keys) == 4
            assert all(valkey.ask("PTTL", key) > 0 for key in keys)
        assert valkey.ask("XLEN", HISTORY_KEY) == 1000


async def test_who_is_there_is_forgotten_with_a_process_that_died(valkey: Valkey) -> None:
    async with Keel.open(valkey.url, "ns") as keel, keel.events.subscribe(CHANNEL, member="u"):
        valkey.ask("ZADD", "ns:ep:{user:7}", 1, "dead u")
        valkey.ask("ZADD", "ns:ep:{user:7}", 10**15, "alive u")
        assert await keel.events.presence(CHANNEL) == Counter({"u": 2})
        async with keel.events.subscribe(CHANNEL, member="v", at_most=3):
            assert await keel.events.presence(CHANNEL) == Counter({"u": 2, "v": 1})
        valkey.kill()
        await away(keel)
        assert await keel.events.presence(CHANNEL) == Counter({"u": 1})
        assert await keel.events.presence("nowhere") == Counter()


async def test_who_is_there_is_noted_again_and_again(valkey: Valkey) -> None:
    async with Keel.open(valkey.url, "ns") as keel, keel.events.subscribe(CHANNEL, member="u"):
        valkey.ask("FLUSHALL")
        assert await keel.events.presence(CHANNEL) == Counter()
        await keel.events._tend()  # type: ignore[attr-defined]  # its own
        assert await keel.events.presence(CHANNEL) == Counter({"u": 1})
        valkey.kill()
        await away(keel)
        await keel.events._tend()  # type: ignore[attr-defined]  # its own


async def test_a_subscription_that_the_server_refuses_is_local(valkey: Valkey) -> None:
    valkey.ask("ACL", "SETUSER", "poor", "on", ">pw", "~*", "resetchannels", "+@all")
    poor = f"redis://poor:pw@127.0.0.1:{valkey.port}"
    async with Keel.open(poor, "ns") as keel, keel.events.subscribe(CHANNEL) as stream:
        assert not (await position_of(stream)).recovered
        published = await keel.events.publish(CHANNEL, 1)
        assert published is not None
        assert not published.shared
        assert await data_of(stream, 1) == [b"1"]


async def test_after_a_failover_offsets_are_not_confused(sentinels: Sentinels) -> None:
    client = Client(CHANNEL)
    async with Keel.open(sentinels.url, "ns") as here, Keel.open(sentinels.url, "ns") as there:
        await available(here, there)
        await client.connect(there.events)
        place = await is_shared(here.events)
        until(lambda: sentinels.replica.ask("EXISTS", HISTORY_KEY) == 1)
        sentinels.lose_master()
        await away(here, there)
        await soon(lambda: redis_of(here).available and redis_of(there).available, 60)
        after = await is_shared(here.events)
        assert after.epoch != place.epoch
        await soon(lambda: client.log.promise == after, 30)
        assert client.log.breaks >= 1
        await client.leave()
        async with there.events.subscribe(CHANNEL, since=place) as stream:
            assert not (await position_of(stream)).recovered


async def test_on_a_cluster_channels_live_where_their_slot_is(shared_cluster: Cluster, redis_namespace: str) -> None:
    names = [f"user:{number}" for number in range(12)]
    assert len({slot_of(f"{redis_namespace}:ev:{{{name}}}") * 3 // 16384 for name in names}) == 3
    async with (
        Keel.open(shared_cluster.url, redis_namespace) as here,
        Keel.open(shared_cluster.url, redis_namespace) as there,
        AsyncExitStack() as stack,
    ):
        streams = [await stack.enter_async_context(there.events.subscribe(name, member="u")) for name in names]
        for name, stream in zip(names, streams, strict=True):
            first = await here.events.publish(name, name, idempotency_key="a")
            assert await here.events.publish(name, name, idempotency_key="a") == first
            assert (await position_of(stream)).recovered
            assert await data_of(stream, 1) == [f'"{name}"'.encode()]
            assert await here.events.presence(name) == Counter({"u": 1})
        place = streams[0].place
        await here.events.publish(names[0], 2)
        async with here.events.subscribe(names[0], since=place) as stream:
            assert (await position_of(stream)).recovered
            assert await data_of(stream, 1) == [b"2"]


async def test_a_cluster_node_that_is_lost_is_told_of_and_its_channels_go_on(cluster: Cluster) -> None:
    names = [f"user:{number}" for number in range(12)]
    clients = [Client(name) for name in names]
    async with Keel.open(cluster.url, "ns") as here, Keel.open(cluster.url, "ns") as there:
        await available(here, there)
        for client in clients:
            await client.connect(there.events)
        for name in names:
            await is_shared(here.events, name)
        cluster.lose(cluster.masters[0])
        await away(here, there)
        for name in names:
            await here.events.publish(name, "meanwhile")
        await soon(lambda: redis_of(here).available and redis_of(there).available, 60)
        for client in clients:
            place = await is_shared(here.events, client.channel)
            await soon(lambda client=client, place=place: client.log.promise == place, 30)  # type: ignore[misc]
            await client.leave()


async def test_five_hundred_subscribers_of_two_instances_get_every_message_once_and_in_order(valkey: Valkey) -> None:
    clients = [Client(CHANNEL) for _ in range(500)]
    async with Keel.open(valkey.url, "ns") as here, Keel.open(valkey.url, "ns") as there:
        for at, client in enumerate(clients):
            await client.connect((here if at % 2 else there).events)
        for number in range(40):
            await (here if number % 3 else there).events.publish(CHANNEL, number)
        last = await is_shared(here.events)
        for client in clients:
            await soon(lambda client=client: client.log.promise == last, 60)  # type: ignore[misc]
            assert client.log.data == [*(str(number).encode() for number in range(40)), b'"shared"']
            assert client.log.breaks == 0
        assert int(valkey.info("clients")["pubsub_clients"]) == 2
        await asyncio.gather(*(client.leave() for client in clients))
        await soon(lambda: valkey.ask("PUBSUB", "CHANNELS", "ns:ev:*") == [], 30)


async def test_connections_of_clients_and_of_the_server_are_cut_at_random_and_nobody_is_misled(valkey: Valkey) -> None:
    """Each client's log is checked as it is read: every message once and in order, or a word that it may not be so."""
    dice = random.Random(7)
    clients = [Client(CHANNEL) for _ in range(40)]
    async with Keel.open(valkey.url, "ns") as here, Keel.open(valkey.url, "ns") as there:
        keels = [here, there]
        for client in clients:
            await client.connect(dice.choice(keels).events)
        for round_ in range(12):
            publishing = [dice.choice(keels).events.publish(CHANNEL, [round_, at]) for at in range(30)]
            shaken = [_shake(client, dice, keels) for client in dice.sample(clients, 20)]
            work = asyncio.gather(*publishing, *shaken)
            match round_ % 4:
                case 1:
                    valkey.ask("CLIENT", "KILL", "TYPE", "pubsub")
                case 2:
                    valkey.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
                case 3 if round_ > 3:
                    valkey.restart()
            await work
        await available(here, there)
        last = await is_shared(here.events)
        for client in clients:
            await soon(lambda client=client: client.log.promise == last, 60)  # type: ignore[misc]
            await client.leave()
        assert sum(client.log.breaks for client in clients) > 0


async def _shake(client: Client, dice: random.Random, keels: list[Keel]) -> None:
    await client.leave()
    for _ in range(dice.randrange(30)):
        await asyncio.sleep(0)
    await client.connect(dice.choice(keels).events)


async def test_a_slow_consumer_is_closed_while_the_server_holds_nothing_for_it(valkey: Valkey) -> None:
    async with Keel.open(valkey.url, "ns") as keel, keel.events.subscribe(CHANNEL) as slow:
        for _ in range(60):
            await keel.events.publish(CHANNEL, "x" * 30_000)
        await asyncio.wait_for(slow.ended.wait(), 30)
        with pytest.raises(StreamClosed) as closed:
            await next_of(slow)
        assert closed.value.reason is Closing.SLOW
        assert all(int(client["omem"]) == 0 for client in valkey.clients())


async def test_messages_come_from_other_processes(redis_url: str, redis_namespace: str) -> None:
    script = (
        "import asyncio, sys\n"
        "from keel import publish\n"
        "from keel.opening import Keel\n"
        "async def main():\n"
        "    async with Keel.open(sys.argv[1], sys.argv[2]):\n"
        "        for number in range(100):\n"
        "            await publish('user:7', number)\n"
        "asyncio.run(main())\n"
    )
    async with Keel.open(redis_url, redis_namespace) as keel, keel.events.subscribe(CHANNEL) as stream:
        command = [sys.executable, "-c", script, redis_url, redis_namespace]
        process = await asyncio.create_subprocess_exec(*command, cwd=CHECKOUT)
        try:
            assert (await position_of(stream)).recovered
            assert await data_of(stream, 100) == [str(number).encode() for number in range(100)]
        finally:
            assert await process.wait() == 0
