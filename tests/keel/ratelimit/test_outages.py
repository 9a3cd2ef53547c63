"""The server killed, paused, restarted, full and forgetful, while limits are asked for."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from keel.context import budget
from keel.opening import Keel
from keel.ratelimit.contract import LimitsUnavailable, Outage, Source
from keel.ratelimit.limiter import RateLimits
from keel.ratelimit.quota import parse
from keel.redis.contract import RedisUnavailable
from tests.valkey import Valkey

LOCAL = parse("4/hour", "local")
CLOSED = replace(parse("4/hour", "closed"), outage=Outage.CLOSED)
OPEN = replace(parse("4/hour", "open"), outage=Outage.OPEN)


@pytest.fixture
async def keel(valkey: Valkey) -> AsyncIterator[Keel]:
    async with Keel.open(valkey.url, "test") as opened:
        await until_shared(opened.limits)
        yield opened


async def until_shared(limits: RateLimits) -> None:
    async with asyncio.timeout(10):
        while (await limits.peek("nobody", "1/s")).source is not Source.SHARED:  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.01)


async def killed(keel: Keel, valkey: Valkey) -> None:
    valkey.kill()
    async with asyncio.timeout(10):
        while (await keel.limits.peek("nobody", "1/s")).source is Source.SHARED:  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.01)


async def test_while_the_server_is_away_each_limit_goes_by_its_own_rule(keel: Keel, valkey: Valkey) -> None:
    await killed(keel, valkey)
    assert [(await keel.limits.check("user:1", LOCAL)).allowed for _ in range(6)] == [True] * 4 + [False] * 2
    assert [(await keel.limits.check("user:1", OPEN)).allowed for _ in range(6)] == [True] * 6
    assert not (await keel.limits.check("user:1", [LOCAL, OPEN])).allowed
    assert not (await keel.limits.check("user:2", [LOCAL, CLOSED, OPEN])).allowed
    assert (await keel.limits.peek("user:2", LOCAL)).remaining == 4
    with pytest.raises(LimitsUnavailable):
        await keel.limits.enforce(("user:1", CLOSED))


async def test_nobody_waits_for_a_server_that_is_away(keel: Keel, valkey: Valkey) -> None:
    await killed(keel, valkey)
    began = time.monotonic()
    for number in range(200):
        await keel.limits.check(f"user:{number}", LOCAL)
    assert time.monotonic() - began < 0.5


async def test_a_request_waits_for_a_silent_server_no_longer_than_its_budget(keel: Keel, valkey: Valkey) -> None:
    valkey.pause()
    began = time.monotonic()
    with budget(0.1):
        assert (await keel.limits.check("user:1", [LOCAL])).source is Source.LOCAL
        assert (await keel.limits.check("user:2", [LOCAL])).source is Source.LOCAL
    assert time.monotonic() - began < 0.3
    valkey.resume()
    await until_shared(keel.limits)


async def test_when_the_server_is_back_its_counts_hold_and_the_local_ones_are_dropped(
    keel: Keel, valkey: Valkey
) -> None:
    await keel.limits.check("user:1", LOCAL, cost=3)
    valkey.pause()
    async with asyncio.timeout(10):
        while (await keel.limits.check("user:2", LOCAL)).source is Source.SHARED:  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.01)
    assert (await keel.limits.check("user:1", LOCAL, cost=4)).source is Source.LOCAL
    valkey.resume()
    await until_shared(keel.limits)
    assert (await keel.limits.peek("user:1", LOCAL)).remaining == 1


async def test_a_restarted_server_counts_from_nothing_and_knows_the_scripts_again(keel: Keel, valkey: Valkey) -> None:
    await keel.limits.check("user:1", LOCAL, cost=4)
    await asyncio.to_thread(valkey.restart)
    await until_shared(keel.limits)
    decision = await keel.limits.check("user:1", LOCAL)
    assert (decision.source, decision.remaining) == (Source.SHARED, 3)


async def test_forgotten_scripts_are_loaded_again_unseen(keel: Keel, valkey: Valkey) -> None:
    first = await keel.limits.check("user:1", LOCAL)
    await asyncio.to_thread(valkey.ask, "SCRIPT", "FLUSH")
    assert (await keel.limits.check("user:1", LOCAL)).remaining == 2
    await asyncio.to_thread(valkey.ask, "SCRIPT", "FLUSH")
    await keel.limits.refund(first)
    assert (await keel.limits.peek("user:1", LOCAL)).remaining == 3


async def test_each_of_several_processes_enforces_its_share(valkey: Valkey) -> None:
    async with Keel.open(valkey.url, "test") as one, Keel.open(valkey.url, "test") as two:
        for keel in (one, two):
            await until_shared(keel.limits)
        await asyncio.sleep(5.2)  # each hears of the others every five seconds
        valkey.kill()
        await killed(one, valkey)
        assert (await one.limits.check("user:1", parse("40/hour", "api"))).remaining == 19
        assert (await one.limits.check("user:1", parse("1/hour", "login"))).allowed


async def test_a_full_server_counts_as_one_that_is_away(
    keel: Keel, valkey: Valkey, caplog: pytest.LogCaptureFixture
) -> None:
    await asyncio.to_thread(valkey.ask, "CONFIG", "SET", "maxmemory", "1mb")
    decisions = [await keel.limits.check("user:1", LOCAL) for _ in range(6)]
    assert [each.allowed for each in decisions] == [True] * 4 + [False] * 2
    assert decisions[0].source is Source.LOCAL
    assert len([each for each in caplog.records if "cannot be counted" in each.message]) == 1
    await keel.limits.refund(decisions[0])
    await asyncio.to_thread(valkey.ask, "CONFIG", "SET", "maxmemory", "0")
    assert (await keel.limits.check("user:2", LOCAL)).source is Source.SHARED


async def test_what_was_charged_before_an_outage_is_not_refunded_elsewhere(keel: Keel, valkey: Valkey) -> None:
    shared = await keel.limits.check("user:1", LOCAL, cost=4)
    await killed(keel, valkey)
    await keel.limits.check("user:1", LOCAL, cost=4)
    await keel.limits.refund(shared)
    assert (await keel.limits.peek("user:1", LOCAL)).remaining == 0
    with pytest.raises(RedisUnavailable):
        await keel.limits.reset("user:1", LOCAL)


async def test_a_server_that_was_never_there_is_no_error(valkey: Valkey) -> None:
    valkey.kill()
    async with Keel.open(valkey.url, "test") as keel:
        assert [(await keel.limits.check("user:1", LOCAL)).allowed for _ in range(5)] == [True] * 4 + [False]
