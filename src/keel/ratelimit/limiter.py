"""`keel.limits`: checks, charges that are undone together, places that are held, and what has been decided so far."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Protocol

import msgspec

from keel.context import budget
from keel.ratelimit.asking import current_asking
from keel.ratelimit.contract import (
    Charge,
    Counters,
    Decision,
    Decisions,
    Limit,
    LimitExceeded,
    Limits,
    LimitsUnavailable,
    Source,
    Spent,
)
from keel.ratelimit.quota import parse
from keel.ratelimit.rules import RuleBook
from keel.tasks import Tasks


class Spending(Protocol):
    """Counts that may be charged without waiting."""

    def spend(self, charge: Charge) -> Spent | None:
        """Charge 1 where it is sure to be admitted; None: nothing was done."""


Given = Limit | str | Sequence[Limit | str]
"""Limits, or their texts; several are checked together."""


class Tally(msgspec.Struct):
    """What was decided by one limit, by its name."""

    allowed: int = 0
    refused: int = 0
    would_refuse: int = 0


class RateLimits:
    """Rate limits as the rest of the program knows them; `rules` are those that requests are held to."""

    def __init__(self, counters: Counters, tasks: Tasks, spending: Spending | None = None) -> None:
        self.rules = RuleBook()
        self._counters = counters
        self._spending = spending
        self._tasks = tasks
        self._tallies: dict[str, Tally] = {}
        self._sources: Counter[Source] = Counter()

    async def check(self, subject: str, limits: Given, *, cost: int = 1) -> Decision:
        """Charge `cost` to all limits of a subject, or to none where one of them refuses.

        Raises ValueError for a cost below 1; one that a limit never admits is refused.
        """
        if cost < 1:
            raise ValueError("a cost is at least 1")
        decision = await self._counters.take(subject, given(limits), cost)
        self._note(decision)
        return decision

    async def check_all(self, charges: Iterable[Charge | tuple[str, Given]], *, cost: int = 1) -> Decisions:
        """Charge several subjects, one after the other; where one is refused, those before get theirs back."""
        parts: list[Decision] = []
        for subject, limits in charges:
            if not limits:
                continue
            decision = await self.check(subject, limits, cost=cost)
            parts.append(decision)
            if not decision.allowed:
                if len(parts) > 1:
                    await asyncio.shield(self._tasks.start("undoing charges", self._undo(parts[:-1]), finish=True))
                break
        return Decisions(tuple(parts))

    async def enforce(self, *charges: Charge | tuple[str, Given], cost: int = 1) -> Decisions:
        """As `check_all`, but raise LimitExceeded (or LimitsUnavailable) for a refusal.

        What was decided goes into the headers of the request's answer.
        """
        decisions = await self.check_all(charges, cost=cost)
        request = current_asking()
        if request is not None:
            request.decisions.extend(decisions.parts)
        raise_refusal(decisions)
        return decisions

    def spend(self, charge: Charge) -> Spent | None:
        """As `check`, where memory alone can admit it; None where it cannot, and nothing is charged then."""
        spent = None if self._spending is None else self._spending.spend(charge)
        if spent is not None:
            self._note(spent.decision)
        return spent

    async def peek(self, subject: str, limits: Given, *, cost: int = 1) -> Decision:
        """What `check` would say; nothing is charged."""
        return await self._counters.peek(subject, given(limits), cost)

    async def refund(self, decision: Decision, cost: int | None = None) -> None:
        """Take back what a check has charged, or `cost` of it, where it still counts."""
        await self._counters.give_back(decision, decision.cost if cost is None else min(cost, decision.cost))

    async def reset(self, subject: str, limits: Given) -> None:
        """Forget what was counted; raises Unavailable where the server cannot be told."""
        await self._counters.reset(subject, given(limits))

    @asynccontextmanager
    async def hold(self, subject: str, limits: Given, *, cost: int = 1) -> AsyncIterator[Decision]:
        """Hold a place of a concurrency for as long as the block lasts; raises as `enforce` does.

        Rates among the limits are charged for good. The lease expires after its time, whether the block has ended
        or not.
        """
        decision = (await self.enforce((subject, limits), cost=cost)).parts[0]
        try:
            yield decision
        finally:
            await self.leave(decision)

    async def leave(self, decision: Decision) -> None:
        """Give up the place of a concurrency that a check has taken, be the caller cancelled or not.

        What was charged to rates stays.
        """
        await asyncio.shield(self._tasks.start("leaving", self._leave(decision), finish=True))

    async def _leave(self, decision: Decision) -> None:
        held = tuple(each for each in decision.verdicts if each.limit.is_held)
        with budget(None):
            await self._counters.give_back(msgspec.structs.replace(decision, verdicts=held), decision.cost)

    def tallies(self) -> Mapping[str, Tally]:
        """What this process has decided by each limit."""
        return self._tallies

    def sources(self) -> Mapping[Source, int]:
        """How many decisions came from where."""
        return self._sources

    async def _undo(self, parts: list[Decision]) -> None:
        with budget(None):
            for part in reversed(parts):
                await self._counters.give_back(part, part.cost)

    def _note(self, decision: Decision) -> None:
        self._sources[decision.source] += 1
        for verdict in decision.verdicts:
            tally = self._tallies.get(verdict.limit.name)
            if tally is None:
                tally = self._tallies[verdict.limit.name] = Tally()
            if verdict.fits:
                tally.allowed += decision.allowed
            elif verdict.limit.shadow:
                tally.would_refuse += 1
            else:
                tally.refused += 1


def given(limits: Given) -> Limits:
    """Limits as they are checked; raises QuotaMalformed, or ValueError where two count in the same place."""
    if isinstance(limits, str):
        return (parse(limits),)
    if isinstance(limits, Limit):
        return (limits,)
    return _read(tuple(limits))


@lru_cache(maxsize=4096)
def _read(limits: tuple[Limit | str, ...]) -> Limits:
    read = tuple(parse(each) if isinstance(each, str) else each for each in limits)
    if len({limit.key for limit in read}) != len(read):
        raise ValueError("two limits of one check must differ in name or period")
    return read


def raise_refusal(decisions: Decisions) -> None:
    """Raise what a refusal is told by."""
    if decisions.allowed:
        return
    if decisions.parts[-1].source is Source.OUTAGE:
        raise LimitsUnavailable(decisions)
    raise LimitExceeded(decisions)
