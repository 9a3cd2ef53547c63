"""Acquiring a lock, keeping the lease alive while it is held, and giving it back."""

import asyncio
import secrets
from collections.abc import Coroutine
from datetime import timedelta
from time import monotonic
from types import TracebackType
from typing import Any, Final, TypeVar

from keel.context import budget
from keel.locks.contract import (
    SHORTEST_TTL_S,
    Held,
    LeaseLost,
    LockNotAcquired,
    LockStore,
    LockUnavailable,
    OnLost,
    Seconds,
    Taken,
)
from keel.locks.observer import NullObserver, Observer, Outcome
from keel.locks.waiting import Lines
from keel.redis.contract import CommandRefused, RedisUnavailable
from keel.tasks import Tasks
from keel.traces.spans import part

MARGIN: Final = 0.1
MOST_MARGIN_S: Final = 1.0
"""A lease counts as lost this much before its ttl has passed here: clocks differ, and answers take time."""
RETRY_S: Final = 0.5

T = TypeVar("T")


class LeaseLocks:
    """`keel.locks.contract.Locks` over whatever keeps them."""

    def __init__(self, store: LockStore, tasks: Tasks) -> None:
        self.store = store
        self.observer: Observer = NullObserver()
        self._tasks = tasks
        self._lines = Lines(store)

    def lock(self, name: str, *, ttl: Seconds = 30, wait: Seconds = 10, on_lost: OnLost = "raise") -> "Holding":
        """Hold the lock `name` for as long as the block lasts; all that `Locks.lock` says holds."""
        if not name:
            raise ValueError("a lock has a name")
        ttl_s = _seconds(ttl)
        if ttl_s < SHORTEST_TTL_S:
            raise ValueError(f"ttl must be at least {SHORTEST_TTL_S} seconds")
        return Holding(self, name, ttl_s, _seconds(wait), on_lost)

    def close(self) -> None:
        """Wait no more; leases that are held end by their ttl."""
        self._lines.close()

    async def acquire(self, name: str, ttl_s: float, wait_s: float) -> "HeldLease":
        """A lease that somebody must give back; raises LockNotAcquired and LockUnavailable."""
        end = monotonic() + wait_s
        if wait_s <= 0 or not self._lines.is_waited_for(name):
            found = await self._ask(name, ttl_s)
            if isinstance(found, HeldLease):
                return found
            if wait_s <= 0:
                raise LockNotAcquired(name, found.ends_s)
        with self._lines.joining(name) as line:
            try:
                async with asyncio.timeout(max(end - monotonic(), 0)):
                    await line.turn.acquire()
            except TimeoutError:
                raise LockNotAcquired(name, ttl_s) from None
            try:
                while True:
                    line.bell.clear()
                    found = await self._ask(name, ttl_s)
                    if isinstance(found, HeldLease):
                        return found
                    if (left_s := end - monotonic()) <= 0:
                        raise LockNotAcquired(name, found.ends_s)
                    await line.rung(found.ends_s, left_s)
            finally:
                line.turn.release()

    async def _ask(self, name: str, ttl_s: float) -> "HeldLease | Held":
        """Try once. However that ends, a lease that nobody knows of is given back."""
        token, asked = secrets.token_hex(16), monotonic()
        try:
            answer = await self.store.take(name, token, ttl_s)
        except BaseException as error:
            self.start(f"lock {name}: release", self.let_go(name, token, asked + ttl_s))
            if isinstance(error, (RedisUnavailable, CommandRefused)):
                raise LockUnavailable(name) from error
            raise
        return HeldLease(self, name, token, answer.fence, ttl_s, asked) if isinstance(answer, Taken) else answer

    async def let_go(self, name: str, token: str, ends: float) -> bool | None:
        """Give a lease back, again and again where the server is away, until it has ended by itself.

        None: it was not answered.
        """
        with budget(None):
            try:
                return await self.store.release(name, token)
            except (RedisUnavailable, CommandRefused):
                if monotonic() < ends:
                    self.start(f"lock {name}: release again", self._let_go_later(name, token, ends))
                return None

    def start(self, name: str, work: Coroutine[Any, Any, T]) -> asyncio.Task[T] | None:
        """Do it in the background; None, undone, where everything is closed already."""
        try:
            return self._tasks.start(name, work)
        except RuntimeError:
            return None

    async def _let_go_later(self, name: str, token: str, ends: float) -> None:
        await asyncio.sleep(RETRY_S)
        await self.let_go(name, token, ends)


class HeldLease:
    """`keel.locks.contract.Lease`: renewed every ttl ÷ 3, and lost where that has not succeeded in time."""

    def __init__(self, locks: LeaseLocks, name: str, token: str, fence: int, ttl_s: float, asked: float) -> None:
        self.name = name
        self.fence = fence
        self.token = token
        self._locks = locks
        self._ttl_s = ttl_s
        self._lost_because = ""
        self._loop = asyncio.get_running_loop()
        self._holder: asyncio.Task[Any] | None = None
        self._cancelling: int | None = None
        self._timers: list[asyncio.TimerHandle] = []
        self._over = False
        self._extend(asked)

    @property
    def ends(self) -> float:
        """When the server lets it end, by the monotonic clock, had it heard the last renewal as soon as it was sent."""
        return self._good_until + _margin_s(self._ttl_s)

    @property
    def is_lost(self) -> bool:
        """Whether it must be taken for lost."""
        if not self._lost_because and not self._over and monotonic() >= self._good_until:
            self.lose("it was not renewed in time")
        return bool(self._lost_because)

    def raise_if_lost(self) -> None:
        """Raise `LeaseLost` where it is lost."""
        if self.is_lost:
            raise LeaseLost(self.name, self._lost_because)

    def cancel_when_lost(self) -> None:
        """Have the running task cancelled as soon as the lease is lost."""
        self._holder = asyncio.current_task()

    def lose(self, reason: str) -> None:
        """It is gone."""
        self._stop()
        self._lost_because = reason
        self._locks.observer.lost(self.name, reason)
        if self._holder is not None and self._cancelling is None:
            self._cancelling = self._holder.cancelling()
            self._holder.cancel(str(LeaseLost(self.name, reason)))

    def end(self) -> None:
        """It is given back: renew it no more."""
        _ = self.is_lost
        self._over = True
        self._holder = None if self._cancelling is None else self._holder
        self._stop()

    def take_back_cancellation(self) -> bool:
        """Whether the holder was cancelled for this lease's sake, and for no other reason."""
        if self._cancelling is None or self._holder is None:
            return False
        return self._holder.uncancel() <= self._cancelling

    def _extend(self, asked: float) -> None:
        """Renewed by a command sent at `asked`: that is when the server may have begun to count."""
        self._good_until = asked + self._ttl_s - _margin_s(self._ttl_s)
        self._schedule(asked + self._ttl_s / 3)

    def _schedule(self, renewal: float) -> None:
        self._stop()
        now = monotonic()
        self._timers = [
            self._loop.call_later(max(renewal - now, 0), self._begin_renewal),
            self._loop.call_later(max(self._good_until - now, 0), self._look),
        ]

    def _look(self) -> None:
        if not self.is_lost:  # a timer may be early
            self._timers.append(self._loop.call_later(max(self._good_until - monotonic(), 0.001), self._look))

    def _begin_renewal(self) -> None:
        self._locks.start(f"lock {self.name}: renewal", self._renew())

    async def _renew(self) -> None:
        asked = monotonic()
        try:
            with budget(None):
                is_held = await self._locks.store.renew(self.name, self.token, self._ttl_s)
        except (RedisUnavailable, CommandRefused):
            if not (self._over or self.is_lost):
                self._schedule(asked + max(self._ttl_s / 12, 0.05))
            return
        if self._over or self.is_lost:
            return
        if is_held:
            self._extend(asked)
        else:
            self.lose("it is not there any more")

    def _stop(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()


class Holding:
    """One `async with`: acquires on entering, gives back on leaving."""

    def __init__(self, locks: LeaseLocks, name: str, ttl_s: float, wait_s: float, on_lost: OnLost) -> None:
        self._locks = locks
        self._name = name
        self._ttl_s = ttl_s
        self._wait_s = wait_s
        self._on_lost = on_lost
        self._since = 0.0
        self._lease: HeldLease

    async def __aenter__(self) -> HeldLease:
        self._lease = await self._acquired()
        self._since = monotonic()
        if self._on_lost == "cancel":
            self._lease.cancel_when_lost()
        return self._lease

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        lease = self._lease
        lease.end()
        self._locks.observer.released(lease.name, monotonic() - self._since)
        interrupted = error if isinstance(error, asyncio.CancelledError) else None
        try:
            await self._give_back(lease)
        except asyncio.CancelledError as cancelled:
            interrupted = cancelled
        was_ours = lease.take_back_cancellation()
        if interrupted is not None and not was_ours:
            if interrupted is not error:
                raise interrupted
            return
        if error is None or error is interrupted:
            lease.raise_if_lost()

    async def _acquired(self) -> HeldLease:
        began, observer = monotonic(), self._locks.observer
        try:
            with part("lock.acquire", {"lock.kind": self._name.partition(":")[0]}):
                lease = await self._locks.acquire(self._name, self._ttl_s, self._wait_s)
        except LockNotAcquired:
            observer.asked(self._name, Outcome.REFUSED, monotonic() - began)
            raise
        except LockUnavailable:
            observer.asked(self._name, Outcome.UNAVAILABLE, monotonic() - began)
            raise
        observer.asked(self._name, Outcome.ACQUIRED, monotonic() - began)
        return lease

    async def _give_back(self, lease: HeldLease) -> None:
        """Not to be stopped by a cancellation; an answer that does not come is not waited for."""
        giving = self._locks.start(
            f"lock {lease.name}: release", self._locks.let_go(lease.name, lease.token, lease.ends)
        )
        if giving is not None and await asyncio.shield(giving) is False and not lease.is_lost:
            lease.lose("it was gone when it was given back")


def _seconds(duration: Seconds) -> float:
    return duration.total_seconds() if isinstance(duration, timedelta) else float(duration)


def _margin_s(ttl_s: float) -> float:
    return min(ttl_s * MARGIN, MOST_MARGIN_S)
