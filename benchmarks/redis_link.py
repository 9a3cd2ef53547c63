"""One connection for all calls, beside redis-py's pool, on one server, in interleaved rounds.

Values are 1500 bytes. Every number is the median over rounds; a ratio is the median of the rounds' ratios.
"""

import asyncio
import hashlib
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import uvloop
from redis.asyncio import Redis as RedisPy

from keel.redis.connecting import connect
from keel.redis.contract import Redis, Script
from tests.valkey import Valkey, running

ROUNDS: Final = 15
REPEATS: Final = 300
KEYS: Final = [f"key:{number}" for number in range(16)]
SIXTEEN_REDIS_PY: Final = "16 gathered GETs, redis-py"
TEXT: Final = "return redis.call('GET', KEYS[1])"

Work = Callable[[], Awaitable[object]]


async def timed(work: Work, repeats: int) -> float:
    """Microseconds that one turn takes."""
    began = time.perf_counter()
    for _ in range(repeats):
        await work()
    return (time.perf_counter() - began) / repeats * 1e6


def works(ours: Redis, theirs: RedisPy) -> dict[str, Work]:
    """What is measured, by name."""
    script = Script(TEXT, hashlib.sha1(TEXT.encode(), usedforsecurity=False).hexdigest())
    registered = theirs.register_script(TEXT)
    return {
        "GET, keel": lambda: ours.call("GET", "key:0"),
        "GET, redis-py": lambda: theirs.get("key:0"),
        "16 gathered GETs, keel": lambda: asyncio.gather(*[ours.call("GET", key) for key in KEYS]),
        "MGET of 16, keel": lambda: ours.read_many(KEYS),
        "MGET of 16, redis-py": lambda: theirs.mget(KEYS),
        SIXTEEN_REDIS_PY: lambda: asyncio.gather(*[theirs.get(key) for key in KEYS]),
        "EVALSHA, keel": lambda: ours.run(script, ["key:0"]),
        "EVALSHA, redis-py": lambda: theirs.evalsha(script.sha1, 1, "key:0"),
        "a registered script, redis-py": lambda: registered(keys=["key:0"]),
    }


async def measured(url: str) -> dict[str, list[float]]:
    """Microseconds of each work, round by round."""
    theirs = RedisPy.from_url(url, protocol=3)
    async with connect(url) as ours, theirs:
        await asyncio.gather(*(ours.call("SET", key, "x" * 1500) for key in KEYS))
        todo = works(ours, theirs)
        assert await todo["16 gathered GETs, keel"]() == await todo["MGET of 16, redis-py"]()
        assert await todo["EVALSHA, keel"]() == await todo["a registered script, redis-py"]()
        taken: dict[str, list[float]] = {name: [] for name in todo}
        for _ in range(ROUNDS):
            for name, work in todo.items():
                taken[name].append(await timed(work, REPEATS // 5 if name == SIXTEEN_REDIS_PY else REPEATS))
    return taken


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder, running(Valkey(Path(folder))) as server:
        taken = uvloop.run(measured(server.url))
    print(f"Redis link (µs, median of {ROUNDS} rounds; Python {sys.version.split()[0]}, uvloop)")
    for name, its in taken.items():
        print(f"  {name:<32}{statistics.median(its):9.1f}")
    for name, other in (
        ("GET, keel", "GET, redis-py"),
        ("16 gathered GETs, keel", "MGET of 16, redis-py"),
        ("16 gathered GETs, keel", SIXTEEN_REDIS_PY),
        ("EVALSHA, keel", "EVALSHA, redis-py"),
    ):
        ratio = statistics.median(a / b for a, b in zip(taken[name], taken[other], strict=True))
        print(f"  {name} ÷ {other}: {ratio:.2f}")


if __name__ == "__main__":
    main()
