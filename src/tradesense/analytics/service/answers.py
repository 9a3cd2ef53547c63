"""Answers as the API carries them, with their conventions and the reasons for what is missing; work for a thread."""

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any, Final

from tradesense.analytics.service.studies import Study
from tradesense.domain import breakdowns, money
from tradesense.domain.breakdowns import breakdown
from tradesense.domain.days import calendar
from tradesense.domain.distribution import Distribution, distribution
from tradesense.domain.equity import curve
from tradesense.domain.groupings import By
from tradesense.domain.metrics import MIXED_CURRENCIES, NO_CLOSED_TRADES
from tradesense.domain.money import exact
from tradesense.domain.monte_carlo import Simulation, simulate
from tradesense.domain.monte_carlo import Terms as Simulated
from tradesense.domain.summary import Summary, Terms, summarise
from tradesense.domain.trades import TradeId

Json = dict[str, Any]
Texts = Mapping[str, str]

SAME_RESULTS: Final = "fewer than two different results"

_EQUITY: Final[Texts] = MappingProxyType(
    {
        "points": "closes of the days in my time zone on which equity changed; the first is the start, the day before",
        "net_pnl": "cumulative: Σ realised net P&L, partial exits of open trades included",
        "equity": "balance at the start + deposits less withdrawals + cumulative net P&L",
        "drawdown": "equity ÷ its running peak - 1, deposits and withdrawals taken out",
        "drawdown_money": "cumulative net P&L less its running peak",
    }
)
_CALENDAR: Final[Texts] = MappingProxyType(
    {
        "net_pnl": "Σ realised on the day of the exit in my time zone, partial exits of open trades included",
        "trades": "those that closed on the day",
        "win_rate": "wins ÷ trades; breakevens stay in the denominator",
    }
)
_DISTRIBUTION: Final[Texts] = MappingProxyType(
    {
        "bins": "net P&L of closed trades, from `from` up to below `to`; null is without an end",
        "percentiles": "linear between neighbours",
        "standard_deviation": "ddof 1",
        "skewness": "third standardised moment, population",
    }
)
_MONTE_CARLO: Final[Texts] = MappingProxyType(
    {
        "method": "bootstrap: paths of closed trades' net P&L drawn with replacement, each as likely as any other",
        "balance": "balance at the start + deposits less withdrawals",
        "max_drawdown": "deepest fall ÷ its peak - 1; p5 is the bad end",
        "loss_probability": "share of paths that end below 0",
        "ruin_probability": "share of paths that at any time have lost the share `ruin` of the balance",
    }
)


def summarised(study: Study, risk_free: float = 0.0) -> Summary:
    """The summary of the trades in question. `risk_free` is an annual rate."""
    terms = Terms(study.capital, study.labels.risks, risk_free)
    return summarise(study.view, now=study.now, terms=terms)


def summary(study: Study, risk_free: float) -> Json:
    """Every key of `domain.metrics`, for all and by currency."""
    return {**summarised(study, risk_free).as_json(), **_head(study)}


def equity(study: Study) -> Json:
    """Equity and drawdowns on day closes."""
    if study.is_mixed:
        return _answer(study, _EQUITY, {"points": MIXED_CURRENCIES}, points=[])
    found = curve(study.view, study.only_capital)
    reasons = {"equity": None if found.equity else found.why, "drawdown": found.why}
    return _answer(study, _EQUITY, reasons, points=[point.as_json() for point in found.points()])


def days(study: Study) -> Json:
    """What was realised on each day."""
    if study.is_mixed:
        return _answer(study, _CALENDAR, {"days": MIXED_CURRENCIES}, days=[])
    return _answer(study, _CALENDAR, {}, days=[day.as_json() for day in calendar(study.view)])


def broken_down(study: Study, by: By) -> Json:
    """Results by one property. A group's `name` is its key, of an account the account's."""
    if study.is_mixed:
        return _answer(study, breakdowns.CONVENTIONS, {"groups": MIXED_CURRENCIES}, by=by, groups=[])
    found = breakdown(study.view, by, labels=_labels(study, by), initial_risk=study.labels.risks)
    names = {str(account.id): account.name for account in study.accounts}
    groups = [{**group.as_json(), "name": names.get(group.key or "", group.key)} for group in found]
    return _answer(study, breakdowns.CONVENTIONS, {}, by=by, groups=groups)


def distributed(study: Study) -> Json:
    """The histogram of results, and what describes it."""
    if study.is_mixed:
        found, why = Distribution([], {}, None, None, None), MIXED_CURRENCIES
    else:
        found, why = distribution(study.ledger), SAME_RESULTS if len(study.ledger.closed) else NO_CLOSED_TRADES
    content = found.as_json()
    return _answer(study, _DISTRIBUTION, _missing(content, why), **content)


def simulated(study: Study, terms: Simulated) -> Json:
    """What the trades could have become."""
    capital = study.only_capital
    with exact():
        balance = None if capital is None else sum(capital.flows.values(), capital.starting)
    if study.is_mixed:
        found = Simulation(terms.paths, 0, {}, {}, None, [], None, None, MIXED_CURRENCIES)
    else:
        found = simulate(study.ledger, balance, terms)
    content = found.as_json()
    reasons = _missing(content, content.pop("reason"))
    shown = None if balance is None else money.text(balance)
    return _answer(study, _MONTE_CARLO, reasons, **content, ruin=terms.ruin, seed=terms.seed, balance=shown)


def _labels(study: Study, by: By) -> Mapping[TradeId, Collection[str]]:
    if by is By.TAG:
        return study.labels.tags
    if by is By.MISTAKE:
        return study.labels.mistakes
    return {trade: (playbook,) for trade, playbook in study.labels.playbooks.items()}


def _head(study: Study) -> Json:
    return {"currency": study.currency, "currencies": study.ledger.currencies, "version": study.version}


def _answer(study: Study, conventions: Texts, reasons: Mapping[str, str | None], **content: Any) -> Json:  # noqa: ANN401
    given = {key: why for key, why in reasons.items() if why is not None}
    return {**_head(study), **content, "reasons": given, "conventions": {**conventions}}


def _missing(content: Json, why: str | None) -> dict[str, str | None]:
    """The reason for each member that is null, or a list or object that is empty."""
    return {key: why for key, value in content.items() if value is None or value in ([], {})}
