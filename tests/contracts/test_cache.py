"""What a cache promises, in memory and over a server."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from decimal import Decimal
from typing import Any, Final

import pytest

from keel.cache.contract import Event, Loading, LoadTimedOut, NameRefused, NotModified, PatternRefused
from keel.cache.hybrid import HybridCache
from keel.opening import Keel
from tests.keel.cache.sources import Source, until

TTL: Final = 60.0
Invalidation = Callable[[HybridCache], Awaitable[bool]]

INVALIDATIONS: Final = [
    pytest.param(lambda cache: cache.invalidate("portfolio:user_1:a"), id="key"),
    pytest.param(lambda cache: cache.invalidate_tags("user:1"), id="tag"),
    pytest.param(lambda cache: cache.invalidate_prefix("portfolio:user_1:"), id="prefix"),
    pytest.param(lambda cache: cache.invalidate_pattern("portfolio:*"), id="pattern"),
    pytest.param(lambda cache: cache.clear(), id="everything"),
]
KEY: Final = "portfolio:user_1:a"
TAGS: Final = ("user:1", "account:7")


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture(params=["memory", "redis"])
async def cache(request: pytest.FixtureRequest, redis_namespace: str) -> AsyncIterator[HybridCache]:
    url = request.getfixturevalue("redis_url") if request.param == "redis" else None
    async with Keel.open(url, redis_namespace) as keel:
        await until(lambda: keel.cache.stats().mode in {"memory", "live"})
        yield keel.cache


def starting(work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    return asyncio.get_running_loop().create_task(work)


async def ask(cache: HybridCache, source: Source, **options: Any) -> object:  # noqa: ANN401 - of get_or_set
    return await cache.get_or_set(KEY, source.read, **{"ttl": TTL, "tags": TAGS, **options})


async def test_a_value_is_computed_once_and_then_answered_from_the_cache(cache: HybridCache, source: Source) -> None:
    assert [await ask(cache, source) for _ in range(3)] == ["first"] * 3
    assert source.reads == 1
    stats = cache.stats().total
    assert (stats.misses, stats.loads, stats.hits) == (1, 1, 2)


async def test_what_memory_does_not_keep_is_answered_anew_from_the_shared_tier_until_it_is_invalidated(
    cache: HybridCache, source: Source
) -> None:
    heard: list[tuple[Event, str]] = []
    cache.listen(lambda event, name: heard.append((event, name)))
    terms: dict[str, Any] = {"l1_ttl": 0, "stale_ttl": TTL, "soft_timeout": 1}
    shared = cache.stats().mode == "live"
    for invalidate in (cache.invalidate_tags, cache.invalidate_prefix):
        source.value = str(invalidate)
        assert await asyncio.gather(*(ask(cache, source, **terms) for _ in range(3))) == [source.value] * 3
        heard.clear()
        assert [await ask(cache, source, **terms) for _ in range(3)] == [source.value] * 3
        assert not shared or heard == [(Event.HIT, KEY)] * 3
        await invalidate("user:1" if invalidate == cache.invalidate_tags else "portfolio", soft=True)
    reads, source.value = source.reads, "last"
    assert await ask(cache, source, **terms) == "last"
    assert source.reads == reads + 1
    assert not shared or cache.stats().total.shared_hits >= 6


@pytest.mark.parametrize("l1_ttl", [0, 0.001])
async def test_a_bound_on_copies_in_memory_is_none_on_the_value(
    cache: HybridCache, source: Source, l1_ttl: float
) -> None:
    await ask(cache, source, l1_ttl=l1_ttl)
    await asyncio.sleep(0.002)
    assert await ask(cache, source, l1_ttl=l1_ttl) == "first"
    assert source.reads == 1


async def test_none_is_a_value(cache: HybridCache, source: Source) -> None:
    source.value = None
    assert [await ask(cache, source) for _ in range(2)] == [None, None]
    assert source.reads == 1


async def test_those_who_miss_together_share_one_computation(cache: HybridCache, source: Source) -> None:
    source.gate.clear()
    readers = [starting(ask(cache, source)) for _ in range(200)]
    await source.begun.wait()
    source.gate.set()
    assert await asyncio.gather(*readers) == ["first"] * 200
    assert source.reads == 1


async def test_an_error_reaches_all_who_wait_and_is_not_kept(cache: HybridCache, source: Source) -> None:
    source.value = LookupError("no such portfolio")
    source.gate.clear()
    readers = [starting(ask(cache, source)) for _ in range(5)]
    await source.begun.wait()
    source.gate.set()
    outcomes = await asyncio.gather(*readers, return_exceptions=True)
    assert [str(each) for each in outcomes] == ["no such portfolio"] * 5
    assert source.reads == 1
    source.value = "second"
    assert await ask(cache, source) == "second"


async def test_one_who_gives_up_cancels_nobody_else(cache: HybridCache, source: Source) -> None:
    source.gate.clear()
    first, second = (starting(ask(cache, source)) for _ in range(2))
    await source.begun.wait()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    source.gate.set()
    assert await second == "first"
    assert source.reads == 1


async def test_a_computation_goes_on_when_all_have_given_up(cache: HybridCache, source: Source) -> None:
    source.gate.clear()
    reader = starting(ask(cache, source))
    await source.begun.wait()
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    source.gate.set()
    await until(lambda: cache.stats().total.loads == 1)
    assert await ask(cache, source) == "first"
    assert source.reads == 1


async def test_a_loader_that_is_cancelled_from_within_has_failed(cache: HybridCache) -> None:
    async def cancelled() -> None:
        raise asyncio.CancelledError

    with pytest.raises(RuntimeError, match="cancelled from within"):
        await cache.get_or_set(KEY, cancelled, ttl=TTL)


@pytest.mark.parametrize("invalidate", INVALIDATIONS)
async def test_what_is_invalidated_is_computed_anew(
    cache: HybridCache, source: Source, invalidate: Invalidation
) -> None:
    await ask(cache, source)
    source.value = "second"
    assert await invalidate(cache)
    assert await ask(cache, source) == "second"
    assert await ask(cache, source) == "second"
    assert source.reads == 2


@pytest.mark.parametrize("invalidate", INVALIDATIONS)
async def test_a_fill_computed_before_an_invalidation_is_discarded(
    cache: HybridCache, source: Source, invalidate: Invalidation
) -> None:
    source.gate.clear()
    reader = starting(ask(cache, source))
    await source.begun.wait()
    source.value = "second"
    await invalidate(cache)
    source.gate.set()
    assert await reader == "first"  # it asked before
    assert await ask(cache, source) == "second"


@pytest.mark.parametrize("invalidate", INVALIDATIONS)
async def test_who_comes_after_an_invalidation_shares_no_computation_from_before(
    cache: HybridCache, source: Source, invalidate: Invalidation
) -> None:
    source.gate.clear()
    before = starting(ask(cache, source))
    await source.begun.wait()
    source.value = "second"
    await invalidate(cache)
    after = starting(ask(cache, source))
    await asyncio.sleep(0.01)
    source.gate.set()
    assert (await before, await after) == ("first", "second")


async def test_user_1_and_user_10_are_different_prefixes(cache: HybridCache, source: Source) -> None:
    await cache.get_or_set("portfolio:user_10:a", source.read, ttl=TTL)
    await cache.invalidate_prefix("portfolio:user_1")
    await cache.get_or_set("portfolio:user_10:a", source.read, ttl=TTL)
    assert source.reads == 1


@pytest.mark.parametrize("pattern", ["portfolio", "*", "portfolio:*:a", "*:a", "port*", "a:b:c:d:e:*"])
async def test_a_pattern_that_is_no_prefix_is_refused_with_a_word_on_tags(cache: HybridCache, pattern: str) -> None:
    with pytest.raises(PatternRefused, match="tag"):
        await cache.invalidate_pattern(pattern)


async def test_a_ttl_ends(cache: HybridCache, source: Source) -> None:
    await ask(cache, source, ttl=0.05)
    source.value = "second"
    await asyncio.sleep(0.06)
    assert await ask(cache, source) == "second"


async def test_a_stale_copy_is_served_while_a_new_one_is_computed(cache: HybridCache, source: Source) -> None:
    await ask(cache, source, ttl=0.05, stale_ttl=TTL)
    source.value = "second"
    await asyncio.sleep(0.06)
    assert await ask(cache, source, ttl=TTL, stale_ttl=TTL) == "first"
    await until(lambda: cache.stats().total.loads == 2)
    await until(lambda: not cache.stats().total.stale_hits > 1)
    assert await ask(cache, source, stale_ttl=TTL) == "second"


async def test_a_stale_copy_is_served_where_computing_fails(cache: HybridCache, source: Source) -> None:
    await ask(cache, source, ttl=0.05, stale_ttl=TTL)
    source.value = LookupError("the source is away")
    await asyncio.sleep(0.06)
    assert [await ask(cache, source, stale_ttl=TTL, soft_timeout=1) for _ in range(5)] == ["first"] * 5
    assert source.reads == 2  # it is not tried again at once


async def test_a_stale_copy_is_served_where_computing_takes_longer_than_the_soft_timeout(
    cache: HybridCache, source: Source
) -> None:
    await ask(cache, source, ttl=0.05, stale_ttl=TTL)
    source.value = "second"
    source.gate.clear()
    await asyncio.sleep(0.06)
    assert await ask(cache, source, stale_ttl=TTL, soft_timeout=0.01) == "first"
    source.gate.set()
    await until(lambda: cache.stats().total.loads == 2)
    assert await ask(cache, source, stale_ttl=TTL, soft_timeout=1) == "second"


@pytest.mark.parametrize(
    "soften",
    [
        pytest.param(lambda cache: cache.invalidate(KEY, soft=True), id="key"),
        pytest.param(lambda cache: cache.invalidate_tags("account:7", soft=True), id="tag"),
        pytest.param(lambda cache: cache.invalidate_prefix("portfolio", soft=True), id="prefix"),
    ],
)
async def test_a_soft_invalidation_leaves_the_stale_copy(
    cache: HybridCache, source: Source, soften: Invalidation
) -> None:
    await ask(cache, source, stale_ttl=TTL)
    source.value = "second"
    await soften(cache)
    assert await ask(cache, source, stale_ttl=TTL) == "first"
    await until(lambda: cache.stats().total.loads == 2)
    assert await ask(cache, source, stale_ttl=TTL) == "second"


@pytest.mark.parametrize(
    "soften",
    [
        pytest.param(lambda cache: cache.invalidate(KEY, soft=True), id="key"),
        pytest.param(lambda cache: cache.invalidate_tags("account:7", soft=True), id="tag"),
    ],
)
async def test_a_soft_invalidation_leaves_nothing_of_what_may_not_be_served_stale(
    cache: HybridCache, source: Source, soften: Invalidation
) -> None:
    await ask(cache, source)
    source.value = "second"
    await soften(cache)
    assert await ask(cache, source) == "second"


async def test_nothing_is_stored_late_over_an_invalidation(cache: HybridCache) -> None:
    """Whichever is first: what is set is there, or nothing; never what there was before."""
    for number in range(20):
        await cache.set(KEY, "before", ttl=TTL, tags=TAGS)
        await asyncio.gather(cache.set(KEY, number, ttl=TTL, tags=TAGS), cache.invalidate(KEY))
        assert await cache.get(KEY, "nothing", tags=TAGS) in {number, "nothing"}
        await asyncio.gather(*(cache.set(KEY, each, ttl=TTL, tags=TAGS) for each in ("one", "two")))
        assert await cache.get(KEY, "nothing", tags=TAGS) in {"one", "two", "nothing"}


async def test_a_hard_invalidation_leaves_nothing_to_be_served_stale(cache: HybridCache, source: Source) -> None:
    await ask(cache, source, stale_ttl=TTL)
    source.value = LookupError("the source is away")
    await cache.invalidate_tags("user:1")
    with pytest.raises(LookupError):
        await ask(cache, source, stale_ttl=TTL)


async def test_none_may_have_a_shorter_ttl(cache: HybridCache, source: Source) -> None:
    source.value = None
    await ask(cache, source, negative_ttl=0.05)
    source.value = "second"
    await asyncio.sleep(0.06)
    assert await ask(cache, source) == "second"


async def test_a_value_is_computed_ahead_of_its_time_in_the_background(cache: HybridCache, source: Source) -> None:
    await ask(cache, source, ttl=10, refresh_at=0.0001)
    source.value = "second"
    source.gate.clear()
    await asyncio.sleep(0.01)
    assert await ask(cache, source, ttl=10, refresh_at=0.9) == "first"
    source.gate.set()
    await until(lambda: cache.stats().total.loads == 2)
    async with asyncio.timeout(20):  # until it has been stored, too
        while await ask(cache, source, ttl=10, refresh_at=0.9) != "second":  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.002)
    assert source.reads == 2


async def test_the_loader_may_set_the_ttl(cache: HybridCache, source: Source) -> None:
    async def short_lived(loading: Loading) -> object:
        loading.ttl = 0.05
        return await source.read()

    await cache.get_or_set(KEY, short_lived, ttl=TTL)
    source.value = "second"
    await asyncio.sleep(0.06)
    assert await cache.get_or_set(KEY, short_lived, ttl=TTL) == "second"


async def test_the_loader_may_add_tags(cache: HybridCache, source: Source) -> None:
    async def tagged(loading: Loading) -> object:
        await loading.tag("symbol:ES", "user:1")
        return await source.read()

    for _ in range(2):
        await cache.get_or_set(KEY, tagged, ttl=TTL, tags=TAGS)
    assert source.reads == 1
    source.value = "second"
    await cache.invalidate_tags("symbol:ES")
    assert await cache.get_or_set(KEY, tagged, ttl=TTL, tags=TAGS) == "second"


async def test_a_tag_that_the_loader_adds_is_heard_while_it_computes(cache: HybridCache, source: Source) -> None:
    async def tagged(loading: Loading) -> object:
        await loading.tag("symbol:ES")
        return await source.read()

    source.gate.clear()
    reader = starting(cache.get_or_set(KEY, tagged, ttl=TTL))
    await source.begun.wait()
    source.value = "second"
    await cache.invalidate_tags("symbol:ES")
    source.gate.set()
    await reader
    assert await cache.get_or_set(KEY, tagged, ttl=TTL) == "second"


async def test_the_loader_may_keep_a_value_out_of_the_cache(cache: HybridCache, source: Source) -> None:
    async def unkept(loading: Loading) -> object:
        loading.store = False
        return await source.read()

    for _ in range(2):
        await cache.get_or_set(KEY, unkept, ttl=TTL)
    assert source.reads == 2


async def test_the_loader_may_say_that_nothing_has_changed(cache: HybridCache) -> None:
    previous: list[Any] = []

    async def unchanged(loading: Loading) -> object:
        previous.append((loading.has_previous, loading.previous))
        if loading.has_previous:
            raise NotModified
        return "first"

    await cache.get_or_set(KEY, unchanged, ttl=0.05, stale_ttl=TTL)
    await asyncio.sleep(0.06)
    assert await cache.get_or_set(KEY, unchanged, ttl=TTL, stale_ttl=TTL, soft_timeout=1) == "first"
    assert await cache.get_or_set(KEY, unchanged, ttl=TTL, stale_ttl=TTL) == "first"
    assert previous == [(False, None), (True, "first")]


async def test_computing_that_takes_too_long_is_an_error(cache: HybridCache, source: Source) -> None:
    source.gate.clear()
    with pytest.raises(LoadTimedOut):
        await ask(cache, source, hard_timeout=0.02)


async def test_a_read_with_a_version_refuses_what_was_computed_before_it(cache: HybridCache, source: Source) -> None:
    await ask(cache, source, version=4)
    source.value = "second"
    assert await ask(cache, source, version=4) == "first"
    assert await ask(cache, source) == "first"
    assert await ask(cache, source, version=5) == "second"
    assert await ask(cache, source, version=4) == "second"


async def test_a_read_with_a_version_shares_no_computation_for_an_earlier_one(
    cache: HybridCache, source: Source
) -> None:
    source.gate.clear()
    before = starting(ask(cache, source, version=4))
    await source.begun.wait()
    source.value = "second"
    after = starting(ask(cache, source, version=5))
    await asyncio.sleep(0.01)
    source.gate.set()
    assert (await before, await after) == ("first", "second")
    assert await ask(cache, source, version=5) == "second"


async def test_what_is_set_is_found_until_it_is_invalidated(cache: HybridCache) -> None:
    assert await cache.get("trade:1", "nothing") == "nothing"
    await cache.set("trade:1", Decimal("1.10"), ttl=TTL, tags=("user:1",))
    assert await cache.get("trade:1", tags=("user:1",)) == Decimal("1.10")
    assert await cache.get("trade:1") == Decimal("1.10")
    await cache.invalidate_tags("user:1")
    assert await cache.get("trade:1") is None


async def test_setting_goes_before_what_is_being_computed(cache: HybridCache, source: Source) -> None:
    source.gate.clear()
    reader = starting(ask(cache, source))
    await source.begun.wait()
    await cache.set(KEY, "set", ttl=TTL, tags=TAGS)
    source.gate.set()
    assert await reader == "first"
    assert await cache.get(KEY, tags=TAGS) == "set"


async def test_keys_may_be_long_and_have_braces(cache: HybridCache, source: Source) -> None:
    for key in ("a:{b}:c", "}{", "a:" + "x" * 5000, "a:" + "x" * 5001, "ключ:é"):
        source.value, expected = key, key
        assert await cache.get_or_set(key, source.read, ttl=TTL) == expected
    source.value = "new"
    for key in ("a:{b}:c", "}{", "a:" + "x" * 5000, "ключ:é"):
        assert await cache.get_or_set(key, source.read, ttl=TTL) == key
        await cache.invalidate(key)
        assert await cache.get_or_set(key, source.read, ttl=TTL) == "new"
    assert await cache.get_or_set("a:" + "x" * 5001, source.read, ttl=TTL) == "a:" + "x" * 5001


async def test_a_name_that_cannot_be_written_is_refused_and_disturbs_nobody_else(
    cache: HybridCache, source: Source
) -> None:
    bad = "symbol:\ud800"
    async with asyncio.timeout(20):
        refused = await asyncio.gather(
            cache.get_or_set(bad, source.read, ttl=TTL),
            ask(cache, source, tags=(bad,)),
            cache.get(bad),
            cache.set(bad, "set", ttl=TTL),
            cache.invalidate(bad),
            cache.invalidate_tags("user:1", bad),
            cache.invalidate_prefix(bad),
            return_exceptions=True,
        )
        assert [type(each) for each in refused] == [NameRefused] * 7
        assert list(await asyncio.gather(ask(cache, source), cache.get("other"))) == ["first", None]


async def test_warming_computes_what_it_can(cache: HybridCache, source: Source) -> None:
    async def failing() -> None:
        raise LookupError("no data")

    assert await cache.warm([lambda: ask(cache, source), failing]) == 1
    await ask(cache, source)
    assert source.reads == 1


async def test_listeners_hear_what_happens(cache: HybridCache, source: Source) -> None:
    heard: list[tuple[Event, str]] = []
    stop = cache.listen(lambda event, name: heard.append((event, name)))
    await ask(cache, source)
    await ask(cache, source)
    await cache.invalidate_tags("user:1")
    stop()
    await ask(cache, source)
    assert heard == [(Event.MISS, KEY), (Event.LOADED, KEY), (Event.HIT, KEY), (Event.INVALIDATED, "user:1")]


async def test_counters_are_kept_by_the_first_word_of_the_key(cache: HybridCache, source: Source) -> None:
    await cache.get_or_set("trades:1", source.read, ttl=TTL)
    await cache.get_or_set("portfolio:1", source.read, ttl=TTL)
    await cache.get_or_set("portfolio:1", source.read, ttl=TTL)
    groups = cache.stats().groups
    assert (groups["trades"].misses, groups["trades"].hits, groups["trades"].hit_rate) == (1, 0, 0.0)
    assert (groups["portfolio"].misses, groups["portfolio"].hits, groups["portfolio"].hit_rate) == (1, 1, 0.5)


async def test_options_that_can_only_be_mistakes_are_refused(cache: HybridCache, source: Source) -> None:
    for mistake in ({"ttl": 0}, {"ttl": -1}, {"stale_ttl": -1}, {"refresh_at": 1.0}, {"refresh_at": 0.0}):
        with pytest.raises(ValueError, match=r"must be|share"):
            await ask(cache, source, **mistake)
    with pytest.raises(ValueError, match="empty"):
        await cache.get_or_set("", source.read, ttl=TTL)


async def test_a_value_that_cannot_be_encoded_is_answered_all_the_same(cache: HybridCache, source: Source) -> None:
    source.value = object()
    assert await ask(cache, source) is source.value
    assert await ask(cache, source) is source.value
    assert source.reads == 1
