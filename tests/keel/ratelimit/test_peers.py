"""Where the package `limits` means the same, it decides the same: fixed windows, on one server.

Its window begins with the first hit, ours by the clock, so each round is one window, under a name of its own. Its
weighted counter is another one: its windows begin with hits as well, and what is left of the window before is rounded
down. It counts hits that it refuses, so whatever we would refuse is only asked about.
"""

import asyncio
import random
import time
from contextlib import aclosing

import limits
import pytest
from limits.aio.storage import RedisStorage
from limits.aio.strategies import FixedWindowRateLimiter
from redis.asyncio import ConnectionPool

from keel.ratelimit.quota import parse
from keel.ratelimit.redis import RedisCounters
from keel.redis.connecting import connect

ROUNDS = 4
LATER_S = 0.05


async def into_a_window() -> None:
    """Wait until the next second has begun."""
    await asyncio.sleep(1 - time.time() % 1 + LATER_S)  # noqa: TID251 - the server's clock is this machine's


@pytest.mark.parametrize("count", [1, 7, 50])
async def test_fixed_windows_admit_what_limits_admits(redis_url: str, redis_namespace: str, count: int) -> None:
    ours, item = parse(f"{count}/s fixed window"), limits.parse(f"{count}/second")
    pool = ConnectionPool.from_url(redis_url)
    peer = FixedWindowRateLimiter(RedisStorage(f"async+{redis_url}", implementation="redispy", connection_pool=pool))
    async with aclosing(pool), connect(redis_url) as redis:
        counters = RedisCounters(redis, redis_namespace)
        for number in range(ROUNDS):
            await into_a_window()
            refusals, name = 0, f"{redis_namespace}:{number}"
            while refusals < 3:
                cost = random.randint(1, max(1, count // 4))
                decision = await counters.take("user:1", (ours,), cost)
                assert await peer.test(item, name, cost=cost) == decision.allowed
                if decision.allowed:
                    assert await peer.hit(item, name, cost=cost)
                    told = await peer.get_window_stats(item, name)
                    assert told.remaining == decision.remaining
                refusals += not decision.allowed
