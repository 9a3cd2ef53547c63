"""What the parts tell of themselves, as metrics: by observers of theirs, or by what they count anyway."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from keel.cache.contract import CacheStats, GroupStats
from keel.cache.hybrid import HybridCache
from keel.events.contract import Closing
from keel.events.hub import Hub
from keel.health.checker import HealthChecker
from keel.health.contract import HealthStatus
from keel.locks.leases import LeaseLocks
from keel.locks.observer import Outcome
from keel.metrics.contract import Kind, Metrics, Reading
from keel.ratelimit.limiter import RateLimits
from keel.redis.observer import State
from keel.sessions.store import Sessions
from keel.store.observations import Observations

_HEALTH: Final = {HealthStatus.PASS: 1.0, HealthStatus.WARN: 0.5, HealthStatus.FAIL: 0.0}
MOST_GROUPS: Final = 50
"""Of a cache, that an instance tells the others of."""
_BY_GROUP: Final = {
    "loads": "Values that were computed.",
    "coalesced": "Callers who shared somebody else's computation.",
    "discarded": "Values that were invalidated while they were computed.",
    "errors": "Calls of the shared tier that failed.",
}
_RESULTS: Final = {
    "memory_hits": "memory_hit",
    "shared_hits": "shared_hit",
    "stale_hits": "stale_hit",
    "misses": "miss",
}


def group(name: str) -> str:
    """The first word of a name such as `rebuild:42`: names are many, groups are few."""
    return name.partition(":")[0]


class RedisMetrics:
    """`keel.redis.observer.Observer`."""

    def __init__(self, metrics: Metrics) -> None:
        labels = ["server"]
        self._up = metrics.gauge("redis_up", "Whether a server answers: its circuit breaker is closed.", labels)
        self._changes = metrics.counter("redis_state_changes", "Changes of a server's state.", ["server", "state"])
        self._made = metrics.counter("redis_connections", "Connections that were made.", ["server", "purpose"])
        self._failed = metrics.counter("redis_failures", "Connections that failed, or were cut.", labels)
        self._late = metrics.counter("redis_timeouts", "Calls that had no answer in time.", labels)

    def state_changed(self, server: str, state: State, reason: str) -> None:  # noqa: ARG002 - it is logged
        """A server came or went."""
        self._up.set(state is State.UP, server)
        self._changes.inc(server, state.value)

    def connected(self, server: str, purpose: Literal["commands", "pushes"]) -> None:
        """A connection was made."""
        self._made.inc(server, purpose)

    def failed(self, server: str, reason: str) -> None:  # noqa: ARG002 - the same
        """Connecting failed, or a connection was cut."""
        self._failed.inc(server)

    def timed_out(self, server: str, calls: int) -> None:
        """So many calls had no answer in time."""
        self._late.inc(server, by=calls)


class LockMetrics:
    """`keel.locks.observer.Observer`."""

    def __init__(self, metrics: Metrics) -> None:
        self._asked = metrics.counter("lock_requests", "Locks that were asked for.", ["lock", "outcome"])
        self._waited = metrics.histogram("lock_wait_seconds", "How long was waited for locks.", ["lock"])
        self._held = metrics.histogram("lock_held_seconds", "How long locks were held.", ["lock"])
        self._lost = metrics.counter("lock_lost", "Leases that ended before the work did.", ["lock"])

    def asked(self, name: str, outcome: Outcome, waited_s: float) -> None:
        """A lock was asked for."""
        self._asked.inc(group(name), outcome.value)
        self._waited.observe(waited_s, group(name))

    def released(self, name: str, held_s: float) -> None:
        """A lease ended with its block."""
        self._held.observe(held_s, group(name))

    def lost(self, name: str, reason: str) -> None:  # noqa: ARG002 - it is raised
        """A lease ended before the work did."""
        self._lost.inc(group(name))


class EventMetrics:
    """`keel.events.observer.Observer`."""

    def __init__(self, metrics: Metrics) -> None:
        self._published = metrics.counter("event_messages", "Messages that were published.", ["channel", "scope"])
        self._streams = metrics.gauge("event_streams", "Streams that are open.", ["channel"])
        self._closed = metrics.counter("event_streams_closed", "Streams that ended.", ["channel", "reason"])
        self._open: Counter[str] = Counter()

    def published(self, channel: str, *, shared: bool) -> None:
        """A message was sent."""
        self._published.inc(group(channel), "shared" if shared else "local")

    def opened(self, channel: str) -> None:
        """A stream began."""
        self._now(group(channel), 1)

    def closed(self, channel: str, reason: Closing | None) -> None:
        """A stream ended."""
        self._now(group(channel), -1)
        self._closed.inc(group(channel), "left" if reason is None else reason.value)

    def _now(self, name: str, more: int) -> None:
        self._open[name] += more
        self._streams.set(self._open[name], name)
        if not self._open[name]:
            del self._open[name]


class SessionMetrics:
    """`keel.sessions.observer.Observer`. It is told of every request, so it counts in plain numbers."""

    def __init__(self, metrics: Metrics) -> None:
        self._in_memory = self._in_store = 0
        metrics.read(self._readings)
        self._began = metrics.counter("sessions_began", "Sessions that began.")
        self._ended = metrics.counter("sessions_ended", "Sessions that were ended on purpose.")
        self._refused = metrics.counter("session_refusals", "Tokens that were refused.", ["reason"])

    def began(self) -> None:
        """Somebody logged in."""
        self._began.inc()

    def ended(self, count: int) -> None:
        """So many were ended."""
        self._ended.inc(by=count)

    def read(self, *, in_memory: bool) -> None:
        """A session was known."""
        self._in_memory += in_memory
        self._in_store += not in_memory

    def refused(self, reason: str) -> None:
        """A token was refused."""
        self._refused.inc(reason)

    def _readings(self) -> Iterator[Reading]:
        text = "Sessions that were looked up and known."
        yield Reading("session_reads", self._in_memory, {"tier": "memory"}, text, Kind.COUNTER)
        yield Reading("session_reads", self._in_store, {"tier": "store"}, text, Kind.COUNTER)


@dataclass(frozen=True, slots=True)
class Measured:
    """The parts that are read when somebody collects."""

    cache: HybridCache
    limits: RateLimits
    health: HealthChecker
    seen: Observations

    def readings(self) -> Iterator[Reading]:
        """All of them: a `Source`."""
        yield from self._of_cache()
        yield from self._of_limits()
        for what, count in asdict(self.seen.dropped).items():
            text = "What the store of observations had no room for."
            yield Reading("observations_dropped", count, {"what": what}, text, Kind.COUNTER)
        for name, found in self.health.found().items():
            text = "What a check found last: 1 pass, 0.5 warn, 0 fail."
            yield Reading("health_check_status", _HEALTH[found.status], {"check": name}, text)

    def _of_cache(self) -> Iterator[Reading]:
        stats = self.cache.stats()
        yield Reading("cache_memory_bytes", stats.bytes, {}, "What copies in memory take.")
        yield Reading("cache_memory_limit_bytes", stats.limit_bytes, {}, "What they may take.")
        yield Reading("cache_memory_entries", stats.entries, {}, "Copies in memory.")
        yield Reading("cache_evictions", stats.evictions, {}, "Copies that made room for others.", Kind.COUNTER)
        yield Reading("cache_mode", 1, {"mode": stats.mode}, "How far copies are trusted: memory, live, gap, outage.")
        for name, counted in stats.groups.items():
            yield from _of_group(name, counted)

    def _of_limits(self) -> Iterator[Reading]:
        text = "What was decided, by limit."
        for limit, tally in self.limits.tallies().items():
            for outcome in ("allowed", "refused", "would_refuse"):
                labels = {"limit": limit, "outcome": outcome}
                yield Reading("rate_limit_decisions", getattr(tally, outcome), labels, text, Kind.COUNTER)
        for source, count in self.limits.sources().items():
            labels = {"source": source.value}
            yield Reading("rate_limit_sources", count, labels, "Who decided: see docs/rate-limits.md.", Kind.COUNTER)


def _of_group(name: str, counted: GroupStats) -> Iterator[Reading]:
    for field, result in _RESULTS.items():
        labels = {"group": name, "result": result}
        yield Reading("cache_requests", getattr(counted, field), labels, "Reads of the cache.", Kind.COUNTER)
    for field, text in _BY_GROUP.items():
        yield Reading(f"cache_{field}", getattr(counted, field), {"group": name}, text, Kind.COUNTER)


def said_of_cache(stats: CacheStats) -> dict[str, Any]:
    """What an instance tells the others of its cache."""
    busiest = sorted(stats.groups.items(), key=lambda each: -each[1].hits - each[1].misses)[:MOST_GROUPS]
    return {
        "mode": stats.mode,
        "bytes": stats.bytes,
        "limit_bytes": stats.limit_bytes,
        "entries": stats.entries,
        "evictions": stats.evictions,
        "groups": {name: asdict(counted) for name, counted in busiest},
    }


def measure(metrics: Metrics, measured: Measured, locks: LeaseLocks, events: Hub, sessions: Sessions) -> None:
    """Have the parts of a Keel tell of themselves."""
    metrics.read(measured.readings)
    locks.observer = LockMetrics(metrics)
    events.observer = EventMetrics(metrics)
    sessions.observer = SessionMetrics(metrics)
