"""The hybrid cache: copies in memory, kept coherent, over a tier that all processes share.

Reads are never stale in the shared tier, in the process that wrote, and where they carry a version (KEEL.md, "what
freshness means"): a value is stored only under the versions and with the lease that were taken before it was computed.
Early refresh: Vattani, Chierichetti, Lowenstein, "Optimal Probabilistic Cache Stampede Prevention", VLDB 2015; the
moment is drawn once per copy.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextlib import suppress
from functools import lru_cache
from time import monotonic, perf_counter_ns
from typing import Any, Final

from keel.cache import keys
from keel.cache.codec import TAGGED
from keel.cache.coherence import Seen
from keel.cache.contract import CacheStats, Event, Kind, Listener, Load, Look, Mark, Options, Places, Seconds, seconds
from keel.cache.counting import Counters
from keel.cache.flights import UNANSWERED, Ask, Copy, Flight, Known, Manner, Unclear
from keel.cache.memory import Entry
from keel.cache.tiers import Tiers
from keel.context import budget
from keel.redis.contract import CommandRefused, RedisUnavailable
from keel.tasks import Tasks
from keel.traces.spans import record

AWAY: Final = (RedisUnavailable, CommandRefused)
"""What the shared tier raises where it does not answer."""
COOLING_S: Final = 1.0
"""How long a stale copy is served without trying again, after computing has failed."""
_SHARED: Final = {"cache.tier": "shared"}
_LOG: Final = logging.getLogger(__name__)


class HybridCache:
    """A cache over its `tiers`; `tasks` own the computations, so that a caller who gives up cancels nobody else."""

    def __init__(self, tiers: Tiers, tasks: Tasks) -> None:
        self._tiers = tiers
        self._tasks = tasks
        self._counters = Counters()
        self._flights: dict[str, Flight] = {}
        self._cooling: dict[str, float] = {}
        self._listeners: list[Listener] = tiers.listeners
        self.known: Final = lru_cache(maxsize=keys.RECENT)(self._know)
        self.peek: Callable[[str, int | None], Entry | None] = tiers.peek
        """The copy in memory that may be answered with right now, or None; see `Tiers.peek`."""
        self.glance: Callable[[Known, Manner, int | None], Awaitable[Any] | None] = tiers.glance
        """A look that most likely gives the value; see `Tiers.glance`. For who cannot afford what `resolve` costs."""

    # Reading

    async def get_or_set(  # noqa: PLR0913 - each option of an entry, by name
        self,
        key: str,
        load: Load,
        *,
        ttl: Seconds,
        tags: tuple[str, ...] = (),
        stale_ttl: Seconds = 0,
        l1_ttl: Seconds | None = None,
        refresh_at: float | None = None,
        soft_timeout: Seconds | None = None,
        negative_ttl: Seconds | None = None,
        hard_timeout: Seconds | None = 60,
        version: int | None = None,
    ) -> Any:  # noqa: ANN401 - the caller's own value
        """The value of `key`: a copy that still counts, or what `load` gives, computed once for all who wait for it.

        `version` refuses every value computed from data before it. See `Options` for the others. Raises what `load`
        raises, to all who wait for it; nothing is kept then.
        """
        entry = self.peek(key, version)
        if entry is not None:
            entry.group.memory_hits += 1
            if self._listeners:
                self.tell(Event.HIT, key)
            return entry.value
        manner = _manner(ttl, stale_ttl, l1_ttl, refresh_at, soft_timeout, negative_ttl, hard_timeout)
        return await self.resolve(Ask(self.known(key, tuple(tags)), manner, load, version, monotonic()))

    def _know(self, key: str, tags: tuple[str, ...]) -> Known:
        names, tiers = keys.names(key, tags), self._tiers
        places = _NOWHERE if tiers.shared is None else tiers.shared.places(names)
        return Known(names, self._counters.of(key), tiers.coherence.watched(names), places)

    async def resolve(self, ask: Ask) -> Any:  # noqa: ANN401 - the caller's own value
        """As `get_or_set`, where `peek` has found nothing."""
        glance = self.glance(ask.known, ask.manner, ask.version)
        if glance is None:
            return await self.settle(ask)
        began_ns = perf_counter_ns()
        try:
            found = await glance
        except AWAY:
            found = UNANSWERED
        record("cache.read", began_ns, _SHARED)
        if isinstance(found, Unclear):
            return await self.settle(ask, found)
        ask.outcome = Event.HIT
        return found

    async def settle(self, ask: Ask, glanced: Unclear | None = None) -> Any:  # noqa: ANN401 - the caller's own value
        """What `resolve` gives after a glance that has not given the value, or without one."""
        copy, look, seen = self._tiers.in_memory(ask), None, None
        if copy is not None and copy.is_fresh:
            ask.group.memory_hits += 1
            return self._hit(ask, copy, None, None)
        if glanced is UNANSWERED:
            ask.had_no_answer = True
        elif glanced is not None or self._tiers.is_open:
            try:
                look, copy, seen = await self._tiers.examine(ask, glanced)
            except AWAY:
                ask.had_no_answer = True
            if seen is not None and copy is not None and copy.is_fresh and copy.serves(ask.version):
                self._tiers.keep(ask.known, ask.manner, copy, seen)
                ask.group.shared_hits += 1
                return self._hit(ask, copy, look, seen)
        return await self._compute(ask, look, copy, seen)

    def _hit(self, ask: Ask, copy: Copy, look: Look | None, seen: Seen | None) -> Any:  # noqa: ANN401 - the caller's own value
        ask.outcome = Event.HIT
        if self._listeners:
            self.tell(Event.HIT, ask.names.key)
        if monotonic() >= copy.early and ask.names.key not in self._flights:
            self._fly(ask, look, copy, seen)
        return copy.value

    async def ended(self, ask: Ask) -> None:
        """Wait for the computation that this very `ask` has begun, if it has, for as long as that takes.

        For who hands the loader what he must take back, as a request does its database session.
        """
        flight = self._flights.get(ask.names.key)
        if flight is not None and flight.ask is ask:
            await asyncio.wait({flight.future})

    async def get(
        self,
        key: str,
        default: Any = None,  # noqa: ANN401 - the caller's own value
        *,
        tags: Iterable[str] = (),
        version: int | None = None,
    ) -> Any:  # noqa: ANN401 - the caller's own value
        """The value of `key`, or `default` where there is none that is fresh."""
        ask = Ask(self.known(key, tuple(tags)), _ONLY_READ, _no_load, version, monotonic())
        copy = self._tiers.in_memory(ask)
        in_memory = copy is not None and copy.is_fresh
        if not in_memory and self._tiers.is_open:
            with suppress(*AWAY):
                _, copy, seen = await self._tiers.examine(ask)
                if copy is not None:
                    self._tiers.keep(ask.known, ask.manner, copy, seen)
        if copy is None or not copy.is_fresh or not copy.serves(version):
            ask.group.misses += 1
            return default
        if in_memory:
            ask.group.memory_hits += 1
        else:
            ask.group.shared_hits += 1
        return copy.value

    # Writing

    async def set(
        self,
        key: str,
        value: Any,  # noqa: ANN401 - the caller's own value
        *,
        ttl: Seconds,
        tags: Iterable[str] = (),
        stale_ttl: Seconds = 0,
        l1_ttl: Seconds | None = None,
        version: int | None = None,
    ) -> None:
        """Keep `value`, whatever there is.

        A value that was read from a source before somebody invalidated it, which is over by now, is stored all the
        same: prefer `get_or_set`, which knows. Whoever invalidates or sets the key meanwhile goes before. Where the
        shared tier is away, the key counts as invalidated there.
        """
        manner = _manner(ttl, stale_ttl, l1_ttl)
        ask = Ask(self.known(key, tuple(tags)), manner, _no_load, version, monotonic())
        await self._whole(self._tiers.put(ask, value))

    async def invalidate(self, *keys_: str, soft: bool = False) -> bool:
        """Forget keys; `soft` leaves a stale copy to be served within its stale_ttl.

        All invalidations are over, everywhere, when they return; False where the shared tier is away: it then holds in
        this process, and is made good in the shared tier when that is back.
        """
        return await self._invalidate([Mark(Kind.KEY, key, soft) for key in keys_])

    async def invalidate_tags(self, *tags: str, soft: bool = False) -> bool:
        """Forget everything that has any of these tags; it costs the same however much that is."""
        return await self._invalidate([Mark(Kind.TAG, tag, soft) for tag in tags])

    async def invalidate_prefix(self, prefix: str, *, soft: bool = False) -> bool:
        """Forget all keys beneath a prefix: `portfolio:`. Raises PatternRefused for what is none."""
        return await self._invalidate([Mark(Kind.PREFIX, keys.prefix(prefix), soft)])

    async def invalidate_pattern(self, pattern: str, *, soft: bool = False) -> bool:
        """As `invalidate_prefix`, of a pattern with one trailing `*`; raises PatternRefused for any other."""
        return await self._invalidate([Mark(Kind.PREFIX, keys.pattern(pattern), soft)])

    async def clear(self) -> bool:
        """Forget everything in this cache's own namespace, and nothing else."""
        return await self._invalidate([Mark(Kind.ROOT, "")])

    async def warm(self, calls: Iterable[Callable[[], Awaitable[Any]]], *, at_once: int = 4) -> int:
        """Make calls whose results are cached, `at_once` at a time; how many succeeded. The others are logged."""
        turn = asyncio.Semaphore(at_once)

        async def make(call: Callable[[], Awaitable[Any]]) -> bool:
            async with turn:
                try:
                    await call()
                except Exception:  # noqa: BLE001 - the others are still wanted
                    _LOG.warning("a value could not be computed ahead of its use", exc_info=True)
                    return False
                return True

        with budget(None):
            return sum(await asyncio.gather(*map(make, calls)))

    # What it does

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Tell `listener` what happens to entries; returns how to stop."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def tell(self, event: Event, name: str) -> None:
        """Tell the listeners."""
        for listener in self._listeners:
            listener(event, name)

    def stats(self) -> CacheStats:
        """What it holds and how it does."""
        total, groups = self._counters.stats()
        memory = self._tiers.memory
        return CacheStats(
            self._tiers.mode, memory.bytes, memory.limit_bytes, memory.entries, memory.evictions, total, groups
        )

    # Computing

    async def _compute(self, ask: Ask, look: Look | None, copy: Copy | None, seen: Seen | None) -> Any:  # noqa: ANN401 - the caller's own value
        if copy is not None and copy.serves(ask.version) and monotonic() < copy.expires:
            return await self._stale(ask, look, copy, seen)
        ask.group.misses += 1
        self.tell(Event.MISS, ask.names.key)
        flight = self._fly(ask, look, copy, seen)
        value = await asyncio.shield(flight.future)
        return value if flight.is_as_young_as(ask) else await self._look_again(ask)

    async def _look_again(self, ask: Ask) -> Any:  # noqa: ANN401 - the caller's own value
        """For who has shared a computation from before he came: elsewhere its value may have been invalidated by then.

        What it has left is judged like any other copy; whatever else is computed now has begun after he came.
        """
        entry = self.peek(ask.names.key, ask.version)
        if entry is not None:
            return entry.value
        look = copy = seen = None
        if self._tiers.is_open:
            with suppress(*AWAY):
                look, copy, seen = await self._tiers.examine(ask)
            if seen is not None and copy is not None and copy.is_fresh and copy.serves(ask.version):
                self._tiers.keep(ask.known, ask.manner, copy, seen)
                return copy.value
        return await asyncio.shield(self._fly(ask, look, copy, seen).future)

    async def _stale(self, ask: Ask, look: Look | None, copy: Copy, seen: Seen | None) -> Any:  # noqa: ANN401 - the caller's own value
        """The stale copy, or a new one that comes within the soft timeout."""
        if self._cooling.get(ask.names.key, 0.0) <= monotonic():
            flight = self._fly(ask, look, copy, seen)
            future = flight.future
            if ask.options.soft_timeout is not None:
                await asyncio.wait({future}, timeout=ask.options.soft_timeout)
                if future.done() and future.exception() is None and flight.is_as_young_as(ask):
                    ask.group.misses += 1
                    return future.result()
        ask.group.stale_hits += 1
        ask.outcome = Event.STALE
        self.tell(Event.STALE, ask.names.key)
        return copy.value

    def _fly(self, ask: Ask, look: Look | None, copy: Copy | None, seen: Seen | None) -> Flight:
        """The computation under way that a reader may share, or a new one."""
        flight = self._flights.get(ask.names.key)
        if flight is not None and not flight.future.done() and flight.serves(ask.version):
            ask.group.coalesced += 1
            return flight
        future = asyncio.get_running_loop().create_future()
        # Nothing was awaited since memory was looked at, where nothing else was: the marks are those of before.
        seen = seen or self._tiers.coherence.observe(ask.names)
        flight = Flight(self._tiers, ask, seen, look, copy, self._tasks, future, self.tell)
        task = self._tasks.start(f"computing {ask.names.key}", flight.run())
        task.add_done_callback(lambda _: flight.end())
        future.add_done_callback(lambda _: self._landed(flight))
        self._flights[ask.names.key] = flight
        return flight

    def _landed(self, flight: Flight) -> None:
        key = flight.ask.names.key
        if self._flights.get(key) is flight:
            del self._flights[key]
        if flight.previous is not None and flight.future.exception() is not None:
            self._cooling[key] = monotonic() + COOLING_S
            asyncio.get_running_loop().call_later(COOLING_S, self._cooling.pop, key, None)

    async def _invalidate(self, marks: list[Mark]) -> bool:
        """Whoever gives up while it is under way does not stop it half-way."""
        keys.check(mark.name for mark in marks)
        for mark in marks:
            self.tell(Event.INVALIDATED, mark.name)
        return await self._whole(self._tiers.invalidate(marks))

    async def _whole(self, work: Coroutine[Any, Any, bool]) -> bool:
        async def unhurried() -> bool:
            with budget(None):
                return await work

        return await asyncio.shield(self._tasks.start("a change of the cache", unhurried(), finish=True))


async def _no_load() -> None:
    """Nothing is computed where a value is only read or set."""


_ONLY_READ: Final = Manner(Options(ttl=1.0), TAGGED)
_NOWHERE: Final = Places("", ())


@lru_cache(maxsize=1024)
def _manner(
    ttl: Seconds,
    stale_ttl: Seconds,
    l1_ttl: Seconds | None,
    refresh_at: float | None = None,
    soft_timeout: Seconds | None = None,
    negative_ttl: Seconds | None = None,
    hard_timeout: Seconds | None = None,
) -> Manner:
    options = Options(
        seconds(ttl),
        seconds(stale_ttl),
        _optional(l1_ttl),
        refresh_at,
        _optional(soft_timeout),
        _optional(negative_ttl),
        _optional(hard_timeout),
    )
    return Manner(options, TAGGED)


def _optional(duration: Seconds | None) -> float | None:
    return None if duration is None else seconds(duration)
