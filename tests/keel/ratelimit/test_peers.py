"""Where the package `limits` means the same, it decides the same: what is admitted before time has passed to speak of.

That is all that a fixed window is until it ends. A burst of a meter, and the first window of a weighted counter, admit
what a log of requests does (the "moving window" of `limits`) and its own weighted counter, while nothing of it has
drained: an hour is long. Later they part: a log frees all places of a burst at once, a meter one after the other, and
the windows of `limits` begin with the first hit, not by the clock. It counts hits that it refuses, so whatever we would
refuse is only asked about.
"""

import random
from contextlib import aclosing

import limits
import pytest
from limits.aio.storage import RedisStorage
from limits.aio.strategies import (
    FixedWindowRateLimiter,
    MovingWindowRateLimiter,
    RateLimiter,
    SlidingWindowCounterRateLimiter,
)
from redis.asyncio import ConnectionPool

from keel.ratelimit.quota import parse
from keel.ratelimit.redis import RedisCounters
from keel.redis.connecting import connect

ROUNDS = 4
HOUR_US = 3_600_000_000
Told = tuple[bool, int]
"""Whether it was admitted, and what would still be."""


@pytest.mark.parametrize("count", [1, 7, 50])
@pytest.mark.parametrize(
    ("kind", "strategy"),
    [
        pytest.param("fixed window", FixedWindowRateLimiter, id="fixed window"),
        pytest.param("sliding window", SlidingWindowCounterRateLimiter, id="weighted counter"),
        pytest.param("sliding window", MovingWindowRateLimiter, id="log and weighted counter"),
        pytest.param("", MovingWindowRateLimiter, id="log and burst"),
        pytest.param("token bucket", MovingWindowRateLimiter, id="log and bucket"),
    ],
)
async def test_what_limits_admits_at_once_is_admitted_at_once(
    redis_url: str, redis_namespace: str, count: int, kind: str, strategy: type[RateLimiter]
) -> None:
    ours, item = parse(f"{count}/h {kind}".strip()), limits.parse(f"{count}/hour")
    pool = ConnectionPool.from_url(redis_url)
    peer = strategy(RedisStorage(f"async+{redis_url}", implementation="redispy", connection_pool=pool))
    async with aclosing(pool), connect(redis_url) as redis:
        counters = RedisCounters(redis, redis_namespace)
        for number in range(ROUNDS):
            refusals, name, hours = 0, f"{redis_namespace}:{number}", set[int]()
            told: list[Told] = []
            theirs: list[Told] = []
            while refusals < 3:
                cost = random.randint(1, max(1, count // 4))
                decision = await counters.take(name, (ours,), cost)
                hours.add(decision.at_us // HOUR_US)
                told.append((decision.allowed, decision.remaining))
                admitted = await (peer.hit if decision.allowed else peer.test)(item, name, cost=cost)
                theirs.append((admitted, (await peer.get_window_stats(item, name)).remaining))
                refusals += not decision.allowed
            if len(hours) == 1:  # else our window has ended in between
                assert told == theirs
