"""Equity on day closes, its drawdowns, and the daily returns behind every ratio that needs a capital."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from itertools import accumulate
from operator import add, sub
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Self
from zoneinfo import ZoneInfo

import numpy as np

from tradesense.domain import money, statistics
from tradesense.domain.columns import Bools, Floats
from tradesense.domain.days import Daily, View
from tradesense.domain.ledger import Ledger
from tradesense.domain.local_time import DAY, day_number, day_of, local, weekdays
from tradesense.domain.metrics import NO_BALANCE, NOT_POSITIVE, NOTHING_REALISED
from tradesense.domain.money import ZERO, exact
from tradesense.domain.statistics import CALENDAR_DAYS, TRADING_DAYS

_SATURDAY: Final = 5
_NO_FLOWS: Final[Mapping[date, Decimal]] = MappingProxyType({})


class Capital(NamedTuple):
    """What the account started with, and what went in (positive) or out on which day, in the ledger's currency.

    Flows come from outside: deposits and withdrawals. What the account earns or pays (dividends, fees) is none.
    """

    starting: Decimal
    flows: Mapping[date, Decimal] = _NO_FLOWS

    def at(self, day: date, ledger: Ledger, zone: ZoneInfo) -> Self:
        """The capital of the period that starts on `day`: all that was realised and that flowed before is in it.

        `ledger` is the one that the period was selected from. Raises `MixedCurrencies`.
        """
        _ = ledger.currency
        before = local(ledger.realised.at, zone) < day_number(day) * DAY
        gross, costs = ledger.realised.gross.take(before).sum(), ledger.realised.costs.take(before).sum()
        with exact():
            starting = self.starting + gross - costs + sum((at for on, at in self.flows.items() if on < day), ZERO)
        return self._replace(starting=starting, flows={on: amount for on, amount in self.flows.items() if on >= day})


class Returns(NamedTuple):
    """Daily returns of the days that count, and how many of them make a year."""

    values: Floats
    periods: int
    counted: Bools
    """Which days of the `Daily` they are of."""


def daily_returns(daily: Daily, capital: Capital | None) -> Returns | str:
    """The day's net ÷ (equity at the previous close + the day's flow), or the reason why there are none.

    Every Monday to Friday from the first day to the last counts, at 252 a year; every day, at 365, where something was
    realised on a weekend. A flow on a day that does not count belongs to the next one.
    """
    if capital is None:
        return NO_BALANCE
    if not len(daily):
        return NOTHING_REALISED
    weekend = weekdays(daily.numbers) >= _SATURDAY
    every_day = bool(daily.exits[weekend].any())
    counted = ~weekend | every_day
    net = daily.net.floats()
    # What was earned until the eve is added up by itself: a day's result taken off again would take small sums along.
    paid, earned = float(capital.starting) + _flows_until(daily, capital), np.concatenate(([0.0], np.cumsum(net)))
    before = paid + earned[:-1]
    if before.min() <= 0 or (paid + earned[1:]).min() <= 0:
        return NOT_POSITIVE
    return Returns((net / before)[counted], CALENDAR_DAYS if every_day else TRADING_DAYS, counted)


class Point(NamedTuple):
    """A day's close. `net` is the cumulative net P&L; drawdowns are 0 or negative."""

    day: date
    net: Decimal
    equity: Decimal | None
    drawdown: float | None
    drawdown_money: Decimal

    def as_json(self) -> dict[str, Any]:
        """The point as the API and exports carry it."""
        return {
            "day": self.day.isoformat(),
            "net_pnl": money.text(self.net),
            "equity": None if self.equity is None else money.text(self.equity),
            "drawdown": self.drawdown,
            "drawdown_money": money.text(self.drawdown_money),
        }


class Drawdown(NamedTuple):
    """The deepest fall from a peak, 0 or negative; the days are None where there was no fall.

    `start` is the day of the peak, `recovery` the first day at its level again, None while there is none.
    """

    depth: Decimal | float
    start: date | None = None
    trough: date | None = None
    recovery: date | None = None


class Curve(NamedTuple):
    """Closes of the days on which equity changed, the starting point first, dated the day before.

    `net` is cumulative; `drawdowns` (of equity, as ratios) are None for the reason in `why`.
    """

    days: list[date]
    net: list[Decimal]
    equity: list[Decimal] | None
    wealth: list[float] | None
    """What ratios are measured on: equity, or where capital flowed the growth of 1, from which flows are taken out."""
    why: str | None

    def points(self) -> list[Point]:
        """Every close with its drawdowns."""
        absent = [None] * len(self.days)
        ratios = absent if self.wealth is None else _ratios(self.wealth)
        return list(map(Point, self.days, self.net, self.equity or absent, ratios, _falls(self.net)))

    def drawdown(self) -> Drawdown | None:
        """The deepest of wealth ÷ running peak - 1."""
        return self._deepest(self.wealth, _ratios(self.wealth)) if self.wealth else None

    def drawdown_money(self) -> Drawdown | None:
        """The deepest of cumulative net P&L less its running peak; None where nothing was realised."""
        return self._deepest(self.net, _falls(self.net)) if self.net else None

    def _deepest(self, values: list[Any], declines: list[Any]) -> Drawdown:
        depth = min(declines)
        if not depth:
            return Drawdown(depth)
        trough = declines.index(depth)
        peak = max(values[:trough])
        start = max(place for place in range(trough) if values[place] == peak)
        recovery = next((place for place in range(trough, len(values)) if values[place] >= peak), None)
        return Drawdown(depth, self.days[start], self.days[trough], None if recovery is None else self.days[recovery])


def curve(view: View, capital: Capital | None) -> Curve:
    """The equity curve of a ledger in one currency; empty where nothing was realised. Raises `MixedCurrencies`."""
    daily = view.daily
    if not len(daily):
        return Curve([], [], None, None, NOTHING_REALISED)
    realised = dict(zip(daily.numbers[daily.active].tolist(), daily.net.take(daily.active).decimals(), strict=True))
    opening, flows = _flows_from(daily.first, capital)
    numbers = sorted({*realised, *flows})
    with exact():
        net = list(accumulate((realised.get(number, ZERO) for number in numbers), initial=ZERO))
        paid = list(accumulate((flows.get(number, ZERO) for number in numbers), initial=opening))
        equity = list(map(add, net, paid))
    days = list(map(day_of, [daily.first - 1, *numbers]))
    if capital is None:
        return Curve(days, net, None, None, NO_BALANCE)
    if not flows:
        wealth = list(map(float, equity)) if opening > 0 else None
        return Curve(days, net, equity, wealth, None if wealth else NOT_POSITIVE)
    returns = daily_returns(daily, capital)
    if isinstance(returns, str):
        return Curve(days, net, equity, None, returns)
    return Curve(days, net, equity, _growth(daily, returns, numbers), None)


def _flows_from(first: int, capital: Capital | None) -> tuple[Decimal, dict[int, Decimal]]:
    """The capital on the eve of the first day, and what flowed on which day from then on."""
    if capital is None:
        return ZERO, {}
    with exact():
        earlier = sum((amount for on, amount in capital.flows.items() if day_number(on) < first), capital.starting)
    later = {day_number(on): amount for on, amount in capital.flows.items()}
    return earlier, {number: amount for number, amount in later.items() if number >= first and amount}


def _flows_until(daily: Daily, capital: Capital) -> Floats:
    """What had flowed by the close of each day."""
    amounts = np.zeros(len(daily))
    for on, amount in capital.flows.items():
        place = day_number(on) - daily.first
        if place < len(daily):
            amounts[max(place, 0)] += float(amount)
    return np.cumsum(amounts)


def _growth(daily: Daily, returns: Returns, numbers: list[int]) -> list[float]:
    """The growth of 1 at the start and at the close of each of these days."""
    places = np.cumsum(returns.counted)[np.minimum(np.array(numbers) - daily.first, len(daily) - 1)]
    growth: list[float] = statistics.cumulative(returns.values)[[0, *places]].tolist()
    return growth


def _ratios(wealth: list[float]) -> list[float]:
    return [now / peak - 1.0 for now, peak in zip(wealth, accumulate(wealth, max), strict=True)]


def _falls(net: list[Decimal]) -> list[Decimal]:
    with exact():
        return list(map(sub, net, accumulate(net, max)))
