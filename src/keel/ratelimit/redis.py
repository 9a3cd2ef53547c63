"""Counts on Redis or Valkey: one script per check, by the server's own clock; this process's is never asked."""

import secrets
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from keel.ratelimit.calendars import NOWHERE, Window, window
from keel.ratelimit.contract import METERS, Algorithm, Decision, Limit, Limits, Source, Verdict
from keel.redis.contract import Argument, Redis, Reply, Script
from keel.redis.tags import hash_tag

_PACKAGE: Final = "keel.ratelimit"
_HEAD: Final = 3
_EACH: Final = 4
_ELSEWHERE: Final = -1
_MOST_TURNS: Final = 5
PLANS: Final = 4096
"""Combinations of limits that are kept worked out."""


class Scripts:
    """The scripts, read from their files once."""

    take: Final = Script.load(_PACKAGE, "take.lua")
    give_back: Final = Script.load(_PACKAGE, "give_back.lua")


class Plan:
    """What is sent for limits that are checked together; nothing of it depends on the subject."""

    __slots__ = ("arguments", "dated", "leases", "suffixes")

    def __init__(self, limits: Limits) -> None:
        self.suffixes = tuple(f":{limit.key}" for limit in limits)
        self.arguments: tuple[Argument, ...] = tuple(part for limit in limits for part in arguments(limit))
        self.dated = any(limit.unit is not None for limit in limits)
        self.leases = any(limit.is_held for limit in limits)


_plan = lru_cache(maxsize=PLANS)(Plan)


class RedisCounters:
    """`Counters` on a server, a Sentinel group or a cluster. Raises `RedisUnavailable` and `CommandRefused`."""

    def __init__(self, redis: Redis, namespace: str) -> None:
        self._redis = redis
        self._prefix = f"{namespace}:r:"
        self._windows: dict[tuple[str, str], Window] = {}

    async def take(self, subject: str, limits: Limits, cost: int, extra: int = 0) -> Decision:
        """Charge in one round trip; in one more where a window of the calendar is not known here yet."""
        return await self._decide("take", subject, limits, cost, extra)

    async def peek(self, subject: str, limits: Limits, cost: int) -> Decision:
        """Look in one round trip."""
        return await self._decide("peek", subject, limits, cost, 0)

    async def give_back(self, decision: Decision, cost: int) -> None:
        """Take back in one round trip."""
        charged = [each for each in decision.verdicts if each.charged]
        if not charged:
            return
        rest: list[Argument] = [cost, decision.token]
        for each in charged:
            kind, _, *numbers = arguments(each.limit)
            rest += [kind, each.mark, *numbers]
        places = self._places(decision.subject, tuple(f":{each.limit.key}" for each in charged))
        await self._redis.run(Scripts.give_back, places, rest)

    async def reset(self, subject: str, limits: Sequence[Limit]) -> None:
        """Delete in one round trip."""
        places = self._places(subject, tuple(f":{limit.key}" for limit in limits))
        if places:
            await self._redis.call("DEL", *places)

    def _places(self, subject: str, suffixes: tuple[str, ...]) -> list[str]:
        beginning = self._prefix + hash_tag(subject)
        return [beginning + suffix for suffix in suffixes]

    async def _decide(self, mode: str, subject: str, limits: Limits, cost: int, extra: int) -> Decision:
        plan = _plan(limits)
        token = secrets.token_hex(8) if plan.leases else ""
        places = self._places(subject, plan.suffixes)
        for _ in range(_MOST_TURNS):
            known = self._dated(limits) if plan.dated else plan.arguments
            reply = await self._redis.run(Scripts.take, places, (mode, cost, extra, token, *known))
            if not isinstance(reply, list):
                break
            if reply[0] != _ELSEWHERE:
                return _decision(subject, limits, cost, token, reply, taken=mode == "take")
            self._turn(limits, reply)
        raise TypeError("the server answered something else than a decision")

    def _dated(self, limits: Limits) -> list[Argument]:
        return [
            part
            for limit in limits
            for part in arguments(limit, self._windows.get((limit.unit or "", limit.zone), NOWHERE))
        ]

    def _turn(self, limits: Limits, reply: list[Reply]) -> None:
        """The calendar's windows, as they are at the server's time."""
        (now_us,) = _numbers(reply[1:2])
        if len(self._windows) > PLANS:
            self._windows.clear()
        for limit in limits:
            if limit.unit is not None:
                self._windows[limit.unit, limit.zone] = window(limit.unit, limit.zone, now_us)


def arguments(limit: Limit, dates: Window = NOWHERE) -> tuple[Argument, ...]:
    """What `take.lua` is told of a limit."""
    shadow = int(limit.shadow)
    if limit.algorithm in METERS:
        return "m", shadow, limit.capacity * limit.step, limit.step, limit.leak, 0
    if limit.algorithm is Algorithm.SLIDING_WINDOW:
        return "s", shadow, limit.count, limit.period_us // limit.tick_us, 0, limit.tick_us
    if limit.is_held:
        return "c", shadow, limit.count, limit.period_us, 0, 0
    return "f", shadow, limit.count, 0 if limit.unit else limit.period_us, *dates


def _decision(subject: str, limits: Limits, cost: int, token: str, reply: list[Reply], *, taken: bool) -> Decision:
    status, now_us, extra, *told = _numbers(reply)
    allowed, verdicts = status == 1, []
    taken = taken and allowed
    at = 0
    for limit in limits:
        room, wait_us, reset_us, mark = told[at : at + _EACH]
        at += _EACH
        one = limit.is_held
        fits = room >= (1 if one else cost)
        charged = taken and fits
        if charged:
            room -= 1 if one else cost + extra
        verdicts.append(Verdict(limit, fits, max(0, room), wait_us, reset_us, mark, charged))
    return Decision(subject, tuple(verdicts), allowed, cost, now_us, Source.SHARED, token if taken else "", extra)


def _numbers(reply: list[Reply]) -> list[int]:
    numbers = [each for each in reply if type(each) is int]
    if len(numbers) != len(reply):
        raise TypeError("the server answered something else than numbers")
    return numbers
