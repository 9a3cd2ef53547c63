"""Days: what a ledger realised on each day of the user's zone."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cached_property
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from tradesense.domain import money
from tradesense.domain.columns import ExactColumn, Ints
from tradesense.domain.ledger import Ledger
from tradesense.domain.local_time import DAY, day_number, day_of, local


@dataclass(frozen=True, eq=False)
class Daily:
    """One value for each day, from the day `first` (a number since 1970-01-01) to the last with an exit.

    `trades`, `wins` and `losses` count the trades that closed on the day, `exits` its realisations.
    """

    first: int
    gross: ExactColumn
    costs: ExactColumn
    exits: Ints
    trades: Ints
    wins: Ints
    losses: Ints

    def __len__(self) -> int:
        return len(self.exits)

    @cached_property
    def net(self) -> ExactColumn:
        """Gross less costs."""
        return self.gross - self.costs

    @cached_property
    def active(self) -> Ints:
        """The places of the days on which something was realised or closed."""
        return np.flatnonzero(self.exits + self.trades)

    @property
    def numbers(self) -> Ints:
        """The number of each day."""
        return np.arange(self.first, self.first + len(self))


class View:
    """A ledger as seen from a zone; what several answers need is worked out once and kept."""

    def __init__(self, ledger: Ledger, zone: ZoneInfo) -> None:
        self.ledger = ledger
        self.zone = zone

    @cached_property
    def realised_clock(self) -> Ints:
        """The local time of each realisation, in µs since 1970."""
        return local(self.ledger.realised.at, self.zone)

    @cached_property
    def closed_clock(self) -> Ints:
        """The local time at which each of `ledger.closed` closed, in µs since 1970."""
        return local(self.ledger.closed_at[self.ledger.closed], self.zone)

    @cached_property
    def daily(self) -> Daily:
        """What was realised and closed on each day; raises `MixedCurrencies`."""
        _ = self.ledger.currency
        realised, closed = self.realised_clock // DAY, self.closed_clock // DAY
        ends = [int(end) for days in (realised, closed) if len(days) for end in (days.min(), days.max())]
        first = min(ends, default=0)
        count = max(ends, default=-1) - first + 1
        results = self.ledger.closed_result
        return Daily(
            first=first,
            gross=self.ledger.realised.gross.sum_by(realised - first, count),
            costs=self.ledger.realised.costs.sum_by(realised - first, count),
            exits=np.bincount(realised - first, minlength=count),
            trades=np.bincount(closed - first, minlength=count),
            wins=np.bincount(closed[results > 0] - first, minlength=count),
            losses=np.bincount(closed[results < 0] - first, minlength=count),
        )


class Day(NamedTuple):
    """What was realised on a day, and how many trades closed on it."""

    day: date
    gross: Decimal
    costs: Decimal
    net: Decimal
    trades: int
    wins: int
    losses: int

    def as_json(self) -> dict[str, Any]:
        """The day as the API and exports carry it."""
        return {
            "day": self.day.isoformat(),
            "net_pnl": money.text(self.net),
            "gross_pnl": money.text(self.gross),
            "costs": money.text(self.costs),
            "trades": self.trades,
            "wins": self.wins,
            "losses": self.losses,
            "win_rate": self.wins / self.trades if self.trades else None,
        }


def calendar(view: View) -> list[Day]:
    """The days on which something was realised or closed, in order; raises `MixedCurrencies`."""
    daily, active = view.daily, view.daily.active
    return list(
        map(
            Day,
            map(day_of, daily.numbers[active].tolist()),
            daily.gross.take(active).decimals(),
            daily.costs.take(active).decimals(),
            daily.net.take(active).decimals(),
            daily.trades[active].tolist(),
            daily.wins[active].tolist(),
            daily.losses[active].tolist(),
        )
    )


def on_day(view: View, day: date) -> Day:
    """What was realised on one day, all zeros where that is nothing; raises `MixedCurrencies`."""
    daily, place = view.daily, day_number(day) - view.daily.first
    at = np.array([place] if 0 <= place < len(daily) else [], np.int64)
    gross, costs = daily.gross.take(at).sum(), daily.costs.take(at).sum()
    counts = (int(column[at].sum()) for column in (daily.trades, daily.wins, daily.losses))
    return Day(day, gross, costs, daily.net.take(at).sum(), *counts)
