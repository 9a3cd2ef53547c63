"""What all instances see: one suite for every place it is kept in."""

import asyncio
from collections.abc import AsyncIterator
from os import urandom
from typing import Literal

import pytest

from keel.redis.connecting import connect
from keel.redis.contract import Redis
from keel.store.contract import (
    MOST_FIELDS,
    MOST_LINES,
    MOST_NAMES,
    MOST_NOTES,
    MOST_PARTS,
    OTHER,
    WINDOWS,
    Batch,
    Counted,
    Family,
    Level,
    Note,
    Resolution,
    Store,
    Summary,
    weight,
)
from keel.store.figures import PEAK, TOTAL, summed
from keel.store.memory import RECENT, MemoryStore
from keel.store.redis import RedisStore

NOON = 1_772_452_800
"""2026-03-02 12:00 UTC, in s since 1970."""
MOST = 200
ROOM = 20_000
REQUESTS, STATEMENTS = Family.REQUESTS, Family.STATEMENTS


@pytest.fixture(params=["memory", "redis"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    if request.param == "memory":
        yield MemoryStore(most=MOST, bodies=ROOM, fields=MOST_FIELDS)
        return
    url, namespace = request.getfixturevalue("redis_url"), request.getfixturevalue("redis_namespace")
    async with connect(url) as redis:
        yield RedisStore(redis, namespace, most=MOST, bodies=ROOM)


def summary(number: int = 1, trace: int | None = None) -> Summary:
    return Summary(
        trace_id=f"{number if trace is None else trace:032x}",
        span_id=f"{number:016x}",
        parent_id="",
        kind="http",
        name="GET /trades",
        method="GET",
        route="/trades",
        status=200,
        started_ns=NOON * 1_000_000_000 + number,
        duration_us=1500,
        error="",
        spans=3,
        instance="here:1",
    )


def note(kind: Literal["slow", "repeated"] = "slow", number: int = 0) -> Note:
    return Note(kind, number, "SELECT ?", "a.py:1 f", 1, 2, 3, "GET /trades", "ab" * 16, is_kept=True, instance="i")


def counted(name: str, fields: dict[str, int], minute: int = NOON) -> Batch:
    return Batch(counts={Counted(REQUESTS, minute, name): fields})


async def test_figures_are_added_up_by_name_and_window(store: Store) -> None:
    await store.add(counted("GET /trades", {"03": 2, TOTAL: 3000, PEAK: 2000}))
    await store.add(counted("GET /trades", {"03": 1, TOTAL: 500, PEAK: 500}, NOON + 60))
    await store.add(counted("POST /imports", {"10": 1}))
    minutes = await store.totals(REQUESTS, Resolution.MINUTE, NOON, NOON + 120)
    found = {(each.at - NOON, each.name): dict(each.fields) for each in minutes}
    assert found == {
        (0, "GET /trades"): {"03": 2, TOTAL: 3000, PEAK: 2000},
        (60, "GET /trades"): {"03": 1, TOTAL: 500, PEAK: 500},
        (0, "POST /imports"): {"10": 1},
    }
    for resolution in (Resolution.TEN_MINUTES, Resolution.HOUR):
        totals = await store.totals(REQUESTS, resolution, NOON, NOON + 1)
        by_name = {each.name: dict(each.fields) for each in totals}
        assert by_name["GET /trades"] == {"03": 3, TOTAL: 3500, PEAK: 2000}
    assert await store.totals(REQUESTS, Resolution.MINUTE, NOON + 60, NOON + 60) == []
    assert await store.totals(STATEMENTS, Resolution.HOUR, NOON, NOON + 60) == []


async def test_names_are_few_however_many_there_are(store: Store) -> None:
    names = [f"GET /hostile/{number}" for number in range(MOST_NAMES + 50)]
    await store.add(Batch(counts={Counted(REQUESTS, NOON, name): {"00": 1} for name in names}))
    totals = await store.totals(REQUESTS, Resolution.MINUTE, NOON, NOON + 60)
    assert len(totals) == MOST_NAMES + 1
    assert {each.name: dict(each.fields) for each in totals}[OTHER] == {"00": 50}


async def test_a_window_has_a_bounded_number_of_fields_and_loses_no_count(store: Store) -> None:
    buckets = [f"{number:02d}" for number in range(25)]
    for number in range(100):
        await store.add(counted(f"GET /{number}", dict.fromkeys(buckets, 1)))
    totals = await store.totals(REQUESTS, Resolution.MINUTE, NOON, NOON + 60)
    assert sum(len(each.fields) for each in totals) <= MOST_FIELDS + 4 * len(buckets)
    assert summed(each.fields for each in totals) == dict.fromkeys(buckets, 100)


async def test_the_newest_traces_come_first_and_page_by_page(store: Store) -> None:
    await store.add(Batch(traces=[(summary(number), b"") for number in range(1, 8)]))
    first = await store.summaries("", 3)
    assert [each.span_id for _, each in first] == [f"{number:016x}" for number in (7, 6, 5)]
    assert first[0][1] == summary(7)
    rest = await store.summaries(first[-1][0], 10)
    assert [each.span_id for _, each in rest] == [f"{number:016x}" for number in (4, 3, 2, 1)]
    assert await store.summaries(rest[-1][0], 10) == []


async def test_summaries_are_bounded(store: Store) -> None:
    await store.add(Batch(traces=[(summary(number), b"") for number in range(4 * MOST)]))
    kept = await store.summaries("", 10 * MOST)
    assert MOST <= len(kept) <= MOST + 101
    assert kept[0][1] == summary(4 * MOST - 1)


async def test_a_trace_is_found_with_all_its_parts(store: Store) -> None:
    await store.add(Batch(traces=[(summary(1, trace=7), b"one"), (summary(2, trace=8), b"other")]))
    await store.add(Batch(traces=[(summary(3, trace=7), b"two")]))
    assert sorted(await store.bodies(f"{7:032x}")) == [b"one", b"two"]
    assert await store.bodies(f"{9:032x}") == []


async def test_the_oldest_bodies_make_room(store: Store) -> None:
    size = 1000
    for number in range(60):
        await store.add(Batch(traces=[(summary(number), urandom(size))]))
    there = [number for number in range(60) if await store.bodies(f"{number:032x}")]
    room = ROOM // weight(bytes(size))
    assert there == list(range(60 - len(there), 60))
    assert room <= len(there) <= room + 1


async def test_a_trace_that_somebody_repeats_keeps_a_bounded_number_of_parts(store: Store) -> None:
    parts = [(summary(number, trace=1), b"") for number in range(MOST_PARTS + 20)]
    await store.add(Batch(traces=parts))
    assert await store.bodies(f"{1:032x}") == []
    for first in range(0, MOST_PARTS + 20, 20):
        await store.add(Batch(traces=[(summary(first + n, trace=2), b"x") for n in range(20)]))
    assert len(await store.bodies(f"{2:032x}")) <= MOST_PARTS


async def test_lines_are_followed_from_where_one_is(store: Store) -> None:
    await store.add(Batch(lines=[b"before"]))
    place, seen = await store.lines(None, 10)
    assert seen == []
    assert await store.lines(place, 10) == (place, [])
    await store.add(Batch(lines=[b"one", b"two", b"three"]))
    place, seen = await store.lines(place, 2)
    assert seen == [b"one", b"two"]
    place, seen = await store.lines(place, 2)
    assert seen == [b"three"]
    assert await store.lines(place, 2) == (place, [])


async def test_who_follows_too_slowly_misses_the_oldest_lines(store: Store) -> None:
    place, _ = await store.lines(None, 10)
    await store.add(Batch(lines=[b"%d" % number for number in range(MOST_LINES + 500)]))
    _, seen = await store.lines(place, 2 * MOST_LINES)
    assert MOST_LINES <= len(seen) <= MOST_LINES + 101
    assert seen[-1] == b"%d" % (MOST_LINES + 499)


async def test_notes_are_the_newest(store: Store) -> None:
    await store.add(Batch(notes=[note(number=number) for number in range(MOST_NOTES + 200)]))
    await store.add(Batch(notes=[note("repeated", 7)]))
    notes = await store.notes()
    assert notes[:2] == [note("repeated", 7), note(number=MOST_NOTES + 199)]
    assert len(notes) == MOST_NOTES


async def test_instances_tell_of_themselves(store: Store) -> None:
    await store.report("here:1", b"well")
    await store.report("there:2", b"busy")
    await store.report("here:1", b"better")
    assert await store.reports() == {"here:1": b"better", "there:2": b"busy"}


async def test_levels_are_known_by_logger(store: Store) -> None:
    assert await store.levels() == {}
    await store.set_level("keel.cache", Level("debug", 5))
    await store.set_level("root", Level("warning", 7))
    await store.set_level("keel.cache", Level("info", 6))
    assert await store.levels() == {"keel.cache": Level("info", 6), "root": Level("warning", 7)}


@pytest.mark.parametrize("beside", [False, True])
async def test_windows_are_forgotten(*, beside: bool) -> None:
    store, kept = (MemoryStore.beside(), RECENT) if beside else (MemoryStore(), WINDOWS)
    most = kept[REQUESTS][Resolution.TEN_MINUTES]
    for number in range(most + 5):
        await store.add(counted("GET /trades", {"00": 1}, NOON + 600 * number))
    totals = await store.totals(REQUESTS, Resolution.TEN_MINUTES, NOON, NOON + 600 * (most + 5))
    assert [each.at for each in totals] == [NOON + 600 * number for number in range(5, most + 5)]


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with connect(redis_url) as redis:
        yield redis


async def test_other_instances_hear_which_traces_are_wanted_and_that_levels_were_set(
    redis: Redis, redis_url: str, redis_namespace: str
) -> None:
    heard = asyncio.Queue[list[str]]()
    async with connect(redis_url) as elsewhere, asyncio.timeout(10):
        stop = RedisStore(elsewhere, redis_namespace).listen(heard.put_nowait)
        assert await heard.get() == []  # it is live, and asks for the levels of before
        store = RedisStore(redis, redis_namespace)
        await store.add(Batch(wanted=["ab" * 16, "cd" * 16]))
        await store.set_level("root", Level("debug", 1))
        assert [await heard.get(), await heard.get()] == [["ab" * 16, "cd" * 16], []]
        stop()


async def test_who_is_gone_is_forgotten(redis: Redis, redis_namespace: str) -> None:
    store = RedisStore(redis, redis_namespace)
    await store.report("gone:1", b"x")
    await store.report("here:2", b"y")
    await redis.call("DEL", f"{redis_namespace}:{{seen}}:i:gone:1")
    assert await store.reports() == {"here:2": b"y"}
    assert await redis.call("SMEMBERS", f"{redis_namespace}:{{seen}}:instances") == [b"here:2"]


async def test_everything_on_the_server_expires(redis: Redis, redis_namespace: str) -> None:
    store = RedisStore(redis, redis_namespace)
    body = [(summary(), b"x")]
    await store.add(Batch({Counted(REQUESTS, NOON, "GET /"): {"00": 1}}, body, [b"line"], [note()], ["ab" * 16]))
    await store.report("here:1", b"x")
    await store.set_level("root", Level("debug", 1))
    keys = await redis.call("KEYS", f"{redis_namespace}:*")
    assert isinstance(keys, list)
    lasting = {key: await redis.call("TTL", key) for key in keys if isinstance(key, bytes)}
    assert [key for key, ttl in lasting.items() if ttl == -1] == []


async def test_the_store_is_the_same_on_a_cluster(request: pytest.FixtureRequest, redis_namespace: str) -> None:
    cluster = request.getfixturevalue("shared_cluster")
    async with connect(cluster.url) as redis:
        store = RedisStore(redis, redis_namespace, bodies=100)
        for number in range(3):
            await store.add(
                Batch({Counted(REQUESTS, NOON, "GET /"): {"00": 1}}, [(summary(number), b"x")], wanted=["ab" * 16])
            )
        totals = await store.totals(REQUESTS, Resolution.HOUR, NOON, NOON + 1)
        assert [(each.name, dict(each.fields)) for each in totals] == [("GET /", {"00": 3})]
        assert await store.bodies(f"{2:032x}") == [b"x"]
        assert await store.bodies(f"{0:032x}") == []
