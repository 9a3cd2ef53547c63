"""A process full of callers of one limit: run with URL, namespace, how many, how often and the limits; prints a log.

The log is JSON: of each decision its time by the server, whether it was allowed, its cost and what it was charged to.
"""

import asyncio
import json
import random
import sys
from collections.abc import Sequence
from typing import cast

from keel.ratelimit.contract import Limits
from keel.ratelimit.quota import parse
from keel.ratelimit.redis import RedisCounters
from keel.redis.connecting import connect
from keel.redis.contract import Argument, Redis, Reply, Script

SUBJECT = "user:1"


class Patient:
    """A server that is waited for: whether a call that was given up has counted is not known."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def run(self, script: Script, keys: Sequence[str | bytes], args: Sequence[Argument] = ()) -> Reply:
        """Run a script, once there is a connection, for as long as it takes."""
        while not self._redis.available:  # noqa: ASYNC110 - a busy machine is late
            await asyncio.sleep(0.01)
        return await self._redis.run(script, keys, args, timeout_s=60)


async def crowd(url: str, namespace: str, callers: int, times: int, limits: Limits) -> list[tuple[int, bool, int]]:
    """Everybody calls as often, in their own time."""
    log: list[tuple[int, bool, int]] = []
    async with connect(url) as redis:
        counters = RedisCounters(cast("Redis", Patient(redis)), namespace)

        async def call() -> None:
            for _ in range(times):
                cost = random.choice([1, 1, 1, 2, 3])
                decision = await counters.take(SUBJECT, limits, cost)
                log.append((decision.at_us, decision.allowed, cost))
                await asyncio.sleep(random.random() * 0.05)

        await asyncio.gather(*(call() for _ in range(callers)))
    return log


def main() -> None:
    """Read the arguments, call, print."""
    url, namespace, callers, times, *texts = sys.argv[1:]
    limits = tuple(parse(text, f"limit{number}") for number, text in enumerate(texts))
    json.dump(asyncio.run(crowd(url, namespace, int(callers), int(times), limits)), sys.stdout)


if __name__ == "__main__":
    main()
