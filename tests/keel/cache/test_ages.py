"""How old a copy in memory may grow: while its server tells of changes, in an outage, and until it is told to go."""

import asyncio
from functools import partial
from time import monotonic
from typing import Final

import pytest

from keel.cache.hybrid import HybridCache
from keel.cache.tiers import OUTAGE_AGE_S
from keel.opening import Keel
from keel.redis.link import BEAT_S
from tests.keel.cache.sources import Source, mode, until
from tests.valkey import Valkey

KEY: Final = "summary:1"
TTL: Final = 3_600.0


async def test_memory_goes_on_in_an_outage_for_a_short_while(valkey: Valkey, redis_namespace: str) -> None:
    async with Keel.open(valkey.url, redis_namespace) as keel:
        source = Source("first")
        await mode("live", keel.cache)
        await ask(keel.cache, source)
        valkey.kill()
        await mode("outage", keel.cache)
        source.value = "second"
        assert await ask(keel.cache, source) == "first"
        let_time_pass(keel.cache)
        assert await ask(keel.cache, source) == "second"
        assert await ask(keel.cache, source) == "second"
        assert source.reads == 2, "what is computed in an outage is kept for as long"


async def test_what_carries_the_right_version_goes_on_for_no_longer(valkey: Valkey, redis_namespace: str) -> None:
    async with Keel.open(valkey.url, redis_namespace) as keel:
        source = Source("first")
        await mode("live", keel.cache)
        await ask(keel.cache, source, "user:1", version=3)
        valkey.kill()
        await mode("outage", keel.cache)
        source.value = "second"
        assert await ask(keel.cache, source, "user:1", version=3) == "first"
        let_time_pass(keel.cache)
        assert await ask(keel.cache, source, "user:1", version=3) == "second"
        assert await ask(keel.cache, source, "user:1", version=3) == "second"
        assert source.reads == 2


@pytest.mark.parametrize(
    ("forbidden", "age_s"), [("+ping", 300), ("-client|trackinginfo", 30), ("-client|tracking", 30)]
)
async def test_it_may_grow_older_where_the_server_says_what_it_tracks(
    valkey: Valkey, redis_namespace: str, forbidden: str, age_s: float
) -> None:
    valkey.ask("ACL", "SETUSER", "some", "on", ">pw", "~*", "&*", "+@all", forbidden)
    async with Keel.open(f"redis://some:pw@127.0.0.1:{valkey.port}", redis_namespace) as keel:
        source = Source("first")
        await mode("live", keel.cache)
        await asyncio.sleep(2 * BEAT_S)
        await ask(keel.cache, source)
        entry = keel.cache._tiers.memory.get(KEY)
        assert entry is not None
        assert entry.hard_until - monotonic() == pytest.approx(age_s, abs=5)
        entry.hard_until = entry.refresh_from = monotonic()
        source.value = "second"
        assert await ask(keel.cache, source) == "first"
        again = keel.cache._tiers.memory.get(KEY)
        assert again is not None
        assert again is not entry, "it was looked up anew"


async def test_everything_that_is_forgotten_by_hand_is_forgotten_at_once_in_every_memory(
    valkey: Valkey, redis_namespace: str
) -> None:
    """By the commands of docs/caching.md."""
    async with Keel.open(valkey.url, redis_namespace) as here, Keel.open(valkey.url, redis_namespace) as there:
        source = Source("first")
        for keel in (here, there):
            await mode("live", keel.cache)
            await ask(keel.cache, source)
        source.value = "second"
        valkey.ask("DEL", f"{redis_namespace}:e:{{e}}")
        valkey.ask("SET", f"{redis_namespace}:inv:e:{{e}}", 1, "PX", 1)
        for keel in (here, there):
            await until(partial(is_gone, keel.cache))
            assert await ask(keel.cache, source) == "second"


def let_time_pass(cache: HybridCache) -> None:
    """As long as memory may go on by itself."""
    standing = cache._tiers.standing
    assert standing is not None
    standing.gap_since -= OUTAGE_AGE_S


def is_gone(cache: HybridCache) -> bool:
    return cache._tiers.peek(KEY) is None


async def ask(cache: HybridCache, source: Source, *tags: str, version: int | None = None) -> object:
    return await cache.get_or_set(KEY, source.read, ttl=TTL, tags=tags or ("owner:1",), version=version)
