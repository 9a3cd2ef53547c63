"""Locks: two processes, 10,000 acquisitions of one lock, and whether any two were ever inside together.

Also what an acquisition that nobody contends for costs, beside redis-py's lock and the bare scripts, on one server.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import uvloop
from redis.asyncio import Redis as RedisPy

from keel.locks.redis import RedisLockStore
from keel.opening import Keel
from tests.keel.locks.contest import contest, overlaps
from tests.valkey import Valkey, running

TIMES: Final = 5_000
ROUNDS: Final = 9
REPEATS: Final = 200

Work = Callable[[], Awaitable[object]]


async def timed(work: Work) -> float:
    """Microseconds that one turn takes."""
    began = time.perf_counter()
    for _ in range(REPEATS):
        await work()
    return (time.perf_counter() - began) / REPEATS * 1e6


async def uncontended(url: str) -> dict[str, list[float]]:
    """Microseconds of taking a lock and giving it back, round by round."""
    async with Keel.open(url, "bench") as keel, RedisPy.from_url(url, protocol=3) as theirs:
        assert keel.redis is not None
        store = RedisLockStore(keel.redis, "bench")

        async def ours() -> None:
            async with keel.locks.lock("a"):
                pass

        async def redis_py() -> None:
            async with theirs.lock("b", timeout=30):
                pass

        async def scripts() -> None:
            await store.take("c", "token", 30)
            await store.release("c", "token")

        todo: dict[str, Work] = {"keel": ours, "redis-py": redis_py, "the two scripts alone": scripts}
        taken: dict[str, list[float]] = {name: [] for name in todo}
        for _ in range(ROUNDS):
            for name, work in todo.items():
                taken[name].append(await timed(work))
        return taken


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder, running(Valkey(Path(folder))) as server:
        taken = uvloop.run(uncontended(server.url))
        visits = contest(server.url, "bench", TIMES)
    print(f"Locks (Python {sys.version.split()[0]}, uvloop; one local server)")
    for name, its in taken.items():
        print(f"  take and give back, {name:<24}{statistics.median(its):9.1f} µs")
    took_s = (max(visit.left for visit in visits) - min(visit.entered for visit in visits)) / 1e9
    print(f"  two processes contending: {len(visits)} acquisitions in {took_s:.1f} s, {overlaps(visits)} overlaps")
    assert overlaps(visits) == 0
    assert len({visit.fence for visit in visits}) == 2 * TIMES


if __name__ == "__main__":
    main()
