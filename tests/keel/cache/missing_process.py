"""One of several that miss the same key together: `python -m tests.keel.cache.missing_process URL READERS`."""

import asyncio
import sys
from typing import Final

from keel.opening import Keel
from keel.redis.connecting import connect

NAMESPACE: Final = "missing"
STARTED: Final = "missing:started"
LOADS: Final = "missing:loads"


def say(*words: str) -> None:
    sys.stdout.write(" ".join(words) + "\n")
    sys.stdout.flush()


async def main(url: str, readers: int) -> None:
    async with connect(url) as redis, Keel.open(url, NAMESPACE) as keel:

        async def load() -> str:
            await redis.call("INCR", LOADS)
            await asyncio.sleep(0.5)
            return "computed"

        say("ready")
        while await redis.call("GET", STARTED) is None:  # noqa: ASYNC110 - another process ends it
            await asyncio.sleep(0.005)
        asked = [keel.cache.get_or_set("summary:1", load, ttl=60) for _ in range(readers)]
        say(*set(await asyncio.gather(*asked)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
