"""Two limits in one check, beside a bare EVALSHA on the same connection and beside peers, in interleaved rounds.

The two are 1,000,000/min and 100,000,000/day, counted together by one script. Peers check one limit at a time, as they
have nothing else. A bare EVALSHA runs `return 1` on two keys: by our connection, and by redis-py, which the peers use.
The least that a script must do reads the server's clock, two states in one command, and writes them in another. Every
number is the median over rounds; a ratio is the median of the rounds' ratios. Beside the time that passes stands how
long processors work for it, this process's and the server's: that depends less on who else is at work.
"""

import hashlib
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any, Final, NamedTuple

import limits
import uvloop
from limits.aio.storage import RedisStorage
from limits.aio.strategies import FixedWindowRateLimiter, SlidingWindowCounterRateLimiter
from redis.asyncio import Redis as RedisPy
from throttled.asyncio import RateLimiterType, RedisStore, Throttled, rate_limiter

from keel.opening import Keel
from keel.ratelimit.quota import parse
from keel.redis.contract import Script
from tests.valkey import Valkey, running

ROUNDS: Final = 15
REPEATS: Final = 400
BARE: Final = "bare EVALSHA, keel's connection"
BARE_REDIS_PY: Final = "bare EVALSHA, redis-py"
TWO: Final = "two limits in one check, keel"
ONE: Final = "one limit, keel"
LEAST: Final = "an EVALSHA that does the least it must, keel's connection"
TEXT: Final = "return 1"
SHA1: Final = hashlib.sha1(TEXT.encode(), usedforsecurity=False).hexdigest()
LEAST_TEXT: Final = """
redis.call('TIME')
redis.call('HMGET', KEYS[1], 'a', 'b')
redis.call('HSET', KEYS[1], 'a', ARGV[1], 'b', ARGV[1])
return 1
"""
LEAST_SHA1: Final = hashlib.sha1(LEAST_TEXT.encode(), usedforsecurity=False).hexdigest()

Work = Callable[[], Awaitable[object]]


def peers(url: str) -> dict[str, Work]:
    """What others do for one limit."""
    storage = RedisStorage(f"async+{url}", implementation="redispy")
    item = limits.parse("1000000/minute")
    fixed, sliding = FixedWindowRateLimiter(storage), SlidingWindowCounterRateLimiter(storage)
    client = RedisPy.from_url(url, protocol=3)
    works: dict[str, Work] = {
        BARE_REDIS_PY: lambda: client.evalsha(SHA1, 2, "{user:1}a", "{user:1}b"),
        "one limit, limits, fixed window": lambda: fixed.hit(item, "user:1"),
        "one limit, limits, sliding counter": lambda: sliding.hit(item, "user:1"),
    }
    store = RedisStore(server=url)
    kinds = {"fixed window": RateLimiterType.FIXED_WINDOW, "GCRA": RateLimiterType.GCRA}
    for name, kind in kinds.items():
        quota = rate_limiter.per_min(1_000_000)
        throttled = Throttled(key="user:1", using=kind.value, quota=quota, store=store)
        works[f"one limit, throttled-py, {name}"] = throttled.limit
    return works


def ours(keel: Keel) -> dict[str, Work]:
    """What we do, and what the server and the connection take of it."""
    assert keel.redis is not None
    redis, checks = keel.redis, keel.limits
    script, least = Script(TEXT, SHA1), Script(LEAST_TEXT, LEAST_SHA1)
    minute, day = parse("1000000/min", "minute"), parse("100000000/day", "day")
    windows = [parse("1000000/min sliding window", "sliding"), parse("100000000/day fixed window", "fixed")]
    leased, refused = replace(minute, name="leased", leased=True), parse("1/day", "refused")
    numbers = count()
    return {
        BARE: lambda: redis.run(script, ["{user:1}a", "{user:1}b"]),
        LEAST: lambda: redis.run(least, ["{user:1}c"], ["0123456789abcdef"]),
        ONE: lambda: checks.check("user:1", minute),
        TWO: lambda: checks.check("user:1", (minute, day)),
        "two windows in one check, keel": lambda: checks.check("user:1", windows),
        "two limits, another subject each time, keel": lambda: checks.check(f"user:{next(numbers)}", (minute, day)),
        "a permit of those on lease, keel": lambda: checks.check("user:1", leased),
        "a repeated no, keel": lambda: checks.check("user:1", refused),
    }


class Taken(NamedTuple):
    """Microseconds of one turn: how long it takes, and how long processors work for it."""

    wall: float
    cpu: float


async def timed(work: Work, server: RedisPy) -> Taken:
    """What one turn takes."""
    worked, began = await worked_s(server), time.perf_counter()
    for _ in range(REPEATS):
        await work()
    wall = time.perf_counter() - began
    return Taken(wall / REPEATS * 1e6, (await worked_s(server) - worked) / REPEATS * 1e6)


async def worked_s(server: RedisPy) -> float:
    """For how long this process and the server have worked."""
    told: Any = await server.info("cpu")
    return time.process_time() + float(told["used_cpu_user"]) + float(told["used_cpu_sys"])


async def measured(url: str) -> dict[str, list[Taken]]:
    """What each work takes, round by round."""
    async with Keel.open(url, "bench") as keel, RedisPy.from_url(url, protocol=3) as server:
        todo = ours(keel) | peers(url)
        results: dict[str, Any] = {name: await work() for name, work in todo.items()}
        assert results[TWO].allowed
        assert results["one limit, limits, fixed window"]
        assert not results["one limit, throttled-py, GCRA"].limited
        taken: dict[str, list[Taken]] = {name: [] for name in todo}
        for _ in range(ROUNDS):
            for name, work in todo.items():
                taken[name].append(await timed(work, server))
    return taken


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder, running(Valkey(Path(folder))) as server:
        taken = uvloop.run(measured(server.url))
    print(
        f"Rate limits (µs, of a processor's work; median of {ROUNDS} rounds; Python {sys.version.split()[0]}, uvloop)"
    )
    for name, its in taken.items():
        wall, cpu = (statistics.median(values) for values in zip(*its, strict=True))
        print(f"  {name:<58}{wall:9.1f}{cpu:9.1f}")
    for other in taken:
        if other != TWO:
            pairs = list(zip(taken[TWO], taken[other], strict=True))
            wall = statistics.median(a.wall / b.wall for a, b in pairs)
            cpu = statistics.median(a.cpu / b.cpu for a, b in pairs)
            print(f"  {TWO} ÷ {other}: {wall:.2f}, {cpu:.2f} of the work")


if __name__ == "__main__":
    main()
