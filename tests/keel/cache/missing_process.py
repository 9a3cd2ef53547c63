"""One of several that miss the same key together: `python -m tests.keel.cache.missing_process URL READERS`."""

import asyncio
import logging
import sys
from typing import Final

from keel.opening import Keel
from keel.redis.connecting import connect

NAMESPACE: Final = "missing"
STARTED: Final = "missing:started"
LOADS: Final = "missing:loads"
ROUNDS: Final = 10
"""How often they can be asked to miss a key: who cannot reach the server in time computes alone, as it should."""


def say(*words: str) -> None:
    sys.stdout.write(" ".join(words) + "\n")
    sys.stdout.flush()


class Kept(logging.Handler):
    """Keeps what is logged."""

    def __init__(self, records: list[logging.LogRecord]) -> None:
        super().__init__()
        self._records = records

    def emit(self, record: logging.LogRecord) -> None:
        self._records.append(record)


def computed_alone() -> list[logging.LogRecord]:
    """A list that grows with each value that is computed without asking the others, as the server did not answer."""
    log, records = logging.getLogger("keel.cache.flights"), list[logging.LogRecord]()
    log.setLevel(logging.DEBUG)
    log.addHandler(Kept(records))
    return records


async def main(url: str, readers: int) -> None:
    alone = computed_alone()
    async with connect(url) as redis, Keel.open(url, NAMESPACE) as keel:

        async def load() -> str:
            await redis.call("INCR", f"{LOADS}:{number}")
            await asyncio.sleep(0.5)
            return "computed"

        say("ready")
        for number in range(ROUNDS):
            while await redis.call("GET", f"{STARTED}:{number}") is None:  # noqa: ASYNC110 - another process sets it
                await asyncio.sleep(0.005)
            alone.clear()
            asked = [keel.cache.get_or_set(f"summary:{number}", load, ttl=60) for _ in range(readers)]
            answered = set(await asyncio.gather(*asked))
            say(*answered, str(len(alone)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
