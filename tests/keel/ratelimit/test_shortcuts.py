"""Decisions without a round trip."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest

from keel.ratelimit.contract import Charge, Counters, Decision, Limit, Limits, Source
from keel.ratelimit.limiter import RateLimits
from keel.ratelimit.memory import MemoryCounters
from keel.ratelimit.quota import parse
from keel.ratelimit.shortcuts import Shortcuts
from keel.tasks import Tasks

GENEROUS = replace(parse("600/min burst 100"), leased=True)
STRICT = parse("3/min")


class Server:
    """Counters that count how often they are asked, and take a while to answer."""

    def __init__(self, counters: Counters) -> None:
        self.counters = counters
        self.takes: list[int] = []
        self.gifts: list[int] = []

    async def take(self, subject: str, limits: Limits, cost: int, extra: int = 0) -> Decision:
        await asyncio.sleep(0)
        decision = await self.counters.take(subject, limits, cost, extra)
        self.takes.append(cost + decision.extra)
        return decision

    async def peek(self, subject: str, limits: Limits, cost: int) -> Decision:
        return await self.counters.peek(subject, limits, cost)

    async def give_back(self, decision: Decision, cost: int) -> None:
        self.gifts.append(cost)
        await self.counters.give_back(decision, cost)

    async def reset(self, subject: str, limits: Sequence[Limit]) -> None:
        await self.counters.reset(subject, limits)


@pytest.fixture
def server() -> Server:
    return Server(MemoryCounters())


@pytest.fixture
async def limits(server: Server) -> AsyncIterator[RateLimits]:
    async with Tasks() as tasks:
        shortcuts = Shortcuts(server, tasks)
        yield RateLimits(shortcuts, tasks)
        await shortcuts.close()


async def test_who_was_refused_is_refused_again_without_a_round_trip(limits: RateLimits, server: Server) -> None:
    decisions = [await limits.check("user:1", STRICT) for _ in range(100)]
    assert sum(each.allowed for each in decisions) == 3
    assert len(server.takes) == 4
    assert decisions[-1].source is Source.DENIAL
    assert 0 < decisions[-1].retry_after_us <= decisions[3].retry_after_us <= 20_000_000


async def test_a_no_is_believed_for_no_longer_than_a_second(limits: RateLimits, server: Server) -> None:
    for _ in range(4):
        await limits.check("user:1", STRICT)
    await server.counters.reset("user:1", [STRICT])  # by another process
    assert not (await limits.check("user:1", STRICT)).allowed
    await asyncio.sleep(1.02)
    assert (await limits.check("user:1", STRICT)).allowed


async def test_a_no_to_much_is_none_to_little(limits: RateLimits) -> None:
    assert not (await limits.check("user:1", STRICT, cost=4)).allowed
    assert (await limits.check("user:1", STRICT, cost=3)).allowed


async def test_a_no_ends_when_the_limit_admits_again(limits: RateLimits) -> None:
    limit = parse("20/s burst 1")
    await limits.check("user:1", limit)
    refused = await limits.check("user:1", limit)
    await asyncio.sleep(refused.retry_after_us / 1e6 + 0.002)
    assert (await limits.check("user:1", limit)).allowed


async def test_a_no_ends_with_a_refund_and_with_a_reset(limits: RateLimits) -> None:
    first = await limits.check("user:1", STRICT, cost=3)
    assert not (await limits.check("user:1", STRICT)).allowed
    await limits.refund(first, 1)
    assert (await limits.check("user:1", STRICT)).allowed
    assert not (await limits.check("user:1", STRICT)).allowed
    await limits.reset("user:1", STRICT)
    assert (await limits.check("user:1", STRICT)).allowed


async def test_what_is_remembered_is_bounded(limits: RateLimits, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keel.ratelimit.shortcuts.MOST_DENIED", 10)
    monkeypatch.setattr("keel.ratelimit.shortcuts.MOST_LEASED", 10)
    shortcuts = limits._counters
    assert isinstance(shortcuts, Shortcuts)
    for number in range(50):
        for _ in range(4):
            await limits.check(f"user:{number}", STRICT)
            await limits.check(f"user:{number}", GENEROUS)
    assert len(shortcuts._denials) == 10
    assert len(shortcuts._stocks) == 10


async def test_a_busy_subject_is_answered_from_permits_taken_ahead(limits: RateLimits, server: Server) -> None:
    decisions = [await limits.check("user:1", GENEROUS) for _ in range(40)]
    assert all(each.allowed for each in decisions)
    assert len(server.takes) < 10
    assert {each.source for each in decisions} == {Source.SHARED, Source.LEASE}
    # What is told does not count what is in stock as spent.
    assert [each.remaining for each in decisions[2:12]] == sorted((e.remaining for e in decisions[2:12]), reverse=True)


async def test_what_is_leased_counts_as_spent_and_what_is_left_is_given_back(
    limits: RateLimits, server: Server
) -> None:
    for _ in range(3):
        await limits.check("user:1", GENEROUS)
    spent = 100 - (await limits.peek("user:1", GENEROUS)).remaining
    assert spent == sum(server.takes) > 3
    await asyncio.sleep(1.4)
    assert sum(server.takes) - sum(server.gifts) == 3


async def test_somebody_who_comes_now_and_then_costs_one_round_trip_each_time(
    limits: RateLimits, server: Server
) -> None:
    for _ in range(3):
        await limits.check("user:1", GENEROUS)
        await asyncio.sleep(1.3)
    assert server.takes == [1, 1, 1]
    assert server.gifts == []


async def test_at_the_end_permits_are_spent_although_no_more_can_be_taken_ahead(server: Server) -> None:
    limits = (replace(parse("60000/min burst 1000"), leased=True),)
    async with Tasks() as tasks:
        shortcuts = Shortcuts(server, tasks)
        for _ in range(2):
            await shortcuts.take("user:1", limits, 1)
    assert all([(await shortcuts.take("user:1", limits, 1)).allowed for _ in range(95)])
    assert [stock.is_asking for stock in shortcuts._stocks.values()] == [False]
    shortcuts._stocks["user:1", limits].until = 0
    shortcuts._sweep()
    await shortcuts.close()


async def test_near_the_limit_nothing_is_taken_ahead(limits: RateLimits, server: Server) -> None:
    await limits.check("user:1", GENEROUS, cost=96)
    decisions = [await limits.check("user:1", GENEROUS) for _ in range(4)]
    assert all(each.allowed for each in decisions)
    assert server.takes[1:] == [1, 1, 1, 1]


async def test_permits_are_not_spent_beyond_their_window(limits: RateLimits, server: Server) -> None:
    limit = replace(parse("1000/s fixed window"), leased=True)
    for _ in range(40):
        before = len(server.takes)
        decision = await limits.check("user:1", limit)
        now = (await limits.peek("user:1", limit)).at_us
        if decision.source is Source.LEASE:
            assert now < decision.verdicts[0].mark
        assert len(server.takes) - before <= 1
        await asyncio.sleep(0.03)


@pytest.mark.parametrize("limit", [STRICT, replace(STRICT, count=60), replace(GENEROUS, shadow=True)])
async def test_only_limits_that_allow_it_are_leased(limits: RateLimits, server: Server, limit: Limit) -> None:
    for _ in range(3):
        await limits.check("user:1", limit)
        await limits.check("user:1", [limit, replace(GENEROUS, name="other")])
    assert set(server.takes) == {1}


async def test_a_permit_from_the_stock_is_refunded_into_it(limits: RateLimits, server: Server) -> None:
    decisions = [await limits.check("user:1", GENEROUS) for _ in range(4)]
    leased = [each for each in decisions if each.source is Source.LEASE]
    before = (await limits.check("user:1", GENEROUS)).remaining
    await limits.refund(leased[0])
    assert (await limits.check("user:1", GENEROUS)).remaining == before
    assert server.gifts == []


async def test_a_permit_whose_stock_is_gone_is_refunded_to_the_server(limits: RateLimits, server: Server) -> None:
    decisions = [await limits.check("user:1", GENEROUS) for _ in range(4)]
    await asyncio.sleep(1.4)
    given_back = len(server.gifts)
    await limits.refund(next(each for each in decisions if each.source is Source.LEASE))
    assert server.gifts[given_back:] == [1]


async def test_many_at_once_do_not_take_more_ahead_than_one(limits: RateLimits, server: Server) -> None:
    await limits.check("user:1", GENEROUS)
    await asyncio.gather(*(limits.check("user:1", GENEROUS) for _ in range(50)))
    assert sum(each > 1 for each in server.takes) == 1


async def test_more_is_taken_ahead_before_nothing_is_left(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keel.ratelimit.shortcuts.LONGEST_S", 60)
    limit = replace(parse("100000/s burst 800"), leased=True)
    charge = Charge("user:1", (limit,))
    async with Tasks() as tasks:
        shortcuts = Shortcuts(server, tasks)
        assert shortcuts.spend(charge) is None
        for _ in range(2):
            await shortcuts.take(*charge, 1)
        for _ in range(300):
            spent = shortcuts.spend(charge)
            assert spent is not None
            assert spent.decision.source is Source.LEASE
            await asyncio.sleep(0)
        assert server.takes == [1, 81, 80, 80, 80, 80]
        assert len(server.gifts) == 4
        assert max(server.gifts) <= 10
        await shortcuts.close()


async def test_what_was_taken_ahead_for_nothing_is_given_back(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keel.ratelimit.shortcuts.LONGEST_S", 60)
    limit = replace(parse("800/min"), leased=True)
    charge = Charge("user:1", (limit,))
    async with Tasks() as tasks:
        shortcuts = Shortcuts(server, tasks)
        for _ in range(2):
            await shortcuts.take(*charge, 1)
        await server.counters.take(*charge, 715)  # by others: nothing is left that could be taken ahead
        spent = 0
        while shortcuts.spend(charge):
            spent += 1
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert (spent, server.takes, server.gifts) == (80, [1, 81, 1], [1])
        await shortcuts.close()


async def test_in_any_window_no_more_are_admitted_than_in_one_a_second_longer() -> None:
    """Four processes that lease what they can, on one count."""
    limit = replace(parse("200/s burst 40"), leased=True)
    counters = MemoryCounters()
    admitted: list[float] = []
    async with Tasks() as tasks:
        processes = [Shortcuts(counters, tasks) for _ in range(4)]

        async def crowd(process: Shortcuts) -> None:
            end = time.monotonic() + 2.5
            while time.monotonic() < end:
                if (await process.take("user:1", (limit,), 1)).allowed:
                    admitted.append(time.monotonic())
                await asyncio.sleep(0.001)

        await asyncio.gather(*(crowd(each) for each in processes for _ in range(5)))
        for process in processes:
            await process.close()
    assert len(admitted) > 40 + 200
    for at, first in enumerate(admitted):
        for until in range(at, len(admitted), 7):
            assert until - at + 1 <= 40 + 200 * (admitted[until] - first + 1) + 1
