"""What the cache does while its servers are killed, paused, emptied, demoted and filled up, and afterwards."""

import asyncio
import dataclasses
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import msgspec
import pytest
from pydantic import BaseModel

from benchmarks.racing.faulting import PLACES, Traffic, traffic
from benchmarks.racing.faults import FAULTS, Fault, fail_over, lose_a_master
from keel.cache.hybrid import HybridCache
from keel.cache.standing import MOST_PENDING
from keel.errors import Unavailable
from keel.opening import Keel
from tests.keel.cache.missing_process import LOADS, ROUNDS, STARTED
from tests.keel.cache.sources import Source, mode, until
from tests.valkey import Cluster, Sentinels, Valkey

TTL: Final = 60.0
ANSWERED_S: Final = 5.0
"""Far beyond what `benchmarks/faults.py` measures: here the machine may be busy."""


@pytest.fixture
async def pair(valkey: Valkey, redis_namespace: str) -> AsyncIterator[tuple[HybridCache, HybridCache]]:
    """Two that share a server."""
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(Keel.open(valkey.url, redis_namespace))
        second = await stack.enter_async_context(Keel.open(valkey.url, redis_namespace))
        await mode("live", first.cache, second.cache)
        yield first.cache, second.cache


async def endure(its: Traffic, begin: Callable[[], object], end: Callable[[], object], lasts_s: float) -> None:
    """All requests are answered in time, none is stale, and an invalidation made meanwhile holds afterwards."""
    await asyncio.sleep(0.3)
    await asyncio.to_thread(begin)
    await asyncio.sleep(lasts_s)
    await its.invalidate("owner:2")
    due = its.current[PLACE]
    await asyncio.to_thread(end)
    await asyncio.wait_for(its.normal(), 60)
    await asyncio.sleep(0.3)
    for cache in its.caches:
        assert await cache.get_or_set(PLACE.key, its._loader(PLACE), ttl=60, tags=(PLACE.tag,)) >= due
    assert not its.errors
    assert its.stale == []
    assert max(each.took_s for each in its.answers) < ANSWERED_S


PLACE: Final = PLACES[12]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
async def test_requests_are_answered_and_nothing_is_stale_while_a_server_is(fault: Fault, valkey: Valkey) -> None:
    async with traffic(valkey.url, readers=2, pause_s=0.02) as its:
        await endure(its, lambda: fault.begin(valkey), lambda: fault.end(valkey), min(fault.lasts_s, 2.0))


@pytest.mark.slow
async def test_requests_are_answered_and_nothing_is_stale_while_a_sentinel_s_master_is_lost(
    sentinels: Sentinels,
) -> None:
    async with traffic(sentinels.url, readers=2, pause_s=0.02) as its:
        await endure(its, lambda: fail_over(sentinels), lambda: None, 1.0)


@pytest.mark.slow
async def test_requests_are_answered_and_nothing_is_stale_while_a_master_of_a_cluster_is_lost(
    cluster: Cluster,
) -> None:
    async with traffic(cluster.url, readers=2, pause_s=0.02) as its:
        await endure(its, lambda: lose_a_master(cluster), lambda: None, 1.0)


# What is invalidated in an outage


@pytest.mark.parametrize(
    "invalidate",
    [
        pytest.param(lambda cache: cache.invalidate("summary:1"), id="key"),
        pytest.param(lambda cache: cache.invalidate_tags("owner:1"), id="tag"),
        pytest.param(lambda cache: cache.invalidate_prefix("summary"), id="prefix"),
        pytest.param(lambda cache: cache.clear(), id="everything"),
    ],
)
async def test_what_is_invalidated_in_an_outage_is_so_here_at_once_and_everywhere_afterwards(
    pair: tuple[HybridCache, HybridCache],
    valkey: Valkey,
    invalidate: Any,  # noqa: ANN401 - a call
) -> None:
    here, there = pair
    source = Source("first")
    for cache in pair:
        assert await ask(cache, source) == "first"
    valkey.pause()
    await mode("outage", here, there)
    source.value = "second"
    assert not await invalidate(here)
    assert await ask(here, source) == "second"
    assert await ask(there, source) == "first", "who has not heard goes on for a short while"
    valkey.resume()
    await mode("live", here, there)
    assert [await ask(cache, source) for cache in pair] == ["second", "second"]


async def test_a_value_set_in_an_outage_is_found_here_and_the_old_one_nowhere_afterwards(
    pair: tuple[HybridCache, HybridCache], valkey: Valkey
) -> None:
    here, there = pair
    await here.set("summary:1", "first", ttl=TTL)
    valkey.pause()
    await mode("outage", here, there)
    await here.set("summary:1", "second", ttl=TTL)
    assert await here.get("summary:1") == "second"
    valkey.resume()
    await mode("live", here, there)
    assert await there.get("summary:1", "nothing") == "nothing"


async def test_setting_while_the_server_is_silent_waits_once(
    pair: tuple[HybridCache, HybridCache], valkey: Valkey
) -> None:
    here, there = pair
    await here.set("summary:1", "first", ttl=TTL)
    valkey.pause()
    await here.set("summary:1", "second", ttl=TTL)
    assert here.stats().mode == "outage"
    valkey.resume()
    await mode("live", here, there)
    assert await there.get("summary:1", "nothing") == "nothing"


async def test_so_many_invalidations_of_an_outage_that_they_would_take_long_are_made_good_as_one(
    pair: tuple[HybridCache, HybridCache], valkey: Valkey
) -> None:
    here, there = pair
    source = Source("first")
    await there.set("b", "kept", ttl=TTL)
    await ask(there, source)
    valkey.pause()
    await mode("outage", here, there)
    source.value = "second"
    assert not await here.invalidate("summary:1", *(f"trades:{number}" for number in range(MOST_PENDING)))
    valkey.resume()
    await mode("live", here, there)
    assert await ask(there, source) == "second"
    assert await there.get("b", "nothing") == "nothing"


async def test_however_many_are_invalidated_at_once_no_other_is(
    pair: tuple[HybridCache, HybridCache], valkey: Valkey
) -> None:
    here, there = pair
    await there.set("b", "kept", ttl=TTL)
    assert await here.invalidate(*(f"trades:{number}" for number in range(MOST_PENDING + 1)))
    assert await there.get("b") == "kept"
    await here.invalidate("a")
    valkey.pause()
    await mode("outage", here, there)
    valkey.resume()
    await mode("live", here, there)
    assert await there.get("b", "nothing") == "nothing"  # too many to be made again one by one


async def test_to_invalidate_nothing_takes_nothing(pair: tuple[HybridCache, HybridCache], valkey: Valkey) -> None:
    assert await pair[0].invalidate()
    valkey.pause()
    await mode("outage", *pair)
    assert await pair[0].invalidate_tags()
    valkey.resume()


# What memory does in an outage


@pytest.mark.parametrize("tags_of_loader", [False, True], ids=["given", "by the loader"])
async def test_a_user_s_own_entries_bypass_memory_in_an_outage(
    pair: tuple[HybridCache, HybridCache],
    valkey: Valkey,
    tags_of_loader: bool,  # noqa: FBT001 - a parameter
) -> None:
    here, _ = pair
    source = Source("first")

    async def tagged(loading: Any) -> object:  # noqa: ANN401 - a Loading
        await loading.tag("user:1")
        return await source.read()

    async def read() -> object:
        if tags_of_loader:
            return await here.get_or_set("summary:1", tagged, ttl=TTL)
        return await ask(here, source, tags=("user:1",))

    await read()
    valkey.kill()
    await mode("outage", here)
    for value in ("second", "third"):
        source.value = value
        assert await read() == value


async def test_a_user_s_own_entry_found_without_its_tags_bypasses_memory_in_an_outage(
    pair: tuple[HybridCache, HybridCache], valkey: Valkey
) -> None:
    here, there = pair
    await there.set("summary:1", "first", ttl=TTL, tags=("user:1",))
    assert await here.get("summary:1") == "first"
    valkey.kill()
    await mode("outage", here)
    assert await here.get("summary:1", "nothing") == "nothing"


async def test_a_user_s_own_entry_of_a_late_enough_version_is_read_in_an_outage(
    pair: tuple[HybridCache, HybridCache], valkey: Valkey
) -> None:
    here, _ = pair
    source = Source("first")
    await ask(here, source, tags=("user:1",), version=4)
    valkey.kill()
    await mode("outage", here)
    source.value = "second"
    assert await ask(here, source, tags=("user:1",), version=4) == "first"
    assert await ask(here, source, tags=("user:1",), version=5) == "second"
    assert await ask(here, source, tags=("user:1",), version=5) == "second"
    assert source.reads == 2


async def test_who_is_alone_reads_a_user_s_own_entries_in_an_outage(valkey: Valkey, redis_namespace: str) -> None:
    source = Source("first")
    async with Keel.open(valkey.url, redis_namespace, alone=True) as keel:
        await mode("live", keel.cache)
        await ask(keel.cache, source, tags=("user:1",))
        valkey.kill()
        await mode("outage", keel.cache)
        assert await ask(keel.cache, source, tags=("user:1",)) == "first"
        assert source.reads == 1


async def test_copies_kept_in_an_outage_end_with_it(pair: tuple[HybridCache, HybridCache], valkey: Valkey) -> None:
    here, _ = pair
    source = Source("first")
    valkey.pause()
    await mode("outage", here)
    await ask(here, source)
    assert here.peek("summary:1", None) is not None
    valkey.resume()
    await until(lambda: here.stats().mode != "outage")
    assert here.peek("summary:1", None) is None


# A server that is full, or has forgotten


async def test_a_server_that_is_full_leaves_memory(pair: tuple[HybridCache, HybridCache], valkey: Valkey) -> None:
    here, there = pair
    source = Source("first")
    valkey.ask("CONFIG", "SET", "maxmemory", "1")
    assert [await ask(here, source) for _ in range(3)] == ["first"] * 3
    assert source.reads == 1
    assert here.stats().total.errors == 1
    await here.set("summary:2", "set", ttl=TTL)
    assert (await here.get("summary:2"), await there.get("summary:2")) == ("set", None)
    source.value = "second"
    assert await there.invalidate_tags("owner:1")
    await until(lambda: here.peek("summary:1", None) is None)
    assert await ask(here, source) == "second"


async def test_what_is_no_value_of_the_cache_s_is_replaced(
    pair: tuple[HybridCache, HybridCache], valkey: Valkey, redis_namespace: str
) -> None:
    here, there = pair
    source = Source("first")
    for rubbish in ("", "x", "rubbish that is longer than any head", "\0" * 40):
        valkey.ask("SET", f"{redis_namespace}:v:{{summary:1}}", rubbish)
        assert await ask(here, source, l1_ttl=0) == "first"
        assert await ask(there, source, l1_ttl=0) == "first"
    assert source.reads == 4


# Many processes


async def test_an_error_is_not_shared_with_another_process(pair: tuple[HybridCache, HybridCache]) -> None:
    here, there = pair
    source = Source(LookupError("no such portfolio"))
    with pytest.raises(LookupError):
        await ask(here, source)
    source.value = "second"
    assert await ask(there, source) == "second"


async def test_who_dies_while_he_computes_keeps_the_others_waiting_for_a_short_while(
    pair: tuple[HybridCache, HybridCache], valkey: Valkey, redis_namespace: str
) -> None:
    _, there = pair
    valkey.ask("SET", f"{redis_namespace}:l:{{summary:1}}", "of one who has died", "PX", 300)
    assert await ask(there, Source("first")) == "first"


async def test_two_hundred_misses_in_four_processes_compute_once(valkey: Valkey) -> None:
    command = (sys.executable, "-m", "tests.keel.cache.missing_process", valkey.url, "50")
    root = Path(__file__).parents[3]
    processes = [
        await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, cwd=root) for _ in range(4)
    ]
    for each in processes:
        assert each.stdout is not None
        assert (await each.stdout.readline()).strip() == b"ready"
    try:
        for number in range(ROUNDS):
            valkey.ask("SET", f"{STARTED}:{number}", 1)
            answers = [(await each.stdout.readline()).split() for each in processes if each.stdout is not None]
            assert {answer for answer, _ in answers} == {b"computed"}
            if all(alone == b"0" for _, alone in answers):
                break
        assert valkey.ask("GET", f"{LOADS}:{number}") == "1"
    finally:
        for each in processes:
            with suppress(ProcessLookupError):
                each.kill()
        await asyncio.gather(*(each.communicate() for each in processes))


async def test_who_waits_when_the_cache_is_closed_is_told_so(valkey: Valkey, redis_namespace: str) -> None:
    source = Source("first")
    source.gate.clear()
    async with Keel.open(valkey.url, redis_namespace) as keel:
        waiting = asyncio.get_running_loop().create_task(ask(keel.cache, source))
        await source.begun.wait()
        unbegun = asyncio.get_running_loop().create_task(keel.cache.get_or_set("b", source.read, ttl=TTL))
    for each in (waiting, unbegun):
        with suppress(RuntimeError), pytest.raises(Unavailable):
            await asyncio.wait_for(each, 10)


# Values


class Model(BaseModel):
    when: datetime
    amount: Decimal


class Packed(msgspec.Struct):
    name: str
    amounts: list[Decimal]


@dataclasses.dataclass(frozen=True)
class Plain:
    day: date
    inner: Packed


@pytest.mark.parametrize(
    "value",
    [
        None,
        Decimal("1.10"),
        Model(when=datetime(2026, 1, 2, 3, 4, tzinfo=UTC), amount=Decimal("-0.50")),
        Packed("a", [Decimal(1), Decimal("1.0")]),
        Plain(date(2026, 1, 2), Packed("b", [])),
        {"a": (1, 2.5), 3: {UUID(int=7)}, "none": None, "bytes": b"\0" * 5000},
        [Model(when=datetime(2026, 1, 2, tzinfo=UTC), amount=Decimal(3))],
        True,
    ],
    ids=lambda value: type(value).__name__,
)
async def test_a_value_comes_back_from_the_shared_tier_as_what_it_was(
    pair: tuple[HybridCache, HybridCache],
    value: Any,  # noqa: ANN401 - of many types
) -> None:
    here, there = pair
    await here.set("summary:1", value, ttl=TTL)
    found = await there.get("summary:1", "nothing")
    assert found == value
    assert type(found) is type(value)
    assert repr(found) == repr(value)


async def ask(cache: HybridCache, source: Source, **options: Any) -> object:  # noqa: ANN401 - of get_or_set
    return await cache.get_or_set("summary:1", source.read, **{"ttl": TTL, "tags": ("owner:1",), **options})
