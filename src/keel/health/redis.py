"""Whether Redis is well."""

from time import perf_counter

from keel.context import budget
from keel.health.contract import Answer
from keel.redis.contract import CommandRefused, Redis, RedisUnavailable

ROUND_TRIP_S = 1.0
"""How long a server may take to answer a PING."""


class RedisCheck:
    """Asks a server whether it answers, unless its circuit breaker is open: then nobody waits for it, nor does this."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def __call__(self) -> Answer:
        """What to say of it."""
        if not self._redis.available:
            return {"status": "unhealthy", "message": "Redis is away", "breaker": "open"}
        began = perf_counter()
        try:
            with budget(None):
                await self._redis.call("PING", timeout_s=ROUND_TRIP_S)
        except (RedisUnavailable, CommandRefused) as error:
            return {"status": "unhealthy", "message": str(error), "breaker": self._breaker}
        took_ms = round((perf_counter() - began) * 1000, 3)
        tracking = self._redis.tracking_mode
        return {"status": "healthy", "breaker": self._breaker, "round_trip_ms": took_ms, "tracking": tracking}

    @property
    def _breaker(self) -> str:
        return "closed" if self._redis.available else "open"
