"""The looks of one tick of the loop, as one MGET: what they have in common is asked for once."""

import asyncio
from collections.abc import Sequence
from contextvars import Context
from typing import Final

from keel.context import current_budget
from keel.redis.contract import Redis

Values = list[bytes | None]

_FULL_WAIT_S: Final = 0.15
"""What a call waits at most by itself; a request that has less left asks alone, so that nobody else is cut short."""


class Looks:
    """Gathers what is asked for until the loop comes round, and hands everybody their part of the reply.

    On a cluster each asks for himself: the keys lie in different slots in any case.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._loop = asyncio.get_running_loop()
        self._waiting: list[tuple[Sequence[str], asyncio.Future[Values]]] = []
        self._nobodys: Final = Context()

    async def read(self, keys: Sequence[str]) -> Values:
        """The values of `keys`, in their order; raises RedisUnavailable."""
        budget = current_budget()
        if self._redis.is_cluster or (budget is not None and budget.left_s < _FULL_WAIT_S):
            return await self._redis.read_many(keys)
        future: asyncio.Future[Values] = self._loop.create_future()
        if budget is not None:
            budget.begin()
            future.add_done_callback(budget.end)
        if not self._waiting:
            self._loop.call_soon(self._send, context=self._nobodys)
        self._waiting.append((keys, future))
        return await future

    def _send(self) -> None:
        waiting, self._waiting = self._waiting, []
        places: dict[str, int] = {}
        for keys, _ in waiting:
            for key in keys:
                places.setdefault(key, len(places))
        asked = asyncio.ensure_future(self._redis.read_many(list(places)))  # noqa: TID251 - a future already

        def hand_out(answer: "asyncio.Future[Values]") -> None:
            error = answer.exception()
            for keys, future in waiting:
                if future.done():
                    continue
                if error is None:
                    values = answer.result()
                    future.set_result([values[places[key]] for key in keys])
                else:
                    future.set_exception(error)

        asked.add_done_callback(hand_out)
