"""What rate limits promise, in memory, over a server and over a cluster."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from keel import check_rate_limit
from keel.opening import Keel
from keel.ratelimit.contract import Algorithm, Limit, LimitExceeded, Source
from keel.ratelimit.limiter import RateLimits
from keel.ratelimit.quota import QuotaMalformed, parse

ALL = [
    "3/min",
    "3/min token bucket",
    "3/hour sliding window",
    "3/hour fixed window",
    "3/day in Asia/Tokyo",
    "3/month",
    "3 at once",
]


@pytest.fixture(params=["memory", "redis", "cluster"])
async def keel(request: pytest.FixtureRequest, redis_namespace: str) -> AsyncIterator[Keel]:
    url = None
    if request.param == "redis":
        url = request.getfixturevalue("redis_url")
    if request.param == "cluster":
        url = request.getfixturevalue("shared_cluster").url
    async with Keel.open(url, redis_namespace) as opened:
        if opened.redis is not None:
            async with asyncio.timeout(10):
                while not opened.redis.available:  # noqa: ASYNC110 - what it waits for is no event
                    await asyncio.sleep(0.01)
        yield opened


@pytest.fixture
def limits(keel: Keel) -> RateLimits:
    return keel.limits


@pytest.mark.parametrize("text", ALL)
async def test_as_many_are_admitted_as_the_limit_says_and_then_none(limits: RateLimits, text: str) -> None:
    decisions = [await limits.check("user:1", text) for _ in range(5)]
    assert [each.allowed for each in decisions] == [True, True, True, False, False]
    assert [each.remaining for each in decisions] == [2, 1, 0, 0, 0]
    assert all(each.retry_after_us > 0 for each in decisions[3:])


@pytest.mark.parametrize("text", ALL)
async def test_subjects_are_counted_apart(limits: RateLimits, text: str) -> None:
    subjects = ["user:1", "user:10", "user:{1}", "user:1}", "", "ü" * 300, "ü" * 301]
    for subject in subjects:
        assert [(await limits.check(subject, text)).remaining for _ in range(2)] == [2, 1]


async def test_names_and_periods_are_counted_apart(limits: RateLimits) -> None:
    for limit in (parse("2/min", "a"), parse("2/min", "b"), parse("2/hour", "a"), parse("2/min sliding window", "a")):
        assert (await limits.check("user:1", limit)).remaining == 1


@pytest.mark.parametrize("text", ALL)
async def test_whoever_asks_all_at_once_gets_no_more(limits: RateLimits, text: str) -> None:
    decisions = await asyncio.gather(*(limits.check("user:1", text) for _ in range(50)))
    assert sum(each.allowed for each in decisions) == 3


async def test_a_request_refused_by_one_limit_is_charged_to_none(limits: RateLimits) -> None:
    both = ["2/min", "100/day fixed window", "5 at once"]
    allowed = [(await limits.check("user:1", both)).allowed for _ in range(10)]
    assert allowed == [True, True] + [False] * 8
    assert (await limits.peek("user:1", "100/day fixed window")).remaining == 98
    assert (await limits.peek("user:1", "5 at once")).remaining == 3


async def test_a_cost_is_charged_whole_or_not_at_all(limits: RateLimits) -> None:
    assert (await limits.check("user:1", "10/min", cost=7)).remaining == 3
    refused = await limits.check("user:1", "10/min", cost=4)
    assert (refused.allowed, refused.remaining) == (False, 3)
    assert (await limits.check("user:1", "10/min", cost=3)).remaining == 0


@pytest.mark.parametrize("text", ALL[:-1])
async def test_a_cost_beyond_the_limit_is_refused_for_ever(limits: RateLimits, text: str) -> None:
    refused = await limits.check("user:1", text, cost=4)
    assert not refused.allowed
    assert refused.retry_after_us > 0
    assert (await limits.check("user:1", text)).remaining == 2


async def test_a_cost_is_at_least_one(limits: RateLimits) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        await limits.check("user:1", "10/min", cost=0)


@pytest.mark.parametrize("text", ALL)
async def test_looking_charges_nothing(limits: RateLimits, text: str) -> None:
    for _ in range(5):
        looked = await limits.peek("user:1", text)
        assert (looked.allowed, looked.remaining) == (True, 3)
    for _ in range(3):
        await limits.check("user:1", text)
    assert not (await limits.peek("user:1", text)).allowed


@pytest.mark.parametrize("text", ALL)
async def test_what_is_refunded_can_be_spent_again(limits: RateLimits, text: str) -> None:
    first = await limits.check("user:1", text)
    for _ in range(3):
        await limits.check("user:1", text)
    await limits.refund(first)
    assert [(await limits.check("user:1", text)).allowed for _ in range(2)] == [True, False]


async def test_part_of_a_cost_can_be_refunded(limits: RateLimits) -> None:
    decision = await limits.check("user:1", "10/hour", cost=8)
    await limits.refund(decision, 5)
    assert (await limits.peek("user:1", "10/hour")).remaining == 7


async def test_what_was_refused_has_nothing_to_refund(limits: RateLimits) -> None:
    await limits.check("user:1", "3/hour", cost=3)
    await limits.refund(await limits.check("user:1", "3/hour", cost=2))
    assert (await limits.peek("user:1", "3/hour")).remaining == 0


@pytest.mark.parametrize("text", ["2/s fixed window", "2/200ms sliding window"])
async def test_a_window_that_is_over_has_nothing_to_refund(limits: RateLimits, text: str) -> None:
    old = await limits.check("user:1", text, cost=2)
    await asyncio.sleep(old.verdicts[0].reset_us / 1e6 + 0.01)
    await limits.check("user:1", text)
    await limits.refund(old)
    looked = await limits.peek("user:1", text)
    assert looked.remaining == 1


@pytest.mark.parametrize("text", ALL)
async def test_a_reset_forgets_everything_of_a_limit(limits: RateLimits, text: str) -> None:
    for _ in range(4):
        await limits.check("user:1", text)
    await limits.reset("user:1", text)
    assert (await limits.check("user:1", text)).remaining == 2


@pytest.mark.parametrize("text", ["2/100ms", "2/100ms token bucket", "2/100ms fixed window", "2/100ms sliding window"])
async def test_whoever_waits_as_long_as_he_is_told_is_admitted(limits: RateLimits, text: str) -> None:
    for _ in range(10):
        decision = await limits.check("user:1", text)
        if not decision.allowed:
            await asyncio.sleep(decision.retry_after_us / 1e6 + 0.002)
            assert (await limits.check("user:1", text)).allowed


async def test_a_shadow_counts_and_never_refuses(limits: RateLimits) -> None:
    shadow = Limit(2, 60_000_000, name="new", shadow=True)
    decisions = [await limits.check("user:1", [shadow, parse("10/min", "old")]) for _ in range(5)]
    assert all(each.allowed for each in decisions)
    assert [each.verdicts[0].fits for each in decisions] == [True, True, False, False, False]
    assert decisions[-1].remaining == 5
    tally = limits.tallies()["new"]
    assert (tally.allowed, tally.refused, tally.would_refuse) == (2, 0, 3)
    assert limits.tallies()["old"].allowed == 5


async def test_several_subjects_are_charged_in_order_and_undone_on_a_refusal(limits: RateLimits) -> None:
    charges = [("account:1|ip:1", "5/hour"), ("ip:1", "3/hour")]
    outcomes = [await limits.check_all(charges) for _ in range(6)]
    assert [each.allowed for each in outcomes] == [True] * 3 + [False] * 3
    assert outcomes[-1].retry_after_us > 0
    assert (await limits.peek("account:1|ip:1", "5/hour")).remaining == 2
    assert (await limits.peek("ip:1", "3/hour")).remaining == 0


async def test_a_refusal_says_when_to_come_again(limits: RateLimits) -> None:
    await limits.enforce(("user:1", "2/hour fixed window"), cost=2)
    with pytest.raises(LimitExceeded, match="try again in") as refused:
        await limits.enforce(("user:1", "2/hour fixed window"))
    assert refused.value.retry_after is not None
    assert 0 < refused.value.retry_after.total_seconds() <= 3600
    assert refused.value.decisions.verdicts[0].limit.count == 2


async def test_a_place_is_free_again_when_its_holder_is_done(limits: RateLimits) -> None:
    async with limits.hold("user:1", "2 at once"), limits.hold("user:1", "2 at once"):
        with pytest.raises(LimitExceeded):
            await limits.hold("user:1", "2 at once").__aenter__()
    async with limits.hold("user:1", "2 at once") as decision:
        assert decision.remaining == 1


async def test_a_place_is_free_again_when_its_holder_is_cancelled(limits: RateLimits) -> None:
    inside = asyncio.Event()

    async def holder() -> None:
        async with limits.hold("user:1", ["1 at once", "100/min"]):
            inside.set()
            await asyncio.sleep(60)

    task = asyncio.get_running_loop().create_task(holder())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with asyncio.timeout(2):
        while not (await limits.peek("user:1", "1 at once")).allowed:  # noqa: ASYNC110 - it is no event
            await asyncio.sleep(0.01)
    assert (await limits.peek("user:1", "100/min")).remaining == 99


async def test_a_lease_that_is_never_given_back_expires(limits: RateLimits) -> None:
    assert (await limits.check("user:1", "1 at once for 100ms")).allowed
    assert not (await limits.check("user:1", "1 at once for 100ms")).allowed
    await asyncio.sleep(0.12)
    assert (await limits.check("user:1", "1 at once for 100ms")).allowed


async def test_moving_to_another_time_zone_gives_no_second_quota(limits: RateLimits) -> None:
    for zone in ("Pacific/Kiritimati", "Pacific/Pago_Pago", "UTC"):
        decision = await limits.check("user:1", f"1/day in {zone}")
        assert decision.allowed == (zone == "Pacific/Kiritimati")


async def test_a_window_goes_on_when_its_limit_is_raised_or_lowered(limits: RateLimits) -> None:
    await limits.check("user:1", "5/day fixed window", cost=4)
    assert (await limits.check("user:1", "10/day fixed window")).remaining == 5
    assert not (await limits.check("user:1", "3/day fixed window")).allowed


async def test_two_limits_that_would_count_in_one_place_are_a_mistake(limits: RateLimits) -> None:
    with pytest.raises(ValueError, match="differ in name or period"):
        await limits.check("user:1", ["5/day fixed window", "6/day fixed window"])


async def test_what_is_no_limit_is_a_mistake(limits: RateLimits) -> None:
    with pytest.raises(QuotaMalformed):
        await limits.check("user:1", "often")


async def test_check_rate_limit_works_as_it_is_written(keel: Keel) -> None:
    user_id = 42
    with keel.running():
        for left in (99, 98):
            allowed, remaining = await check_rate_limit(f"api:{user_id}", 100, 60)
            assert (allowed, remaining) == (True, left)
        allowed, remaining = await check_rate_limit(f"api:{user_id}", 100, 60, cost=99)
        assert (allowed, remaining) == (False, 98)
        assert (await check_rate_limit("other", 5, 0.5, algorithm="sliding_window"))[0]
    assert keel.limits.sources()[Source.LEASE] == 0


def test_a_limit_that_makes_no_sense_is_a_mistake() -> None:
    for mistaken in (
        {"count": 0},
        {"burst": 0},
        {"burst": 5, "algorithm": Algorithm.FIXED_WINDOW},
        {"period_us": 1500},
        {"name": 'a"b'},
        {"zone": "Europe/Berlin"},
        {"leased": True, "count": 59},
        {"count": 10**9, "period_us": 86_400_000_000, "algorithm": Algorithm.SLIDING_WINDOW},
        {"count": 10**9 + 7, "period_us": 86_400_000_000},
    ):
        with pytest.raises(ValueError, match=r".+"):
            Limit(**{"count": 10, "period_us": 60_000_000, **mistaken})  # type: ignore[arg-type]
