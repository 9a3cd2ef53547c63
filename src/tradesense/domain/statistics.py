"""Statistics as plain functions of daily returns or of trade results, each with its convention and source.

Returns are simple returns per period, as fractions (0.01 is 1 %), `periods` how many of them make a year. Results are
net P&L per trade, in one currency; their order matters to `streaks` alone. What is undefined is None: no number stands
in for it.

Conventions are those of empyrical (`empyrical-reloaded` 0.7) wherever both define a metric. It gives nan or inf
where we give None, and leaves nan out of a series, which must have none here.
"""

import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from tradesense.domain.columns import Floats

Numbers = npt.ArrayLike | Sequence[Decimal]

TRADING_DAYS: Final = 252
CALENDAR_DAYS: Final = 365

_TAIL: Final = 0.05


def cumulative(returns: Numbers) -> Floats:
    """The growth of 1: it starts at 1.0 and has one value more than `returns`."""
    growth: Floats = np.concatenate([[1.0], np.cumprod(1.0 + _series(returns))])
    return growth


def max_drawdown(returns: Numbers) -> float | None:
    """min(growth ÷ its running peak - 1), the starting point included; 0 or negative.

    empyrical `max_drawdown`. None without returns.
    """
    declines = _declines(returns)
    return float(declines.min()) if len(declines) else None


def ulcer_index(returns: Numbers) -> float | None:
    """√(mean of the squared drawdowns at each period's close), as a fraction.

    P. Martin and B. McCann, The Investor's Guide to Fidelity Funds (1989), who give it in percent.
    """
    declines = _declines(returns)
    return float(np.sqrt(np.mean(declines**2))) if len(declines) else None


def cagr(returns: Numbers, periods: int = TRADING_DAYS) -> float | None:
    """(Π(1 + r))^(periods ÷ n) - 1, the compound annual growth rate; empyrical `annual_return`.

    None without returns, where everything was lost more than once, and where the rate is no finite number.
    """
    series = _series(returns)
    if not len(series) or series.min() < -1.0:
        return None
    if series.min() == -1.0:
        return -1.0
    try:
        return math.expm1(float(np.log1p(series).sum()) * periods / len(series))
    except OverflowError:
        return None


def volatility(returns: Numbers, periods: int = TRADING_DAYS) -> float | None:
    """Std (ddof 1) × √periods; empyrical `annual_volatility`. None below two returns."""
    series = _series(returns)
    return float(series.std(ddof=1)) * math.sqrt(periods) if len(series) > 1 else None


def sharpe(returns: Numbers, risk_free: float = 0.0, periods: int = TRADING_DAYS) -> float | None:
    """Mean ÷ std (ddof 1) of the returns less `risk_free` (a rate per period), × √periods.

    W. F. Sharpe, The Sharpe Ratio, Journal of Portfolio Management 21 (1994); empyrical `sharpe_ratio`. None below two
    returns and where all are the same.
    """
    series = _series(returns) - risk_free
    if not _varies(series):
        return None
    return float(series.mean() / series.std(ddof=1)) * math.sqrt(periods)


def sortino(returns: Numbers, required: float = 0.0, periods: int = TRADING_DAYS) -> float | None:
    """Mean ÷ √(mean of min(r, 0)² over all n) of the returns less `required` (a rate per period), × √periods.

    F. Sortino and L. Price, Performance Measurement in a Downside Risk Framework, Journal of Investing 3 (1994);
    empyrical `sortino_ratio`. None where no return is below `required`.
    """
    series = _series(returns) - required
    downside = float(np.mean(np.minimum(series, 0.0) ** 2)) if len(series) else 0.0
    return float(series.mean()) / math.sqrt(downside) * math.sqrt(periods) if downside else None


def calmar(returns: Numbers, periods: int = TRADING_DAYS) -> float | None:
    """CAGR ÷ |max drawdown|; T. W. Young, Futures 20 (1991); empyrical `calmar_ratio`. None without a drawdown."""
    growth, depth = cagr(returns, periods), max_drawdown(returns)
    return growth / -depth if growth is not None and depth else None


def var(returns: Numbers, confidence: float = 0.95) -> float | None:
    """Historical value at risk: the quantile 1 - `confidence` of the returns, linear between neighbours; a return.

    empyrical `value_at_risk`, whose `cutoff` is 1 - `confidence`. None without returns.
    """
    series = _series(returns)
    return float(np.quantile(series, 1.0 - confidence)) if len(series) else None


def cvar(returns: Numbers, confidence: float = 0.95) -> float | None:
    """The mean of the ⌊(n - 1)(1 - `confidence`)⌋ + 1 worst returns; empyrical `conditional_value_at_risk`.

    None without returns.
    """
    series = _series(returns)
    if not len(series):
        return None
    worst = int((len(series) - 1) * (1.0 - confidence))
    return float(np.mean(np.partition(series, worst)[: worst + 1]))


def tail_ratio(returns: Numbers) -> float | None:
    """|quantile 0.95| ÷ |quantile 0.05| of the returns; empyrical `tail_ratio`. None where the lower one is 0."""
    series = _series(returns)
    if not len(series):
        return None
    low, high = np.abs(np.quantile(series, [_TAIL, 1.0 - _TAIL]))
    return float(high / low) if low else None


def win_rate(net: Numbers) -> float | None:
    """Wins ÷ all trades; breakevens stay in the denominator. None without trades."""
    results = _series(net)
    return float(np.count_nonzero(results > 0)) / len(results) if len(results) else None


def profit_factor(net: Numbers) -> float | None:
    """Σ wins ÷ |Σ losses|. None without losses."""
    results = _series(net)
    lost = float(results[results < 0].sum())
    return float(results[results > 0].sum()) / -lost if lost else None


def expectancy(net: Numbers) -> float | None:
    """The mean result. None without trades."""
    results = _series(net)
    return float(results.mean()) if len(results) else None


def payoff_ratio(net: Numbers) -> float | None:
    """Mean win ÷ |mean loss|. None without wins or without losses."""
    results = _series(net)
    won, lost = results[results > 0], results[results < 0]
    return float(won.mean() / -lost.mean()) if len(won) and len(lost) else None


def sqn(net: Numbers) -> float | None:
    """√n × mean ÷ std (ddof 1): the system quality number of V. Tharp, Definitive Guide to Position Sizing (2008).

    n is not capped at 100, as some do. None below two trades and where all results are the same.
    """
    results = _series(net)
    if not _varies(results):
        return None
    return math.sqrt(len(results)) * float(results.mean() / results.std(ddof=1))


def kelly(net: Numbers) -> float | None:
    """W - (1 - W) ÷ payoff ratio: the share of the capital at stake with which it grows fastest; may be negative.

    J. L. Kelly, A New Interpretation of Information Rate, Bell System Technical Journal 35 (1956). W is wins ÷ (wins +
    losses): a breakeven neither wins nor loses, so it does not change the optimum. None without wins or losses.
    """
    results = _series(net)
    payoff = payoff_ratio(results)
    if payoff is None:
        return None
    wins = np.count_nonzero(results > 0) / np.count_nonzero(results)
    return float(wins - (1.0 - wins) / payoff)


def recovery_factor(net_pnl: float, drawdown: float) -> float | None:
    """Net P&L ÷ |max drawdown in money|. None without a drawdown."""
    return net_pnl / abs(drawdown) if drawdown else None


def consistency(days: Numbers) -> float | None:
    """The best day's net P&L ÷ the total of all days, as the consistency rules of funded accounts have it.

    The lower, the more even; above 1 the rest of the days lost money. None where the total is not positive.
    """
    results = _series(days)
    total = float(results.sum())
    return float(results.max()) / total if total > 0 else None


class Streaks(NamedTuple):
    """The longest runs of wins and of losses, and the run at the end: positive for wins, negative for losses."""

    wins: int
    losses: int
    current: int


def streaks(net: Numbers) -> Streaks:
    """The runs of wins and losses among results in the order in which the trades closed. A breakeven ends a run."""
    signs = np.sign(_series(net)).astype(np.int64)
    if not len(signs):
        return Streaks(0, 0, 0)
    starts = np.flatnonzero(np.diff(signs, prepend=2))
    lengths = np.diff(starts, append=len(signs))
    runs = lengths * signs[starts]
    return Streaks(max(0, int(runs.max())), max(0, -int(runs.min())), int(runs[-1]))


def exposure(opened_at: Numbers, closed_at: Numbers) -> float | None:
    """The share of the time from the first entry to the last exit during which any trade was open.

    Both in one unit; an open trade's `closed_at` is now. None where no time passed.
    """
    order = np.argsort(np.asarray(opened_at))
    opened, closed = np.asarray(opened_at)[order], np.maximum.accumulate(np.asarray(closed_at)[order])
    if not len(order) or closed[-1] <= opened[0]:
        return None
    idle = np.maximum(opened[1:] - closed[:-1], 0).sum()
    return 1.0 - float(idle) / float(closed[-1] - opened[0])


def _series(values: Numbers) -> Floats:
    return np.asarray(values, dtype=np.float64)


def _varies(series: Floats) -> bool:
    return bool(len(series) > 1 and series.max() > series.min())


def _declines(returns: Numbers) -> Floats:
    """The drawdown at the close of each period."""
    growth = cumulative(returns)
    declines: Floats = (growth / np.maximum.accumulate(growth) - 1.0)[1:]
    return declines
