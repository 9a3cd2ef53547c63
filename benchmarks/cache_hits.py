"""What a hit costs: ours beside aiocache, cashews and fastapi-cache2 in memory, beside redis-py and cashews on Valkey.

`python -m benchmarks.cache_hits [rounds]` starts a Valkey of its own and prints the tables. Rounds are interleaved:
each measures everybody once, and a ratio is the median of the rounds' own ratios, so that a busy machine slows all.
"""

import asyncio
import statistics
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import aiocache
import redis.asyncio
import uvloop
from cashews import Cache
from fastapi_cache import FastAPICache
from fastapi_cache.backends.inmemory import InMemoryBackend
from fastapi_cache.decorator import cache as fastapi_cache

from keel import cache_response
from keel.opening import Keel
from tests.valkey import Valkey, running

ROUNDS: Final = 15
TEXT: Final = "x" * 1500
TOGETHER: Final = 16

Call = Callable[[int], Awaitable[Any]]


async def summary(account: int) -> dict[str, float]:
    """What is cached in memory: 1.5 kB as JSON."""
    return {f"figure_{number:02}": account + number / 7 for number in range(45)}


async def text(number: int) -> str:
    """What is cached on the server: 1.5 kB in any encoding."""
    return f"{number}{TEXT}"


async def seconds(call: Call, times: int) -> float:
    """Per call, one after the other."""
    started = perf_counter()
    for _ in range(times):
        await call(7)
    return (perf_counter() - started) / times


async def measured(calls: dict[str, tuple[Call, int]], rounds: int) -> dict[str, list[float]]:
    """Seconds per call of each, in rounds; every call is made once beforehand, and all must agree."""
    found: dict[str, list[float]] = {name: [] for name in calls}
    for call, _ in calls.values():
        await call(7)
    for _ in range(rounds):
        for name, (call, times) in calls.items():
            found[name].append(await seconds(call, times))
    return found


def show(title: str, found: dict[str, list[float]], ours: str, wanted: dict[str, str]) -> None:
    """A table: the median of each, and how ours compares with it."""
    print(f"{title:48}{'median':>10}{'÷ ours':>9}{'ours ÷':>9}")
    for name, times in found.items():
        ratio = statistics.median(theirs / own for theirs, own in zip(times, found[ours], strict=True))
        print(
            f"{name:48}{statistics.median(times) * 1e6:>7.2f} µs{ratio:>9.2f}{1 / ratio:>9.2f}  {wanted.get(name, '')}"
        )
    print()


async def in_memory(rounds: int) -> None:
    """Hits in this process's memory."""
    cashews = Cache()
    cashews.setup("mem://")
    FastAPICache.init(InMemoryBackend(), prefix="peer")
    calls: dict[str, tuple[Call, int]] = {
        "keel": (cache_response(ttl=300, key_prefix="bench")(summary), 4000),
        "aiocache": (aiocache.cached(ttl=300)(summary), 1000),
        "cashews": (cashews(ttl=300, key="bench:{account}")(summary), 400),
        "fastapi-cache2": (fastapi_cache(expire=300)(summary), 400),
    }
    async with Keel.open():
        found = await measured(calls, rounds)
    wanted = {
        "keel": "at most 4 µs",
        "aiocache": "÷ ours >= 5",
        "cashews": "÷ ours >= 12",
        "fastapi-cache2": "÷ ours >= 12",
    }
    show("decorated hit in memory, one int argument", found, "keel", wanted)
    await cashews.close()


async def in_valkey(url: str, rounds: int) -> None:
    """Hits in the shared tier: memory keeps nothing."""
    cashews = Cache()
    cashews.setup(url)
    client = redis.asyncio.Redis.from_url(url, protocol=3)
    for number in range(TOGETHER):
        await client.set(f"bare:{number}", await text(number))
    ours: Call = cache_response(ttl=300, key_prefix="bench", l1_ttl=0)(text)
    theirs: Call = cashews(ttl=300, key="bench:{number}")(text)

    async def each(call: Call) -> Any:  # noqa: ANN401 - any results
        return await asyncio.gather(*(call(number) for number in range(TOGETHER)))

    async def woken(_: int) -> None:
        """What asyncio takes for anything that 16 tasks wait for."""
        future = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(future.set_result, None)
        await future

    async with Keel.open(url, "bench") as keel:
        while keel.cache.stats().mode != "live":  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
        single: dict[str, tuple[Call, int]] = {
            "keel": (ours, 200),
            "redis-py GET": (lambda _: client.get("bare:7"), 200),
            "cashews": (theirs, 100),
        }
        show("hit in the shared tier, 1.5 kB", await measured(single, rounds), "keel", {
            "redis-py GET": "ours ÷ <= 1.3", "cashews": "÷ ours >= 2",
        })  # fmt: skip
        names, redis_ = [f"bare:{number}" for number in range(TOGETHER)], keel.redis
        assert redis_ is not None
        many: dict[str, tuple[Call, int]] = {
            "keel": (lambda _: each(ours), 60),
            "redis-py, one MGET of 16": (lambda _: client.mget(names), 60),
            "keel's own connection, one MGET of 16": (lambda _: redis_.read_many(names), 60),
            "16 tasks, woken by a future each": (lambda _: each(woken), 60),
            "redis-py, 16 GETs": (lambda _: each(lambda number: client.get(f"bare:{number}")), 20),
            "cashews": (lambda _: each(theirs), 20),
        }
        show("16 concurrent hits in the shared tier", await measured(many, rounds), "keel", {
            "redis-py, one MGET of 16": "ours ÷ <= 2",
        })  # fmt: skip
        assert keel.cache.stats().total.memory_hits == 0
    await client.aclose()
    await cashews.close()


async def main() -> None:
    """All tables."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    await in_memory(rounds)
    with tempfile.TemporaryDirectory() as folder, running(Valkey(Path(folder))) as server:
        await in_valkey(server.url, rounds)


if __name__ == "__main__":
    uvloop.run(main())
