"""Decisions without a round trip: a no that is known to hold for a while, and permits that were taken ahead.

Both are bounded, and neither outlives a second: a refused subject asks the server at most once a second from each
process, and any window of time W admits at most what the limits admit in W + 1 s.
"""

import asyncio
import time
from collections.abc import Coroutine, Sequence
from functools import lru_cache
from math import inf
from typing import Final

import msgspec
from msgspec import structs

from keel.context import budget
from keel.ratelimit.contract import (
    SECOND_US,
    Algorithm,
    Charge,
    Counters,
    Decision,
    Limit,
    Limits,
    Source,
    Spent,
    Verdict,
)
from keel.tasks import Tasks

LONGEST_S: Final = 1.0
"""How long a no is believed, and how long permits may be spent that were taken ahead."""
MOST_DENIED: Final = 10_000
MOST_LEASED: Final = 10_000
_LEAST_DENIED_S: Final = 0.001
_SHARE: Final = 10
_LARGEST: Final = 1024
_LOW: Final = 8
"""The part of a stock that is still there when more is taken, if there were enough at first."""
_LEAST_REFILLED: Final = 64
_SWEEP_S: Final = 0.25
_CLOSING_S: Final = 0.15
Place = tuple[str, Limits]


class _Denial(msgspec.Struct, gc=False):
    """A no to `cost` and more, that was said at `since` and holds until `until` by the monotonic clock."""

    decision: Decision
    since: float
    until: float


class _Stock(msgspec.Struct, gc=False):
    """Permits of one subject: those that were taken by `decision`, of which `left` may be spent until `until`.

    More are taken when there are only so few as `low`; -1: only when there are none.
    """

    until: float
    decision: Decision | None = None
    spent: Decision | None = None
    """The same, as who spends one is told of it."""
    left: int = 0
    low: int = -1
    is_asking: bool = False


class Shortcuts:
    """`Counters` that saves round trips to those it stands before."""

    def __init__(self, counters: Counters, tasks: Tasks) -> None:
        self._counters = counters
        self._tasks = tasks
        self._denials: dict[Place, _Denial] = {}
        self._stocks: dict[Place, _Stock] = {}
        self._sweeper: asyncio.TimerHandle | None = None

    async def take(self, subject: str, limits: Limits, cost: int, extra: int = 0) -> Decision:  # noqa: ARG002
        """Answer from here, or from the server; what is `extra` is decided here."""
        place, now = (subject, limits), time.monotonic()
        if self._denials and (denied := self._denied(place, cost, now)) is not None:
            return denied
        if not (limits and limits[0].leased and _may_be_leased(limits)):
            decision = await self._counters.take(subject, limits, cost)
        elif (spent := self._spent(place, cost, now)) is not None:
            return spent
        else:
            decision = await self._restocked(place, cost, now)
        if not decision.allowed:
            self._remember(place, decision, now)
        return decision

    def spend(self, charge: Charge) -> Spent | None:
        """Spend a permit that was taken ahead; None where there is none."""
        stock = self._stock(charge, 1, time.monotonic())
        return None if stock is None or stock.spent is None else Spent(stock.spent, stock.left)

    async def peek(self, subject: str, limits: Limits, cost: int) -> Decision:
        """As the server sees it."""
        return await self._counters.peek(subject, limits, cost)

    async def give_back(self, decision: Decision, cost: int) -> None:
        """Back into the stock that it was spent from, or to the server."""
        place = decision.subject, tuple(each.limit for each in decision.verdicts)
        self._denials.pop(place, None)
        if decision.source is not Source.LEASE:
            await self._counters.give_back(decision, cost)
            return
        stock = self._stocks.get(place)
        if stock is not None and stock.decision is not None and _marks(stock.decision) == _marks(decision):
            stock.left += cost
        else:
            await self._counters.give_back(_of_server(decision), cost)

    async def reset(self, subject: str, limits: Sequence[Limit]) -> None:
        """Forget everywhere; what other processes remember of it ends within a second."""
        names = {limit.key for limit in limits}
        for places in (self._denials, self._stocks):
            for place in [each for each in places if each[0] == subject and names & {limit.key for limit in each[1]}]:
                del places[place]
        await self._counters.reset(subject, limits)

    async def close(self) -> None:
        """Give back what was not spent."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        unspent = [stock for stock in self._stocks.values() if stock.left and stock.decision is not None]
        self._stocks.clear()
        with budget(_CLOSING_S):
            await self._return(unspent)

    # A no that holds

    def _denied(self, place: Place, cost: int, now: float) -> Decision | None:
        known = self._denials.get(place)
        if known is None:
            return None
        if now >= known.until:
            del self._denials[place]
            return None
        return _later(known.decision, round((now - known.since) * SECOND_US)) if cost >= known.decision.cost else None

    def _remember(self, place: Place, decision: Decision, asked: float) -> None:
        """A place that is given back, unlike time, cannot be foreseen: nothing is remembered of a concurrency."""
        waits = min(LONGEST_S, decision.retry_after_us / SECOND_US)
        shared = decision.source in {Source.SHARED, Source.LOCAL}
        if not shared or waits < _LEAST_DENIED_S or any(each.limit.is_held for each in decision.refusing):
            return
        if len(self._denials) >= MOST_DENIED:
            del self._denials[next(iter(self._denials))]
        self._denials[place] = _Denial(decision, asked, asked + waits)

    # Permits taken ahead

    def _stock(self, place: Place, cost: int, now: float) -> _Stock | None:
        """The stock of which so much was spent; None where there was not so much."""
        stock = self._stocks.get(place)
        if stock is None or stock.left < cost or now >= stock.until:
            return None
        stock.left -= cost
        if stock.left <= stock.low:
            stock.low = -1
            stock.is_asking = self._start("taking permits ahead", self._refilled(place, stock, now))
        return stock

    def _spent(self, place: Place, cost: int, now: float) -> Decision | None:
        stock = self._stock(place, cost, now)
        return None if stock is None or stock.decision is None else _spending(stock.decision, stock.left, cost)

    async def _refilled(self, place: Place, stock: _Stock, asked: float) -> None:
        """Take more before the stock is empty, for nobody in particular."""
        try:
            decision = await self._counters.take(*place, 1, _batch(place[1]) - 1)
        finally:
            stock.is_asking = False
        if decision.extra and self._stocks.get(place) is stock:
            self._put(place, decision, asked, decision.extra + 1)
        elif decision.allowed:
            await self._counters.give_back(decision, decision.extra + 1)

    async def _restocked(self, place: Place, cost: int, now: float) -> Decision:
        """Ask the server: for more than is needed where this subject was here within the last second."""
        stock = self._stocks.get(place)
        if stock is not None and stock.is_asking:
            return await self._counters.take(*place, cost)
        if stock is None or now >= stock.until:
            self._expect(place, stock, now)
            return await self._counters.take(*place, cost)
        stock.is_asking = True
        try:
            decision = await self._counters.take(*place, cost, _batch(place[1]))
        finally:
            stock.is_asking = False
        if decision.extra:
            self._put(place, decision, now, decision.extra)
        elif not stock.left:
            self._stocks[place] = _Stock(now + LONGEST_S)
        return decision

    def _expect(self, place: Place, old: _Stock | None, now: float) -> None:
        """Remember that this subject was here."""
        if old is not None and old.left:
            self._send_back([old])
        if old is not None or len(self._stocks) < MOST_LEASED:
            self._stocks[place] = _Stock(now + LONGEST_S)
            self._wake()

    def _put(self, place: Place, decision: Decision, asked: float, many: int) -> None:
        old = self._stocks.get(place)
        if old is not None and old.left:
            self._send_back([old])
        ends = min((_window_left_us(each) for each in decision.verdicts), default=inf) / SECOND_US
        low = many // _LOW if many >= _LEAST_REFILLED else -1
        spent = structs.replace(decision, source=Source.LEASE)
        self._stocks[place] = _Stock(asked + min(LONGEST_S, ends), decision, spent, many, low)
        self._wake()

    def _wake(self) -> None:
        if self._sweeper is None:
            self._sweeper = asyncio.get_running_loop().call_later(_SWEEP_S, self._sweep)

    def _sweep(self) -> None:
        """Give back what can no longer be spent, and forget who has not come back."""
        self._sweeper = None
        now = time.monotonic()
        over = [place for place, stock in self._stocks.items() if stock.until <= now and not stock.is_asking]
        stocks = [self._stocks.pop(place) for place in over]
        self._send_back([stock for stock in stocks if stock.left])
        if self._stocks:
            self._wake()

    def _send_back(self, stocks: list[_Stock]) -> None:
        if stocks:
            self._start("giving back permits", self._return(stocks))

    def _start(self, name: str, work: Coroutine[None, None, None]) -> bool:
        """Do it in the background; whether that was begun: not once everything is closed."""
        try:
            self._tasks.start(name, work)
        except RuntimeError:
            return False
        return True

    async def _return(self, stocks: list[_Stock]) -> None:
        await asyncio.gather(
            *(self._counters.give_back(stock.decision, stock.left) for stock in stocks if stock.decision is not None)
        )


@lru_cache(maxsize=4096)
def _may_be_leased(limits: Limits) -> bool:
    return all(limit.leased and not limit.shadow for limit in limits)


def _batch(limits: Limits) -> int:
    """How many permits to take ahead: a tenth of what is admitted at once."""
    return min(_LARGEST, *(max(1, limit.capacity // _SHARE) for limit in limits))


def _window_left_us(verdict: Verdict) -> float:
    """How long what was charged is of the window that it was charged in."""
    if verdict.limit.algorithm is Algorithm.FIXED_WINDOW:
        return verdict.reset_us
    if verdict.limit.algorithm is Algorithm.SLIDING_WINDOW:
        return verdict.reset_us - verdict.limit.period_us
    return inf


def _marks(decision: Decision) -> tuple[int, ...]:
    return decision.at_us, *(each.mark for each in decision.verdicts)


def _of_server(decision: Decision) -> Decision:
    return structs.replace(decision, source=Source.SHARED)


def _spending(decision: Decision, left: int, cost: int) -> Decision:
    verdicts = tuple(
        Verdict(each.limit, True, each.remaining + left, 0, each.reset_us, each.mark, each.charged)  # noqa: FBT003
        for each in decision.verdicts
    )
    return Decision(decision.subject, verdicts, True, cost, decision.at_us, Source.LEASE)  # noqa: FBT003


def _later(decision: Decision, passed_us: int) -> Decision:
    """The same no, so much later."""
    verdicts = tuple(
        structs.replace(
            each,
            retry_after_us=max(0, each.retry_after_us - passed_us),
            reset_us=max(0, each.reset_us - passed_us),
            charged=False,
        )
        for each in decision.verdicts
    )
    return structs.replace(decision, verdicts=verdicts, at_us=decision.at_us + passed_us, source=Source.DENIAL)
