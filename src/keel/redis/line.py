"""A line to one server: one link at a time, made again in the background whenever it is lost."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import Final

from keel.redis.contract import RedisUnavailable
from keel.redis.link import Link

SHORTEST_S: Final = 0.05
LONGEST_S: Final = 0.5
"""Between two attempts, so that a server that returns is noticed."""
SETTLED_S: Final = 1.0
"""A link that lasted this long is made again at once when it is lost."""


class Line:
    """Keeps a link.

    `make` opens one and sees that it is good, raising RedisUnavailable; `made` is told of it, and watches over it;
    `missed` is told why one was not made.
    """

    def __init__(
        self,
        make: Callable[[], Awaitable[Link]],
        *,
        made: Callable[[Link], None],
        missed: Callable[[str], None],
    ) -> None:
        self._make = make
        self._made = made
        self._missed = missed
        self._attempts = 0

    async def keep(self) -> None:
        """Run for as long as the line is wanted; cancelled, it cuts its link."""
        while True:
            await asyncio.sleep(self._pause_s())
            self._attempts += 1
            try:
                link = await self._make()
            except RedisUnavailable as error:
                self._missed(error.reason)
            except Exception as error:  # noqa: BLE001 - whatever redis-py makes of something that is no Redis
                self._missed(f"{type(error).__name__}: {error}")
            else:
                if _is_cancelled():
                    link.cut("closed")
                    return
                if link.is_cut:
                    self._missed(link.cut_because)
                else:
                    await self._use(link)

    async def _use(self, link: Link) -> None:
        began = time.monotonic()
        try:
            self._made(link)
            await asyncio.wait([link.lost])
        finally:
            link.cut("closed")
        if time.monotonic() - began >= SETTLED_S:
            self._attempts = 0

    def _pause_s(self) -> float:
        if not self._attempts:
            return 0.0
        longest = min(SHORTEST_S * 2.0 ** min(self._attempts - 1, 10), LONGEST_S)
        return longest * random.uniform(0.5, 1.0)


def _is_cancelled() -> bool:
    """Whether this task was told to end, though what it waited for swallowed that, as Python 3.11's wait_for may."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
