"""Computations that take long, over a server that two processes share."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any, Final

import pytest

from keel.cache import flights
from keel.cache.contract import Loading, NotModified
from keel.cache.hybrid import HybridCache
from keel.cache.redis import LEASE_MS
from keel.opening import Keel
from keel.redis.contract import RedisUnavailable
from tests.keel.cache.sources import Source, until

TTL: Final = 60.0
KEY: Final = "summary:1"


@pytest.fixture
async def pair(redis_url: str, redis_namespace: str) -> AsyncIterator[tuple[HybridCache, HybridCache]]:
    async with AsyncExitStack() as stack:
        caches = [(await stack.enter_async_context(Keel.open(redis_url, redis_namespace))).cache for _ in range(2)]
        await until(lambda: all(cache.stats().mode == "live" for cache in caches))
        yield caches[0], caches[1]


def starting(cache: HybridCache, source: Source, **options: Any) -> asyncio.Task[Any]:  # noqa: ANN401 - of get_or_set
    work = cache.get_or_set(KEY, source.read, **{"ttl": TTL, **options})
    return asyncio.get_running_loop().create_task(work)


async def test_a_lease_is_renewed_for_as_long_as_computing_takes(pair: tuple[HybridCache, HybridCache]) -> None:
    here, there = pair
    source = Source("first")
    source.gate.clear()
    reading = starting(here, source)
    await source.begun.wait()
    waiting = starting(there, source)
    await asyncio.sleep(LEASE_MS / 1000 + 0.3)
    source.gate.set()
    assert (await reading, await waiting) == ("first", "first")
    assert source.reads == 1


async def test_a_lease_of_no_use_any_more_is_given_back_while_computing_goes_on(
    pair: tuple[HybridCache, HybridCache],
) -> None:
    here, there = pair
    source, newer = Source("first"), Source("second")
    source.gate.clear()
    reading = starting(here, source, tags=("owner:1",))
    await source.begun.wait()
    await there.invalidate_tags("owner:1")
    assert await starting(there, newer, tags=("owner:1",)) == "second"
    source.gate.set()
    assert await reading == "first"
    assert await starting(here, source, tags=("owner:1",)) == "second"


async def test_who_waits_for_another_process_in_vain_computes_for_himself(
    pair: tuple[HybridCache, HybridCache], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flights, "LONGEST_WAIT_S", 0.05)
    here, there = pair
    source = Source("first")
    source.gate.clear()
    reading = starting(here, source)
    await source.begun.wait()
    assert await starting(there, Source("its own")) == "its own"
    source.gate.set()
    assert await reading == "first"
    assert await starting(there, Source("third")) == "first"


async def test_a_value_set_elsewhere_while_it_is_claimed_is_taken(pair: tuple[HybridCache, HybridCache]) -> None:
    here, there = pair
    source = Source("computed")
    source.gate.clear()
    reading = starting(here, source)
    await source.begun.wait()
    waiting = starting(there, source)
    await asyncio.sleep(0.02)
    await here.set(KEY, "set", ttl=TTL)
    assert await waiting == "set"
    source.gate.set()
    assert await reading == "computed"
    assert await starting(here, source) == "set"


@pytest.mark.parametrize("value", [None, "first"])
async def test_a_short_ttl_is_what_early_refresh_goes_by_in_every_process(
    pair: tuple[HybridCache, HybridCache], value: object
) -> None:
    here, there = pair
    source = Source(value)

    async def short_lived(loading: Loading) -> object:
        loading.ttl = 5
        return await source.read()

    for cache in (here, there, there, there):
        assert await cache.get_or_set(KEY, short_lived, ttl=300, negative_ttl=5, refresh_at=0.5, l1_ttl=0) == value
    assert (there.stats().total.shared_hits, here.stats().total.loads, there.stats().total.loads) == (3, 1, 0)


async def test_nothing_can_be_unchanged_where_there_was_nothing(pair: tuple[HybridCache, HybridCache]) -> None:
    async def unchanged(loading: Loading) -> object:
        assert not loading.has_previous
        raise NotModified

    with pytest.raises(NotModified):
        await pair[0].get_or_set(KEY, unchanged, ttl=TTL)


async def test_a_loader_s_own_timeout_is_its_error(pair: tuple[HybridCache, HybridCache]) -> None:
    async def impatient() -> None:
        raise TimeoutError("the broker's")

    with pytest.raises(TimeoutError, match="the broker's"):
        await pair[0].get_or_set(KEY, impatient, ttl=TTL)


async def test_a_tag_added_while_the_server_is_away_keeps_the_value_out_of_the_shared_tier(
    pair: tuple[HybridCache, HybridCache], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = pair

    async def tagged(loading: Loading) -> str:
        await loading.tag("symbol:ES")
        return "first"

    shared = here._tiers.shared
    assert shared is not None

    async def away(tags: tuple[str, ...]) -> tuple[bytes, ...]:
        raise RedisUnavailable(f"no versions of {tags}")

    monkeypatch.setattr(shared, "versions", away)
    assert await here.get_or_set(KEY, tagged, ttl=TTL) == "first"
    assert await there.get(KEY, "nothing") == "nothing"
