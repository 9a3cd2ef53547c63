"""The summary of a ledger: every key of `metrics`, each a value or the reason why there is none."""

from collections import ChainMap
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import numpy as np

from tradesense.domain import money, statistics
from tradesense.domain.columns import ExactColumn, Ints
from tradesense.domain.days import View
from tradesense.domain.equity import Capital, Drawdown, Returns, curve, daily_returns
from tradesense.domain.ledger import Ledger
from tradesense.domain.local_time import SECOND, microseconds
from tradesense.domain.metrics import (
    FLAT,
    METRICS,
    MIXED_CURRENCIES,
    MONETARY,
    NO_BALANCE,
    NO_CLOSED_TRADES,
    NOTHING_REALISED,
    Metric,
)
from tradesense.domain.money import exact
from tradesense.domain.packing import OPEN
from tradesense.domain.risk import r_multiples
from tradesense.domain.trades import TradeId

Value = Decimal | float | int | date | None


class Terms(NamedTuple):
    """What a summary takes beside the trades: capital by currency, initial risk by trade, the risk-free annual rate.

    Where there is no trade, the only capital counts; it may then stand under the empty name.
    """

    capital: Mapping[str, Capital] = MappingProxyType({})
    initial_risk: Mapping[TradeId, Decimal] = MappingProxyType({})
    risk_free: float = 0.0


@dataclass(frozen=True, slots=True)
class Summary:
    """Values by the keys of `metrics`: `Decimal` for money, else a number or a day; None for the reason in `reasons`.

    `currency` is None where there are several, or neither a trade nor a capital that tells. `by_currency` has a
    summary for each.
    """

    currency: str | None
    values: Mapping[str, Value]
    reasons: Mapping[str, str]
    by_currency: Mapping[str, "Summary"]

    def __getitem__(self, key: str) -> Value:
        return self.values[key]

    def as_json(self) -> dict[str, Any]:
        """The summary as the API, reports and exports carry it, with `reasons`, `conventions` and `by_currency`."""
        return {
            **self.flat(),
            "conventions": {metric.key: metric.convention for metric in METRICS},
            "by_currency": {currency: summary.flat() for currency, summary in self.by_currency.items()},
        }

    def flat(self) -> dict[str, Any]:
        """The currency, every key and `reasons`, as JSON has them: money and days as strings."""
        values = {metric.key: _plain(self.values[metric.key]) for metric in METRICS}
        return {"currency": self.currency, **values, "reasons": dict(self.reasons)}


def summarise(view: View, *, now: datetime, terms: Terms | None = None) -> Summary:
    """The summary of a ledger as seen from its view's zone. `now` ends what is still open.

    Currencies are never added up: where there are several, what needs a single one is null, and `by_currency` has it.
    Amounts are not converted; a trade carries no exchange rate.
    """
    terms = terms or Terms()
    ledger = view.ledger
    values, reasons = _neutral(ledger, microseconds(now), terms)
    if len(ledger.currencies) > 1:
        parts = {
            name: summarise(View(part, view.zone), now=now, terms=terms) for name, part in ledger.by_currency().items()
        }
        mixed = dict.fromkeys((metric.key for metric in MONETARY), MIXED_CURRENCIES)
        return Summary(None, values | dict.fromkeys(mixed), reasons | mixed, parts)
    only = next(iter(terms.capital)) if len(terms.capital) == 1 else ""
    currency = ledger.currency or only or None
    capital = terms.capital.get(currency or "")
    values, reasons = _merged(
        (values, reasons),
        _totals(ledger, capital),
        _results(ledger),
        _days(view),
        _performance(view, capital, terms.risk_free),
    )
    summary = Summary(currency, values, reasons, {})
    return Summary(currency, values, reasons, {currency: summary} if currency else {})


Part = tuple[dict[str, Value], dict[str, str]]

_METRIC: Final[Mapping[str, Metric]] = MappingProxyType({metric.key: metric for metric in METRICS})


def _part(values: dict[str, Value], why: str | None = None) -> Part:
    """The values with a reason for each that is missing: `why` where one holds for all, else the metric's own."""
    return values, {key: why or _METRIC[key].undefined for key, value in values.items() if value is None}


def _neutral(ledger: Ledger, now: int, terms: Terms) -> Part:
    closed = ledger.closed
    result = ledger.closed_result
    closed_at = ledger.closed_at[closed]
    holding = (closed_at - ledger.opened_at[closed]) / SECOND
    multiples = r_multiples(ledger, terms.initial_risk)[closed]
    in_order = np.sort(closed_at * 4 + (result + 1)) % 4 - 1  # losses first among those that closed at one instant
    runs = statistics.streaks(in_order)
    values: dict[str, Value] = {
        "trades": int(np.count_nonzero(ledger.counted)),
        "closed_trades": len(closed),
        "open_trades": len(ledger.open),
        "wins": int(np.count_nonzero(result > 0)),
        "losses": int(np.count_nonzero(result < 0)),
        "breakevens": int(np.count_nonzero(result == 0)),
        "win_rate": statistics.win_rate(result),
        "expectancy_r": statistics.expectancy(multiples[~np.isnan(multiples)]),
        "max_win_streak": runs.wins,
        "max_loss_streak": runs.losses,
        "current_streak": runs.current,
        "average_holding_s": statistics.expectancy(holding),
        "average_holding_wins_s": statistics.expectancy(holding[result > 0]),
        "average_holding_losses_s": statistics.expectancy(holding[result < 0]),
    }
    return _merged(
        _part(values, None if len(closed) else NO_CLOSED_TRADES),
        _part({"exposure": _exposure(ledger, now)}),
    )


def _exposure(ledger: Ledger, now: int) -> float | None:
    opened_at = ledger.opened_at[ledger.counted]
    closed_at = ledger.closed_at[ledger.counted]
    return statistics.exposure(opened_at, np.where(closed_at == OPEN, np.maximum(now, opened_at), closed_at))


def _totals(ledger: Ledger, capital: Capital | None) -> Part:
    gross, costs = ledger.realised.gross.sum(), ledger.realised.costs.sum()
    with exact():
        net = gross - costs
        equity = None if capital is None else sum(capital.flows.values(), capital.starting) + net
    values: dict[str, Value] = {
        "net_pnl": net,
        "gross_pnl": gross,
        "costs": costs,
        "open_costs": ledger.open_costs.take(ledger.open).sum(),
        "starting_balance": None if capital is None else capital.starting,
        "equity": equity,
    }
    return _part(values, NO_BALANCE)


def _results(ledger: Ledger) -> Part:
    net, result, floats = ledger.closed_net, ledger.closed_result, ledger.closed_floats
    wins, losses = net.take(result > 0), net.take(result < 0)
    won, lost = wins.sum(), losses.sum()
    values: dict[str, Value] = {
        "profit_factor": float(won) / -float(lost) if lost else None,
        "expectancy": _mean(net),
        "payoff_ratio": statistics.payoff_ratio(floats),
        "sqn": statistics.sqn(floats),
        "kelly": statistics.kelly(floats),
        "average_win": _mean(wins),
        "average_loss": _mean(losses),
        "largest_win": wins.largest() if len(wins) else None,
        "largest_loss": losses.smallest() if len(losses) else None,
        "cost_share": _cost_share(ledger, ledger.closed),
    }
    return _part(values, None if len(net) else NO_CLOSED_TRADES)


def _mean(column: ExactColumn) -> Decimal | None:
    return money.average(column.sum(), Decimal(len(column))) if len(column) else None


def _cost_share(ledger: Ledger, closed: Ints) -> float | None:
    gross = ledger.gross.take(closed)
    won = float(gross.take(gross.signs() > 0).sum())
    return float(ledger.costs.take(closed).sum()) / won if won else None


def _days(view: View) -> Part:
    daily = view.daily
    net = daily.net.take(daily.active)
    signs = net.signs()
    values: dict[str, Value] = {
        "trading_days": len(net),
        "winning_days": int(np.count_nonzero(signs > 0)),
        "losing_days": int(np.count_nonzero(signs < 0)),
        "best_day": net.largest() if len(net) else None,
        "worst_day": net.smallest() if len(net) else None,
        "consistency": statistics.consistency(net.floats()),
    }
    return _part(values, None if len(net) else NOTHING_REALISED)


def _performance(view: View, capital: Capital | None, risk_free: float) -> Part:
    path = curve(view, capital)
    fall = path.drawdown_money()
    return _merged(
        _span("max_drawdown", path.drawdown(), path.why),
        _span("max_drawdown_money", fall, NOTHING_REALISED),
        _part(_recovery(view, fall), None if fall else NOTHING_REALISED),
        _ratios(daily_returns(view.daily, capital), risk_free),
    )


def _span(key: str, drawdown: Drawdown | None, why: str | None) -> Part:
    keys = (key, f"{key}_start", f"{key}_trough", f"{key}_recovery")
    if drawdown is None:
        return _part(dict.fromkeys(keys), why)
    return _part(dict(zip(keys, drawdown, strict=True)), None if drawdown.trough else FLAT)


def _recovery(view: View, fall: Drawdown | None) -> dict[str, Value]:
    net = float(view.daily.net.sum())
    return {"recovery_factor": statistics.recovery_factor(net, float(fall.depth)) if fall else None}


def _ratios(found: Returns | str, risk_free: float) -> Part:
    why = found if isinstance(found, str) else None
    returns = np.zeros(0) if isinstance(found, str) else found.values
    year = None if isinstance(found, str) else found.periods
    periods = year or statistics.TRADING_DAYS
    values, reasons = _part(
        {
            "annualisation": year,
            "cagr": statistics.cagr(returns, periods),
            "volatility": statistics.volatility(returns, periods),
            "sharpe": statistics.sharpe(returns, (1.0 + risk_free) ** (1.0 / periods) - 1.0, periods),
            "sortino": statistics.sortino(returns, periods=periods),
            "calmar": statistics.calmar(returns, periods),
            "ulcer_index": statistics.ulcer_index(returns),
            "var_95": statistics.var(returns),
            "cvar_95": statistics.cvar(returns),
            "tail_ratio": statistics.tail_ratio(returns),
        },
        why,
    )
    return values, reasons | ({"calmar": reasons["cagr"]} if "cagr" in reasons else {})


def _merged(*parts: Part) -> Part:
    values, reasons = zip(*parts, strict=True)
    return dict(ChainMap(*values)), dict(ChainMap(*reasons))


def _plain(value: Value) -> Any:  # noqa: ANN401 - what JSON has
    if isinstance(value, Decimal):
        return money.text(value)
    return value.isoformat() if isinstance(value, date) else value
