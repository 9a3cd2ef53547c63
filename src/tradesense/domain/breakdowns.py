"""Breakdowns: a ledger's results by one property, each group with its sample size and what it can be trusted for."""

import math
from collections.abc import Collection, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import numpy as np

from tradesense.domain import money
from tradesense.domain.columns import Floats
from tradesense.domain.days import View
from tradesense.domain.estimates import estimate
from tradesense.domain.groupings import By, Members, members
from tradesense.domain.intervals import CONFIDENCE, mean_margin, wilson
from tradesense.domain.ledger import Ledger
from tradesense.domain.money import exact
from tradesense.domain.trades import TradeId

CONVENTIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "net_pnl": "Σ realised, partial exits of open trades included; the groups add up to the total exactly",
        "time": "weekday, hour and month are those of the exit in the user's zone; an open trade is counted in none",
        "labels": "a trade with several tags counts in each, one without in the group null",
        "win_rate_interval": f"Wilson's score interval, {CONFIDENCE:.0%}",
        "expectancy_interval": f"Student's t interval of the mean net P&L of closed trades, {CONFIDENCE:.0%}",
        "sample_size": "closed_trades",
        "size": "the most held at once",
        "entry_price": "the average entry price",
    }
)


class Group(NamedTuple):
    """One group. `key` is None for trades without a label. Bounds are of the 95 % intervals, None where undefined."""

    key: str | None
    gross: Decimal
    costs: Decimal
    net: Decimal
    trades: int
    closed: int
    wins: int
    losses: int
    won: Decimal
    lost: Decimal
    win_rate_bounds: tuple[float, float] | None
    expectancy_bounds: tuple[float, float] | None

    @property
    def expectancy(self) -> Decimal | None:
        """The mean net P&L of its closed trades, rounded to 12 decimals."""
        with exact():
            return money.average(self.won + self.lost, Decimal(self.closed)) if self.closed else None

    def as_json(self) -> dict[str, Any]:
        """The group as the API and exports carry it."""
        rate_low, rate_high = self.win_rate_bounds or (None, None)
        low, high = self.expectancy_bounds or (None, None)
        return {
            "key": self.key,
            "net_pnl": money.text(self.net),
            "gross_pnl": money.text(self.gross),
            "costs": money.text(self.costs),
            "trades": self.trades,
            "closed_trades": self.closed,
            "open_trades": self.trades - self.closed,
            "wins": self.wins,
            "losses": self.losses,
            "breakevens": self.closed - self.wins - self.losses,
            "win_rate": self.wins / self.closed if self.closed else None,
            "win_rate_low": rate_low,
            "win_rate_high": rate_high,
            "profit_factor": float(self.won) / -float(self.lost) if self.lost else None,
            "expectancy": None if self.expectancy is None else money.text(self.expectancy),
            "expectancy_low": None if low is None else estimate(low),
            "expectancy_high": None if high is None else estimate(high),
        }


def breakdown(
    view: View,
    by: By,
    *,
    labels: Mapping[TradeId, Collection[str]] | None = None,
    initial_risk: Mapping[TradeId, Decimal] | None = None,
) -> list[Group]:
    """The groups of a ledger in one currency, in their natural order, those without trades and exits left out.

    `labels` are each trade's tags, playbook or strategies, for `LABELS`; `initial_risk` is for `By.R`. But for labels,
    where a trade may have several, the groups' net P&L adds up to the ledger's, to the last digit.

    Raises `MixedCurrencies`.
    """
    _ = view.ledger.currency
    return _groups(view.ledger, members(view, by, labels or {}, initial_risk or {}))


def _groups(ledger: Ledger, found: Members) -> list[Group]:
    count, groups = len(found.keys), found.groups
    cells = groups * 3 + (ledger.closed_result[found.rows] + 1)
    results = np.bincount(cells, minlength=3 * count).reshape(count, 3)
    sums = ledger.closed_net.take(found.rows).sum_by(cells, 3 * count)
    lost, _, won = (sums.take(np.arange(place, 3 * count, 3)) for place in range(3))
    closed, wins = results.sum(axis=1), results[:, 2]
    floats = ledger.closed_floats[found.rows]
    means = np.bincount(groups, floats, count) / np.maximum(closed, 1)
    squares: Floats = np.bincount(groups, (floats - means[groups]) ** 2, count).astype(np.float64)
    margins = mean_margin(squares, closed)
    columns = zip(
        found.keys,
        found.gross.decimals(),
        found.costs.decimals(),
        (found.gross - found.costs).decimals(),
        (closed + found.still_open).tolist(),
        closed.tolist(),
        wins.tolist(),
        results[:, 0].tolist(),
        won.decimals(),
        lost.decimals(),
        _bounds(*wilson(wins, closed)),
        _bounds(means - margins, means + margins),
        strict=True,
    )
    return [Group(*row) for row, present in zip(columns, found.present.tolist(), strict=True) if present]


def _bounds(low: Floats, high: Floats) -> list[tuple[float, float] | None]:
    pairs = zip(low.tolist(), high.tolist(), strict=True)
    return [None if math.isnan(one) else (one, two) for one, two in pairs]
