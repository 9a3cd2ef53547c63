"""A Keel: every part, built once and closed once."""

from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Self

from keel import current
from keel.cache.coherence import Coherence
from keel.cache.hybrid import HybridCache
from keel.cache.keys import ServerKeys
from keel.cache.memory import MemoryTier
from keel.cache.redis import RedisTier
from keel.cache.standing import Standing
from keel.cache.tiers import Tiers
from keel.events.contract import Events
from keel.events.hub import Hub
from keel.events.memory import MemoryBroker
from keel.events.redis import RedisBroker
from keel.failures.memory import MemoryErrorGroups
from keel.failures.recorder import Failures
from keel.failures.redis import RedisErrorGroups
from keel.failures.sentry import reporting
from keel.health.assembly import health
from keel.health.checker import HealthChecker
from keel.locks.contract import Locks
from keel.locks.leases import LeaseLocks
from keel.locks.memory import MemoryLockStore
from keel.locks.redis import RedisLockStore
from keel.logs.assembly import Logs
from keel.logs.contract import Source
from keel.logs.redaction import Redaction
from keel.measuring import Measured, RedisMetrics, measure, said_of_cache
from keel.metrics import telling
from keel.metrics.contract import Metrics
from keel.metrics.looplag import LoopLag
from keel.metrics.prometheus import PrometheusMetrics
from keel.ratelimit.assembly import rate_limits
from keel.ratelimit.limiter import RateLimits
from keel.redis.connecting import connect
from keel.redis.contract import Redis
from keel.redis.observer import Observer
from keel.sessions.assembly import SessionOptions, sessions
from keel.sessions.store import Sessions
from keel.store.memory import MemoryStore
from keel.store.observations import Observations
from keel.store.redis import RedisStore
from keel.tasks import Tasks
from keel.traces.calls import TracedRedis
from keel.traces.contract import TraceOptions
from keel.traces.otlp import exporting
from keel.traces.recorder import Traces

MEBIBYTE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Servers:
    """Where Redis is. Without `url`, everything stays in this process; `cache_url` is the same one unless given.

    `max_connections` bounds what this process opens per URL; `connect_timeout` is how long connecting may take.
    """

    url: str | None = None
    cache_url: str | None = None
    max_connections: int = 50
    connect_timeout: timedelta = timedelta(seconds=5)


@dataclass(frozen=True, slots=True, eq=False)
class Keel:
    """What is running: its parts by name."""

    namespace: str
    cache: HybridCache
    events: Events
    health: HealthChecker
    locks: Locks
    limits: RateLimits
    sessions: Sessions
    tasks: Tasks
    redis: Redis | None
    traces: Traces
    metrics: Metrics
    failures: Failures
    observations: Observations

    @classmethod
    @asynccontextmanager
    async def open(  # noqa: PLR0913 - what is to be chosen, each by its name
        cls,
        redis_url: str | None = None,
        namespace: str = "keel",
        *,
        servers: Servers | None = None,
        cache_bytes: int = 64 * MEBIBYTE,
        alone: bool = False,
        session_options: SessionOptions | None = None,
        trace_options: TraceOptions | None = None,
        metrics: Metrics | None = None,
        own: Collection[str] = (),
        source: Source | None = None,
        sentry_dsn: str | None = None,
    ) -> AsyncIterator[Self]:
        """Open everything; it is closed where the block ends.

        `redis_url=None` keeps everything in this process. A server that is away is no error: each part goes on by its
        own rule until it comes (KEEL.md). `cache_bytes=0` caches nothing, neither here nor there. `servers` says more
        than `redis_url` can. `alone` promises that no other process shares the data. `session_options` name the store
        that keeps sessions for good, `trace_options` say which traces are kept, `metrics` measure it, `own` are
        the packages whose code tells errors apart, `source` says which instance this is, and `sentry_dsn` where errors
        go beside. Raises ValueError for a URL that cannot be read.
        """
        where, metrics = servers or Servers(redis_url), metrics or PrometheusMetrics()
        async with AsyncExitStack() as stack:
            tasks = await stack.enter_async_context(Tasks())
            told = RedisMetrics(metrics)
            redis = await _connected(stack, where, where.url, told)
            cache_redis = redis
            if where.cache_url not in {None, where.url}:
                cache_redis = await _connected(stack, where, where.cache_url, told)
            cache = _cache(stack, cache_redis, namespace, tasks, cache_bytes, alone=alone)
            events = _events(stack, redis, namespace, tasks)
            locks = _locks(stack, redis, namespace, tasks)
            limits = await stack.enter_async_context(rate_limits(redis, namespace, tasks))
            signed_in = stack.enter_context(sessions(redis, namespace, tasks, session_options or SessionOptions()))
            stack.push_async_callback(signed_in.close)
            lag = LoopLag(metrics.histogram("event_loop_lag_seconds", "How late timers were.").observe)
            stack.callback(lag.close)
            other = cache_redis if cache_redis is not redis else None
            checks = health(tasks, lag, {"redis": redis, "redis_cache": other})
            traces = Traces(trace_options)
            collector = None if trace_options is None else trace_options.collector
            stack.enter_context(exporting(traces, collector, source))
            groups = MemoryErrorGroups() if redis is None else RedisErrorGroups(redis, namespace)
            redaction = Redaction(source.service if source else "")
            failures = Failures(groups, tasks, own=own, redaction=redaction, metrics=metrics)
            stack.enter_context(reporting(failures, sentry_dsn, source or Source()))
            tasks.on_error = failures.task_failed
            traces.observers += [metrics.requests(lambda: traces.under_way), failures]
            store = MemoryStore() if redis is None else RedisStore(redis, namespace)
            seen = await stack.enter_async_context(Observations.open(store, traces, tasks, source))
            seen.reported |= {"cache": lambda: said_of_cache(cache.stats()), "lag_ms": lambda: lag.worst_s() * 1000}
            measure(metrics, Measured(cache, limits, checks, seen), locks, events, signed_in)
            keel = cls(
                namespace,
                cache,
                events,
                checks,
                locks,
                limits,
                signed_in,
                tasks,
                redis,
                traces,
                metrics,
                failures,
                seen,
            )
            stack.enter_context(current.listed(keel))
            yield keel

    def log(self, logs: Logs) -> None:
        """Have a line written for each request; and let all instances see lines, set levels, and know what was lost."""
        self.traces.observers.append(logs)
        self.observations.follow(logs)
        self.metrics.read(lambda: telling.of_logs(logs.stats))

    @contextmanager
    def running(self) -> Iterator[Self]:
        """Let what is inside use this Keel, whichever others are open in the process."""
        with current.choosing(self):
            yield self


async def _connected(stack: AsyncExitStack, where: Servers, url: str | None, observer: Observer) -> Redis | None:
    if url is None:
        return None
    connecting = connect(url, max_connections=where.max_connections, timeout=where.connect_timeout, observer=observer)
    return TracedRedis(await stack.enter_async_context(connecting))


def _events(stack: AsyncExitStack, redis: Redis | None, namespace: str, tasks: Tasks) -> Hub:
    events = Hub(MemoryBroker() if redis is None else RedisBroker(redis, namespace), tasks)
    stack.push_async_callback(events.close)
    return events


def _locks(stack: AsyncExitStack, redis: Redis | None, namespace: str, tasks: Tasks) -> LeaseLocks:
    locks = LeaseLocks(MemoryLockStore() if redis is None else RedisLockStore(redis, namespace), tasks)
    stack.callback(locks.close)
    return locks


def _cache(
    stack: AsyncExitStack,
    redis: Redis | None,
    namespace: str,
    tasks: Tasks,
    limit: int,
    *,
    alone: bool,
) -> HybridCache:
    memory, coherence = MemoryTier(limit), Coherence()
    if redis is None or not limit:
        return HybridCache(Tiers(memory, coherence), tasks)
    keys = ServerKeys(namespace)
    shared = RedisTier(redis, keys)
    standing = Standing(shared, keys, coherence, memory, tasks)
    stack.callback(redis.track(keys.tracked, standing))
    stack.callback(redis.watch(standing))
    return HybridCache(Tiers(memory, coherence, shared=shared, standing=standing, alone=alone), tasks)
