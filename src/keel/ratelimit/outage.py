"""What becomes of limits while the server is away: each by its own rule, and at once."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Final

from keel.ratelimit.contract import METERS, Counters, Decision, Limit, Limits, Outage, Source, Verdict
from keel.ratelimit.instances import Instances
from keel.ratelimit.memory import MemoryCounters
from keel.redis.contract import CommandRefused, RedisUnavailable

RETRY_US: Final = 1_000_000
"""When to ask again what cannot be told: the connection is tried at least twice a second."""
_LOG: Final = logging.getLogger(__name__)


class OutageCounters:
    """`Counters` on a server that may be away; it watches the connection."""

    def __init__(self, shared: Counters, instances: Instances) -> None:
        self._shared = shared
        self._instances = instances
        self._local = MemoryCounters(source=Source.LOCAL)
        self._refused = ""

    async def take(self, subject: str, limits: Limits, cost: int, extra: int = 0) -> Decision:
        """Charge on the server, or by the rules for its absence; permits beyond the cost are not to be had then."""
        try:
            return await self._shared.take(subject, limits, cost, extra)
        except RedisUnavailable:
            return self._decide(subject, limits, cost, take=True)
        except CommandRefused as error:
            self._tell(error)
            return self._decide(subject, limits, cost, take=True)

    async def peek(self, subject: str, limits: Limits, cost: int) -> Decision:
        """Look on the server, or at what is known here."""
        try:
            return await self._shared.peek(subject, limits, cost)
        except RedisUnavailable:
            return self._decide(subject, limits, cost, take=False)
        except CommandRefused as error:
            self._tell(error)
            return self._decide(subject, limits, cost, take=False)

    async def give_back(self, decision: Decision, cost: int) -> None:
        """Take back where it was charged; what the server does not hear of stays charged until it is forgotten."""
        if decision.source is not Source.SHARED:
            await self._local.give_back(decision, cost)
            return
        try:
            await self._shared.give_back(decision, cost)
        except RedisUnavailable:
            return
        except CommandRefused as error:
            self._tell(error)

    async def reset(self, subject: str, limits: Sequence[Limit]) -> None:
        """Forget in both places; raises RedisUnavailable where the server cannot be told."""
        count = self._instances.count
        await self._local.reset(subject, [_share(limit, count) for limit in limits])
        await self._shared.reset(subject, limits)

    def went_up(self, identity: str) -> None:  # noqa: ARG002 - a watcher is told
        """The shared counts hold again."""
        self._local.clear()

    def went_down(self) -> None:
        """From now on each process counts for itself, from nothing."""
        self._local.clear()

    def _decide(self, subject: str, limits: Limits, cost: int, *, take: bool) -> Decision:
        closed = tuple(limit for limit in limits if limit.outage is Outage.CLOSED and not limit.shadow)
        if closed:
            verdicts = tuple(Verdict(limit, False, 0, RETRY_US, RETRY_US) for limit in closed)  # noqa: FBT003
            return Decision(subject, verdicts, allowed=False, cost=cost, at_us=0, source=Source.OUTAGE)
        count = self._instances.count
        local = tuple(_share(limit, count) for limit in limits if limit.outage is Outage.LOCAL)
        if local:
            return self._local.decide(subject, local, cost, 0, take=take)
        return Decision(subject, (), allowed=True, cost=cost, at_us=0, source=Source.OUTAGE)

    def _tell(self, error: CommandRefused) -> None:
        """Log a refusal by the server (out of memory, say) when it is a new one."""
        if error.code != self._refused:
            self._refused = error.code
            _LOG.error("rate limits cannot be counted on the server, and are by the rules for its absence: %s", error)


@lru_cache(maxsize=4096)
def _share(limit: Limit, count: int) -> Limit:
    """What one of so many processes admits of a limit: at least one."""
    if count == 1:
        return limit
    burst = max(1, limit.capacity // count) if limit.algorithm in METERS else None
    return replace(limit, count=max(1, limit.count // count), burst=burst, leased=False)
