"""Counts on Redis or Valkey: one script per check, by the server's own clock; this process's is never asked."""

import asyncio
import secrets
from collections.abc import Coroutine, Sequence
from functools import lru_cache
from struct import Struct
from typing import Any, Final

from keel.ratelimit.calendars import NOWHERE, Window, window
from keel.ratelimit.contract import METERS, Algorithm, Decision, Limit, Limits, Source, Verdict
from keel.redis.contract import Argument, Redis, Reply, Script
from keel.redis.tags import hash_tag

_PACKAGE: Final = "keel.ratelimit"
_ASKED: Final = Struct("<bbdd")
"""What `take.lua` is told first: whether to take, how many limits, cost, extra."""
_TERMS: Final = Struct("<bbdddd")
_HEAD: Final = Struct("<bqq")
"""What it answers first: status, now, extra."""
_NUMBERS: Final = 3
"""How many that are; then, for each limit, four: room before, µs to wait, µs to the reset, mark."""
_MANY: Final = Struct("<d")
_GIVEN: Final = Struct("<bddd")
_MOST_TURNS: Final = 5
PLANS: Final = 4096
"""Combinations of limits that are kept worked out."""
_KINDS: Final = {
    Algorithm.GCRA: 1,
    Algorithm.TOKEN_BUCKET: 1,
    Algorithm.SLIDING_WINDOW: 2,
    Algorithm.FIXED_WINDOW: 3,
    Algorithm.CONCURRENCY: 4,
}


class Scripts:
    """The scripts, read from their files once."""

    take: Final = Script.load(_PACKAGE, "take.lua")
    give_back: Final = Script.load(_PACKAGE, "give_back.lua")


class Plan:
    """What is sent for limits that are checked together; nothing of it depends on the subject."""

    __slots__ = ("fields", "is_dated", "is_plain", "places", "sets", "shape", "terms", "usual")

    def __init__(self, limits: Limits) -> None:
        self.places = tuple((limit, limit.is_held) for limit in limits)
        self.fields = tuple(limit.key for limit in limits if not limit.is_held)
        self.sets = tuple(f":{limit.key}" for limit in limits if limit.is_held)
        self.terms = b"".join(_terms(limit) for limit in limits)
        self.is_dated = any(limit.unit is not None for limit in limits)
        self.is_plain = not (self.sets or self.is_dated)
        """Whether neither a place is held nor the calendar followed."""
        self.shape = Struct(_HEAD.format + "4q" * len(limits))
        self.usual: tuple[Argument, ...] = (_ASKED.pack(1, len(limits), 1, 0) + self.terms, *self.fields)
        """All arguments of a charge of 1 where it is plain."""


_plan = lru_cache(maxsize=PLANS)(Plan)


class RedisCounters:
    """`Counters` on a server, a Sentinel group or a cluster. Raises `RedisUnavailable` and `CommandRefused`."""

    def __init__(self, redis: Redis, namespace: str) -> None:
        self._redis = redis
        self._prefix = f"{namespace}:r:"
        self._windows: dict[tuple[str, str], Window] = {}

    def take(self, subject: str, limits: Limits, cost: int, extra: int = 0) -> Coroutine[Any, Any, Decision]:
        """Charge in one round trip; in one more where a window of the calendar is not known here yet."""
        return self._decide(subject, limits, cost, extra, take=True)

    def peek(self, subject: str, limits: Limits, cost: int) -> Coroutine[Any, Any, Decision]:
        """Look in one round trip."""
        return self._decide(subject, limits, cost, 0, take=False)

    async def give_back(self, decision: Decision, cost: int) -> None:
        """Take back in one round trip."""
        charged = [each for each in decision.verdicts if each.charged]
        if not charged:
            return
        rates = [each for each in charged if not each.limit.is_held]
        terms = [
            _GIVEN.pack(_KINDS[each.limit.algorithm], each.mark, each.limit.step, each.limit.leak) for each in rates
        ]
        sets = tuple(f":{each.limit.key}" for each in charged if each.limit.is_held)
        args: tuple[Argument, ...] = (
            _MANY.pack(cost) + b"".join(terms),
            decision.token,
            *(each.limit.key for each in rates),
        )
        await self._redis.run(Scripts.give_back, self._places(decision.subject, sets), args)

    async def reset(self, subject: str, limits: Sequence[Limit]) -> None:
        """Delete in one round trip."""
        place, *sets = self._places(subject, tuple(f":{limit.key}" for limit in limits if limit.is_held))
        fields = [limit.key for limit in limits if not limit.is_held]
        todo = [self._redis.call("HDEL", place, *fields)] if fields else []
        await asyncio.gather(*todo, *([self._redis.call("DEL", *sets)] if sets else []))

    def _places(self, subject: str, sets: tuple[str, ...] = ()) -> tuple[str, ...]:
        place = self._prefix + hash_tag(subject)
        return (place, *[place + each for each in sets]) if sets else (place,)

    async def _decide(self, subject: str, limits: Limits, cost: int, extra: int, *, take: bool) -> Decision:
        plan = _plan(limits)
        if cost == 1 and take and not extra and plan.is_plain:
            reply = _packed(await self._redis.run(Scripts.take, self._places(subject), plan.usual))
            return _decision(subject, plan, plan.shape.unpack(reply), "", cost)
        places, token = self._places(subject, plan.sets), (secrets.token_hex(8),) if plan.sets else ()
        for _ in range(_MOST_TURNS):
            terms = self._dated(limits) if plan.is_dated else plan.terms
            args = (_ASKED.pack(take, len(limits), cost, extra) + terms, *plan.fields, *token)
            reply = _packed(await self._redis.run(Scripts.take, places, args))
            if len(reply) == plan.shape.size:
                return _decision(subject, plan, plan.shape.unpack(reply), "".join(token) if take else None, cost)
            self._turn(limits, _HEAD.unpack(reply)[1])
        raise TypeError("the server's clock is in no window of the calendar")

    def _dated(self, limits: Limits) -> bytes:
        return b"".join(_terms(limit, self._windows.get((limit.unit or "", limit.zone), NOWHERE)) for limit in limits)

    def _turn(self, limits: Limits, now_us: int) -> None:
        """The calendar's windows, as they are at the server's time."""
        if len(self._windows) > PLANS:
            self._windows.clear()
        for limit in limits:
            if limit.unit is not None:
                self._windows[limit.unit, limit.zone] = window(limit.unit, limit.zone, now_us)


def _terms(limit: Limit, dates: Window = NOWHERE) -> bytes:
    """What `take.lua` is told of a limit."""
    kind, shadow = _KINDS[limit.algorithm], limit.shadow
    if limit.algorithm in METERS:
        return _TERMS.pack(kind, shadow, limit.capacity * limit.step, limit.step, limit.leak, 0)
    if limit.algorithm is Algorithm.SLIDING_WINDOW:
        return _TERMS.pack(kind, shadow, limit.count, limit.period_us // limit.tick_us, 0, limit.tick_us)
    if limit.is_held:
        return _TERMS.pack(kind, shadow, limit.count, limit.period_us, 0, 0)
    return _TERMS.pack(kind, shadow, limit.count, 0 if limit.unit else limit.period_us, *dates)


def _decision(subject: str, plan: Plan, told: tuple[int, ...], token: str | None, cost: int) -> Decision:
    """What was told of one charge, or where the token is None, of one that was only looked at."""
    allowed = told[0] == 1
    charge = cost + told[2] if allowed and token is not None else 0
    verdicts, at = [], _NUMBERS
    for limit, is_held in plan.places:
        room = told[at]
        fits = room >= (1 if is_held else cost)
        charged = fits and charge > 0
        if charged:
            room -= 1 if is_held else charge
        verdicts.append(Verdict(limit, fits, max(0, room), told[at + 1], told[at + 2], told[at + 3], charged))
        at += 4
    held = token if charge and token else ""
    return Decision(subject, tuple(verdicts), allowed, cost, told[1], Source.SHARED, held, told[2])


def _packed(reply: Reply) -> bytes:
    if not isinstance(reply, bytes):
        raise TypeError("the server answered something else than a decision")
    return reply
