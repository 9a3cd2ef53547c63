"""The distribution of trade results: a histogram with round edges, and the moments that describe it."""

import math
from decimal import Decimal
from typing import Any, Final, NamedTuple

import numpy as np

from tradesense.domain import money
from tradesense.domain.columns import ExactColumn, Floats
from tradesense.domain.estimates import estimate, estimates
from tradesense.domain.ledger import Ledger
from tradesense.domain.money import exact

MOST_BINS: Final = 40

_PERCENTILES: Final = (1, 5, 25, 50, 75, 95, 99)
_MANY: Final = 100


class Bin(NamedTuple):
    """Results from `low` up to, but not including, `high`; None is without an end."""

    low: Decimal | None
    high: Decimal | None
    trades: int
    net: Decimal

    def as_json(self) -> dict[str, Any]:
        """The bin as the API and exports carry it."""
        return {
            "from": None if self.low is None else money.text(self.low),
            "to": None if self.high is None else money.text(self.high),
            "trades": self.trades,
            "net_pnl": money.text(self.net),
        }


class Distribution(NamedTuple):
    """Net P&L of closed trades: bins in rising order, and what describes them; None where undefined.

    `percentiles` are linear between neighbours; `skewness` is the third standardised moment (population), `deviation`
    has ddof 1.
    """

    bins: list[Bin]
    percentiles: dict[int, float]
    mean: float | None
    deviation: float | None
    skewness: float | None

    def as_json(self) -> dict[str, Any]:
        """The distribution as the API and exports carry it."""
        return {
            "bins": [bin_.as_json() for bin_ in self.bins],
            "percentiles": estimates(self.percentiles),
            "mean": None if self.mean is None else estimate(self.mean),
            "standard_deviation": None if self.deviation is None else estimate(self.deviation),
            "skewness": self.skewness,
        }


def distribution(ledger: Ledger) -> Distribution:
    """The distribution of net P&L over the closed trades of a ledger in one currency.

    Bins are as wide as D. Freedman and P. Diaconis advise (Zeitschrift für Wahrscheinlichkeitstheorie 57, 1981),
    rounded up to 1, 2 or 5 times a power of ten, at most `MOST_BINS` of them; 0 is always an edge. From 100 trades on
    the outermost percent on each side lies in bins without an end. Raises `MixedCurrencies`.
    """
    _ = ledger.currency
    rising = np.argsort(ledger.closed_floats)
    results = ledger.closed_floats[rising]
    if not len(results):
        return Distribution([], {}, None, None, None)
    percentiles = np.percentile(results, _PERCENTILES).tolist()
    spread = float(results.std())
    return Distribution(
        bins=_bins(ledger.closed_net.take(rising), results),
        percentiles=dict(zip(_PERCENTILES, percentiles, strict=True)),
        mean=float(results.mean()),
        deviation=float(results.std(ddof=1)) if len(results) > 1 else None,
        skewness=float(np.mean(((results - results.mean()) / spread) ** 3)) if spread else None,
    )


def _bins(net: ExactColumn, results: Floats) -> list[Bin]:
    """The bins of results in rising order."""
    edges = _edges(results)
    ends = [*np.searchsorted(results, [float(edge) for edge in edges]).tolist(), len(results)]
    counts = np.diff(ends, prepend=0)
    sums = net.sum_by(np.repeat(np.arange(len(counts)), counts), len(counts)).decimals()
    bins = list(map(Bin, [None, *edges], [*edges, None], counts.tolist(), sums))
    return bins[0 if counts[0] else 1 : None if counts[-1] else -1]


def _edges(results: Floats) -> list[Decimal]:
    """Round numbers, equally apart: from at or below the low end to above the high one."""
    tails = (1, 99) if len(results) >= _MANY else (0, 100)
    low, lower, upper, high = np.percentile(results, [tails[0], 25, 75, tails[1]]).tolist()
    advised = 2 * (upper - lower) / len(results) ** (1 / 3)
    width = _round_up(max(advised, (high - low) / (MOST_BINS - 4)))
    first, last = math.floor(low / float(width)), math.floor(high / float(width)) + 1
    with exact():
        return [width * place for place in range(first, last + 1)]


def _round_up(width: float) -> Decimal:
    """The smallest of 1, 2 and 5 times a power of ten that is not below; 1 for 0."""
    if width <= 0:
        return Decimal(1)
    power = math.floor(math.log10(width))
    steps = (Decimal((0, (digit,), power)) for digit in (1, 2, 5))
    return next((step for step in steps if float(step) >= width), Decimal((0, (1,), power + 1)))
