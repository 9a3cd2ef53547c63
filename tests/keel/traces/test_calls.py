from collections.abc import AsyncIterator, Iterator

import pytest

from keel.context import Segment, doing
from keel.opening import Keel
from keel.redis.contract import CommandRefused, Script


@pytest.fixture
async def running(redis_url: str, redis_namespace: str) -> AsyncIterator[Keel]:
    async with Keel.open(redis_url, redis_namespace) as keel:
        yield keel


@pytest.fixture
def segment(running: Keel) -> Iterator[Segment]:
    """A segment that is under way."""
    begun = running.traces.begin("job", "test")
    token = doing.set(begun)
    yield begun
    doing.reset(token)


async def test_calls_to_redis_are_spans_without_keys_or_values(running: Keel, segment: Segment) -> None:
    redis = running.redis
    assert redis is not None
    await redis.call("set", "k:hunter2", "hunter2")
    assert await redis.read_many(["k:hunter2"]) == [b"hunter2"]
    await redis.run(Script("return 1", "e0e1f9fabfc9d4800c877a703b823ac0578ff8db"), ["k:hunter2"])
    with pytest.raises(CommandRefused):
        await redis.call("LPUSH", "k:hunter2", "a")
    assert [(each.name, each.kind, each.error.rpartition(".")[2]) for each in segment.spans] == [
        ("SET", "client", ""),
        ("MGET", "client", ""),
        ("EVALSHA", "client", ""),
        ("LPUSH", "client", "CommandRefused"),
    ]
    assert segment.spans[0].attributes == {"db.system.name": "redis", "db.operation.name": "SET"}
    assert "hunter2" not in str(segment.spans)
    assert (redis.available, redis.is_cluster, redis.tracking_mode) == (True, False, "tracking")


async def test_what_the_cache_computes_is_part_of_who_asked_first(running: Keel, segment: Segment) -> None:
    async def load() -> int:
        assert running.redis is not None
        await running.redis.call("PING")
        return 7

    assert await running.cache.get_or_set("numbers:seven", load, ttl=60) == 7
    names = {each.span_id: each.name for each in segment.spans} | {segment.span_id: "segment"}
    parents = {each.name: names[each.parent_id] for each in segment.spans}
    assert (parents["cache.load"], parents["PING"]) == ("segment", "cache.load")
    (load_,) = (each for each in segment.spans if each.name == "cache.load")
    assert load_.attributes == {"cache.group": "numbers"}


async def test_outside_of_everything_nothing_is_recorded(running: Keel) -> None:
    assert running.redis is not None
    await running.redis.call("PING")

    async def load() -> int:
        return 7

    assert await running.cache.get_or_set("numbers:seven", load, ttl=60) == 7
    assert list(running.traces.ring.newest()) == []


@pytest.mark.parametrize("where", ["memory", "valkey"])
async def test_events_and_locks_are_spans(where: str, request: pytest.FixtureRequest, redis_namespace: str) -> None:
    url = None if where == "memory" else request.getfixturevalue("redis_url")
    async with Keel.open(url, redis_namespace) as keel:
        segment = keel.traces.begin("job", "test")
        before = doing.set(segment)
        async with keel.locks.lock("rebuild:42"):
            await keel.events.publish("user:7", {"n": 1})
        doing.reset(before)
    spans = {each.name: each for each in segment.spans}
    assert (spans["publish"].kind, spans["publish"].attributes) == (
        "producer",
        {"messaging.destination.template": "user"},
    )
    assert spans["lock.acquire"].attributes == {"lock.kind": "rebuild"}
    assert (where == "valkey") == ("EVALSHA" in spans)
    assert where == "memory" or spans["EVALSHA"].parent_id in {
        spans["publish"].span_id,
        spans["lock.acquire"].span_id,
        segment.span_id,
    }
