"""The looks of one tick of the loop, as one MGET: what they have in common is asked for once.

The reply is judged for all of them where it is read, in one go, and then each of them is woken with what it came for.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from keel.cache.contract import Places, S, T, Versions
from keel.context import Budget, current_budget
from keel.redis.contract import Redis

Take = Callable[[S, bytes | None, Versions], T]
"""Makes of what lies there, and of the versions, what is waited for. The first argument is who asks."""

_FULL_WAIT_S: Final = 0.15
"""What a call waits at most by itself; a request that has less left asks alone, so that nobody else is cut short."""


class Looks:
    """Gathers what is asked for until the loop comes round.

    On a cluster each asks for himself: the keys lie in different slots in any case.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._is_cluster = redis.is_cluster
        self._loop = asyncio.get_running_loop()
        self._new_future = self._loop.create_future
        self._batch: _Batch | None = None

    def read(self, places: Places, take: Take[S, T], who: S) -> Awaitable[T]:
        """What `take` makes of a look at `places`; raises RedisUnavailable when it is awaited."""
        budget = current_budget()
        if self._is_cluster or (budget is not None and budget.left_s < _FULL_WAIT_S):
            return self._alone(places, take, who)
        batch = self._batch
        if batch is None:
            batch = self._batch = _Batch()
            self._loop.call_soon(self._send)
        if budget is not None:
            budget.begin()
            batch.budgets.append(budget)
        future: asyncio.Future[T] = self._new_future()
        keys, (value, versions) = batch.keys, places
        if versions not in batch.versions:
            batch.versions[versions] = [keys.setdefault(each, len(keys)) for each in versions]
        batch.waiting.append((keys.setdefault(value, len(keys)), versions, take, who, future))
        return future

    async def _alone(self, places: Places, take: Take[S, T], who: S) -> T:
        found, *versions = await self._redis.read_many([places.value, *places.versions])
        return take(who, found, tuple(versions))

    def _send(self) -> None:
        batch, self._batch = self._batch, None
        if batch is not None:
            try:
                self._redis.read_at_once(list(batch.keys), batch)
            except Exception as error:  # noqa: BLE001 - nobody else would tell those who wait
                batch.set_exception(error)


class _Batch:
    """All that one tick asks for. To the connection it is the one who waits for the reply."""

    __slots__ = ("_done", "budgets", "keys", "versions", "waiting")

    def __init__(self) -> None:
        self.keys: dict[str, int] = {}
        """Each with its place in the reply."""
        self.versions: dict[tuple[str, ...], list[int]] = {}
        """The places of the versions that go together."""
        self.waiting: list[tuple[int, tuple[str, ...], Take[Any, Any], Any, asyncio.Future[Any]]] = []
        """The place of the value, which versions, and for whom."""
        self.budgets: list[Budget] = []
        """Of those who wait. One of a caller who gives up earlier is charged until the reply comes."""
        self._done = False

    def done(self) -> bool:
        """Whether the reply is there."""
        return self._done

    def set_result(self, values: list[bytes | None], /) -> None:
        """Hand out what came."""
        self._end()
        versions = {names: tuple([values[at] for at in its]) for names, its in self.versions.items()}
        for at, names, take, who, future in self.waiting:
            if not future.done():
                try:
                    future.set_result(take(who, values[at], versions[names]))
                except Exception as error:  # noqa: BLE001 - whoever waits is told
                    future.set_exception(error)

    def set_exception(self, error: Exception, /) -> None:
        """Tell everybody that nothing came."""
        self._end()
        for *_, future in self.waiting:
            if not future.done():
                future.set_exception(error)

    def _end(self) -> None:
        self._done = True
        for budget in self.budgets:
            budget.end()
