"""Two processes over one server: what neither may be told, however late the one hears of what the other has done."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from benchmarks.races import Race, race
from benchmarks.racing.proxy import Proxy
from benchmarks.racing.runner import STRICT
from keel.cache.contract import Leased, Loading, Stored
from keel.cache.hybrid import HybridCache
from keel.opening import Keel
from tests.keel.cache.sources import Source, until
from tests.valkey import Valkey

KEY: Final = "portfolio:user_1:a"
TAGS: Final = ("owner:1",)
TTL: Final = 60.0
ALL_WAYS: Final = [
    pytest.param(lambda cache: cache.invalidate(KEY), id="key"),
    pytest.param(lambda cache: cache.invalidate_tags("owner:1"), id="tag"),
    pytest.param(lambda cache: cache.invalidate_prefix("portfolio"), id="prefix"),
    pytest.param(lambda cache: cache.clear(), id="everything"),
]


@dataclass
class Pair:
    """One who writes, and one whose connections can be stalled and cut."""

    writer: HybridCache
    reader: HybridCache
    proxy: Proxy


@pytest.fixture
async def pair(valkey: Valkey, redis_namespace: str) -> AsyncIterator[Pair]:
    async with AsyncExitStack() as stack:
        proxy = await stack.enter_async_context(Proxy.open(valkey.port))
        writer = await stack.enter_async_context(Keel.open(valkey.url, redis_namespace))
        reader = await stack.enter_async_context(Keel.open(f"redis://127.0.0.1:{proxy.port}/0", redis_namespace))
        await live(writer.cache, reader.cache)
        yield Pair(writer.cache, reader.cache, proxy)


async def live(*caches: HybridCache) -> None:
    await until(lambda: all(cache.stats().mode == "live" for cache in caches))


def starting(work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    return asyncio.get_running_loop().create_task(work)


async def ask(cache: HybridCache, source: Source, **options: Any) -> object:  # noqa: ANN401 - of get_or_set
    return await cache.get_or_set(KEY, source.read, **{"ttl": TTL, "tags": TAGS, **options})


async def test_two_processes_and_a_hostile_network_give_nothing_stale(valkey: Valkey, tmp_path: Path) -> None:
    tally = await race(Race("keel", 3000, seed=1, disturbed=True), valkey, tmp_path)
    assert {read: tally.stale[read] for read in STRICT} == dict.fromkeys(STRICT, 0), tally.examples
    assert sum(tally.checked[read] for read in STRICT) >= 3000
    assert not tally.errors


@pytest.mark.parametrize("invalidate", ALL_WAYS)
async def test_who_comes_after_an_invalidation_elsewhere_that_is_not_heard_of_shares_no_computation_from_before(
    pair: Pair,
    invalidate: Any,  # noqa: ANN401 - a call
) -> None:
    source = Source("first")
    source.gate.clear()
    before = starting(ask(pair.reader, source, l1_ttl=0))
    await source.begun.wait()
    pair.proxy.stall_pushes(20)
    source.value = "second"
    await invalidate(pair.writer)
    after = starting(ask(pair.reader, source, l1_ttl=0))
    await asyncio.sleep(0.05)
    source.gate.set()
    assert (await before, await after) == ("first", "second")


async def test_who_comes_while_a_tag_of_the_loader_s_is_invalidated_elsewhere_gets_nothing_from_before(
    pair: Pair,
) -> None:
    source = Source("first")

    async def tagged(loading: Loading) -> object:
        await loading.tag("symbol:ES")
        return await source.read()

    source.gate.clear()
    before = starting(pair.reader.get_or_set(KEY, tagged, ttl=TTL, l1_ttl=0))
    await source.begun.wait()
    pair.proxy.stall_pushes(20)
    source.value = "second"
    await pair.writer.invalidate_tags("symbol:ES")
    after = starting(pair.reader.get_or_set(KEY, tagged, ttl=TTL, l1_ttl=0))
    await asyncio.sleep(0.05)
    source.gate.set()
    assert (await before, await after) == ("first", "second")


async def test_many_who_come_during_a_computation_still_share_it(pair: Pair) -> None:
    source = Source("first")
    source.gate.clear()
    first = starting(ask(pair.reader, source))
    await source.begun.wait()
    others = [starting(ask(pair.reader, source, l1_ttl=0)) for _ in range(50)]
    await asyncio.sleep(0.05)
    source.gate.set()
    assert await asyncio.gather(first, *others) == ["first"] * 51
    assert source.reads == 1


async def test_a_soft_timeout_brings_nothing_from_before_an_invalidation(pair: Pair) -> None:
    source = Source("first")
    source.gate.clear()
    before = starting(ask(pair.reader, source, stale_ttl=TTL))
    await source.begun.wait()
    pair.proxy.stall_pushes(20)
    await pair.writer.invalidate(KEY)
    await pair.writer.set(KEY, "second", ttl=TTL, stale_ttl=TTL, tags=TAGS)
    await pair.writer.invalidate(KEY, soft=True)
    after = starting(ask(pair.reader, source, stale_ttl=TTL, soft_timeout=10))
    await asyncio.sleep(0.05)
    source.gate.set()
    assert (await before, await after) == ("first", "second")


async def test_what_was_set_and_comes_late_is_not_stored_over_an_invalidation(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    await pair.reader.set("b", "for the server to know the scripts", ttl=TTL)
    shared = pair.reader._tiers.shared
    assert shared is not None
    fill, let_through = shared.fill, []

    async def late(key: str, lease: Leased, value: Stored) -> bool:
        let_through.append(pair.proxy.delay_commands(cut_after_s=0.05))
        return await fill(key, lease, value)

    monkeypatch.setattr(shared, "fill", late)
    await pair.reader.set(KEY, "first", ttl=TTL, tags=TAGS)
    await live(pair.reader)
    assert await pair.writer.invalidate(KEY)
    let_through.pop()()
    await asyncio.sleep(0.1)
    assert await pair.writer.get(KEY, "nothing", tags=TAGS) == "nothing"
    assert await ask(pair.writer, Source("second")) == "second"


async def test_memory_is_not_read_while_pushes_are_not_heard(pair: Pair, valkey: Valkey) -> None:
    source = Source("first")
    await ask(pair.reader, source)
    assert pair.reader.peek(KEY, None) is not None
    (pushes,) = [each for each in valkey.clients() if "t" in each["flags"] and _is_behind(pair.proxy, each)]
    valkey.ask("CLIENT", "KILL", "ID", pushes["id"])
    await until(lambda: pair.reader.stats().mode != "live")
    assert pair.reader.peek(KEY, None) is None
    await live(pair.reader)
    assert pair.reader.peek(KEY, None) is None
    assert await ask(pair.reader, source) == "first"
    assert source.reads == 1


async def test_memory_lags_no_longer_than_it_takes_to_notice_that_pushes_are_stalled(pair: Pair) -> None:
    source = Source("first")
    await ask(pair.reader, source)
    pair.proxy.stall_pushes(60)
    source.value = "second"
    await pair.writer.invalidate_tags("owner:1")
    await until(lambda: pair.reader.peek(KEY, None) is None)
    assert await ask(pair.reader, source) == "second"


def _is_behind(proxy: Proxy, client: dict[str, str]) -> bool:
    return client["addr"] in proxy.addresses
