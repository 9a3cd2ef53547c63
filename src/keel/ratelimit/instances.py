"""How many processes there are, as the server last knew: among so many a limit is divided while it is away."""

import asyncio
import logging
import secrets
from typing import Final

from keel.context import budget
from keel.redis.contract import CommandRefused, Redis, RedisUnavailable, Script

COUNTS_MS: Final = 15_000
"""How long a process counts that has not been heard of."""
EVERY_S: Final = 5.0
_LOG: Final = logging.getLogger(__name__)


class Scripts:
    """The script, read from its file once."""

    count: Final = Script.load("keel.ratelimit", "instances.lua")


class Instances:
    """How many processes there are, of which this is one. `count` is 1 before the server was heard of."""

    def __init__(self, redis: Redis, namespace: str) -> None:
        self.count = 1
        self._redis = redis
        self._place = f"{namespace}:r:instances"
        self._name = secrets.token_hex(8)

    async def follow(self) -> None:
        """Tell and hear again and again, for ever."""
        while True:
            await self.tell()
            await asyncio.sleep(EVERY_S)

    async def tell(self) -> None:
        """Say that this process is there, and hear how many are."""
        with budget(None):
            try:
                count = await self._redis.run(Scripts.count, [self._place], [self._name, COUNTS_MS])
            except RedisUnavailable:
                return
            except CommandRefused as error:
                _LOG.warning("the processes cannot be counted: %s", error)
                return
        self.count = max(1, count) if isinstance(count, int) else 1

    async def leave(self) -> None:
        """Count no more."""
        try:
            await self._redis.call("ZREM", self._place, self._name)
        except (RedisUnavailable, CommandRefused):
            return  # it will be forgotten
