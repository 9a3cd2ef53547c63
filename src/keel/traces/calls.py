"""Calls to Redis as part of what is under way: each a span with its command, and no key or value."""

from asyncio import Future
from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache, partial
from time import perf_counter_ns
from typing import Any, Literal, TypeVar

from keel.context import Doing, current_doing
from keel.logs.exceptions import type_name
from keel.redis.contract import Argument, Redis, Reply, Script, Tracker, Watcher
from keel.traces.spans import record

T = TypeVar("T")


class TracedRedis:
    """Implements `keel.redis.contract.Redis` by another one, whose calls it records where they are part of anything."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self.watch: Callable[[Watcher], Callable[[], None]] = redis.watch
        self.track: Callable[[str, Tracker], Callable[[], None]] = redis.track
        self.subscribe = redis.subscribe
        self.read_at_once = redis.read_at_once
        """What many have asked for is part of nothing in particular."""

    @property
    def is_cluster(self) -> bool:
        """Whether keys of one call must share a slot."""
        return self._redis.is_cluster

    @property
    def tracking_mode(self) -> Literal["tracking", "channel"]:
        """How trackers hear."""
        return self._redis.tracking_mode

    @property
    def confirms_tracking(self) -> bool:
        """Whether trackers are told of a server that tracks no more."""
        return self._redis.confirms_tracking

    @property
    def available(self) -> bool:
        """Whether every master can be reached."""
        return self._redis.available

    def call(
        self, *command: Argument, key: str | bytes | None = None, timeout_s: float | None = None
    ) -> Awaitable[Reply]:
        """Send one command."""
        return _seen(command[0], self._redis.call(*command, key=key, timeout_s=timeout_s))

    def run(
        self,
        script: Script,
        keys: Sequence[str | bytes],
        args: Sequence[Argument] = (),
        *,
        timeout_s: float | None = None,
    ) -> Awaitable[Reply]:
        """Run a script."""
        return _seen("EVALSHA", self._redis.run(script, keys, args, timeout_s=timeout_s))

    def read_many(
        self, keys: Sequence[str | bytes], *, timeout_s: float | None = None
    ) -> Awaitable[list[bytes | None]]:
        """The values of `keys`."""
        return _seen("MGET", self._redis.read_many(keys, timeout_s=timeout_s))


def _seen(command: Argument, waiting: Awaitable[T]) -> Awaitable[T]:
    within = current_doing()
    if within is None:
        return waiting
    began_ns, name = perf_counter_ns(), _name(command)
    if isinstance(waiting, Future):
        waiting.add_done_callback(partial(_answered, name, began_ns, within))
        return waiting
    return _timed(name, began_ns, within, waiting)


def _answered(name: str, began_ns: int, within: Doing, future: "Future[Any]") -> None:
    error = "" if future.cancelled() or (failed := future.exception()) is None else type_name(failed)
    record(name, began_ns, _attributes(name), error=error, within=within)


async def _timed(name: str, began_ns: int, within: Doing, waiting: Awaitable[T]) -> T:
    error = ""
    try:
        return await waiting
    except Exception as failed:
        error = type_name(failed)
        raise
    finally:
        record(name, began_ns, _attributes(name), error=error, within=within)


@lru_cache(maxsize=256)
def _name(command: Argument) -> str:
    text = command.decode("latin-1") if isinstance(command, bytes) else str(command)
    return text.upper()[:32]


@lru_cache(maxsize=256)
def _attributes(name: str) -> dict[str, str]:
    return {"db.system.name": "redis", "db.operation.name": name}
