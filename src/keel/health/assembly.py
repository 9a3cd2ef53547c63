"""The health of a Keel, with the checks that any service has."""

from collections.abc import Mapping

from keel.health.checker import HealthChecker
from keel.health.loop import Lag, LoopCheck
from keel.health.machine import MemoryCheck
from keel.health.redis import RedisCheck
from keel.redis.contract import Redis
from keel.tasks import Tasks


def health(tasks: Tasks, lag: Lag, servers: Mapping[str, Redis | None]) -> HealthChecker:
    """A checker that asks each server, by its name, the event loop and the memory.

    None of them is critical: every part of keel's has a rule to go on by while Redis is away.
    """
    checker = HealthChecker(tasks)
    checker.register_check("event_loop", LoopCheck(lag), critical=False, cache=1)
    checker.register_check("memory", MemoryCheck(), critical=False)
    for name, redis in servers.items():
        if redis is not None:
            checker.register_check(name, RedisCheck(redis), critical=False, cache=1)
    return checker
