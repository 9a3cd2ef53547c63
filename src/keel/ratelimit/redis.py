"""Counts on Redis or Valkey: one script per check, by the server's own clock; this process's is never asked."""

import secrets
from collections.abc import Sequence
from functools import lru_cache
from struct import Struct
from typing import Final

from keel.ratelimit.calendars import NOWHERE, Window, window
from keel.ratelimit.contract import METERS, Algorithm, Decision, Limit, Limits, Source, Verdict
from keel.redis.contract import Redis, Reply, Script
from keel.redis.tags import hash_tag

_PACKAGE: Final = "keel.ratelimit"
_HEAD: Final = Struct("<bdd")
"""Of what `take.lua` is told: whether to take, cost, extra. Of what it answers: status, now, extra."""
_TERMS: Final = Struct("<bbdddd")
_TOLD: Final = Struct("<dddd")
_MANY: Final = Struct("<d")
_GIVEN: Final = Struct("<bddd")
_ELSEWHERE: Final = -1
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

    __slots__ = ("holds", "is_dated", "places", "suffixes", "terms")

    def __init__(self, limits: Limits) -> None:
        self.suffixes = tuple(f":{limit.key}" for limit in limits)
        self.terms = b"".join(_terms(limit) for limit in limits)
        self.places = tuple((limit, limit.is_held) for limit in limits)
        self.is_dated = any(limit.unit is not None for limit in limits)
        self.holds = any(limit.is_held for limit in limits)


_plan = lru_cache(maxsize=PLANS)(Plan)


class RedisCounters:
    """`Counters` on a server, a Sentinel group or a cluster. Raises `RedisUnavailable` and `CommandRefused`."""

    def __init__(self, redis: Redis, namespace: str) -> None:
        self._redis = redis
        self._prefix = f"{namespace}:r:"
        self._windows: dict[tuple[str, str], Window] = {}

    async def take(self, subject: str, limits: Limits, cost: int, extra: int = 0) -> Decision:
        """Charge in one round trip; in one more where a window of the calendar is not known here yet."""
        return await self._decide(subject, limits, cost, extra, take=True)

    async def peek(self, subject: str, limits: Limits, cost: int) -> Decision:
        """Look in one round trip."""
        return await self._decide(subject, limits, cost, 0, take=False)

    async def give_back(self, decision: Decision, cost: int) -> None:
        """Take back in one round trip."""
        charged = [each for each in decision.verdicts if each.charged]
        if not charged:
            return
        terms = _MANY.pack(cost) + b"".join(
            _GIVEN.pack(_KINDS[each.limit.algorithm], each.mark, each.limit.step, each.limit.leak) for each in charged
        )
        places = self._places(decision.subject, tuple(f":{each.limit.key}" for each in charged))
        await self._redis.run(Scripts.give_back, places, (terms, decision.token))

    async def reset(self, subject: str, limits: Sequence[Limit]) -> None:
        """Delete in one round trip."""
        places = self._places(subject, tuple(f":{limit.key}" for limit in limits))
        if places:
            await self._redis.call("DEL", *places)

    def _places(self, subject: str, suffixes: tuple[str, ...]) -> list[str]:
        beginning = self._prefix + hash_tag(subject)
        return [beginning + suffix for suffix in suffixes]

    async def _decide(self, subject: str, limits: Limits, cost: int, extra: int, *, take: bool) -> Decision:
        plan = _plan(limits)
        token = secrets.token_hex(8) if plan.holds else ""
        places, head = self._places(subject, plan.suffixes), _HEAD.pack(take, cost, extra)
        for _ in range(_MOST_TURNS):
            terms = self._dated(limits) if plan.is_dated else plan.terms
            reply = _packed(await self._redis.run(Scripts.take, places, (head + terms, token)))
            status, now, granted = _HEAD.unpack_from(reply)
            if status != _ELSEWHERE:
                verdicts = _verdicts(plan, reply, cost, cost + int(granted), taken=take and status == 1)
                held = token if take and status == 1 else ""
                return Decision(subject, verdicts, status == 1, cost, int(now), Source.SHARED, held, int(granted))
            self._turn(limits, int(now))
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


def _verdicts(plan: Plan, reply: bytes, cost: int, charge: int, *, taken: bool) -> tuple[Verdict, ...]:
    verdicts, at = [], _HEAD.size
    for limit, is_held in plan.places:
        room, wait_us, reset_us, mark = _TOLD.unpack_from(reply, at)
        at += _TOLD.size
        fits = room >= (1 if is_held else cost)
        charged = taken and fits
        if charged:
            room -= 1 if is_held else charge
        left = int(room) if room > 0 else 0
        verdicts.append(Verdict(limit, fits, left, int(wait_us), int(reset_us), int(mark), charged))
    return tuple(verdicts)


def _packed(reply: Reply) -> bytes:
    if not isinstance(reply, bytes):
        raise TypeError("the server answered something else than a decision")
    return reply
