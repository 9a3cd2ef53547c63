"""Puts rate limits together: over a server, or for this process alone."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from keel.ratelimit.instances import Instances
from keel.ratelimit.limiter import RateLimits
from keel.ratelimit.memory import MemoryCounters
from keel.ratelimit.outage import OutageCounters
from keel.ratelimit.redis import RedisCounters
from keel.ratelimit.shortcuts import Shortcuts
from keel.redis.contract import Redis
from keel.tasks import Tasks


@asynccontextmanager
async def rate_limits(redis: Redis | None, namespace: str, tasks: Tasks) -> AsyncIterator[RateLimits]:
    """Rate limits, shared by all processes of one `namespace` on a server; without one, this process's own.

    What was taken ahead and not spent is given back in the end.
    """
    if redis is None:
        memory = MemoryCounters()
        yield RateLimits(memory, tasks, memory)
        return
    instances = Instances(redis, namespace)
    counters = OutageCounters(RedisCounters(redis, namespace), instances)
    shortcuts = Shortcuts(counters, tasks)
    unwatch = redis.watch(counters)
    telling = tasks.start("counting processes", instances.follow())
    try:
        yield RateLimits(shortcuts, tasks, shortcuts)
    finally:
        telling.cancel()
        unwatch()
        await shortcuts.close()
        await instances.leave()
