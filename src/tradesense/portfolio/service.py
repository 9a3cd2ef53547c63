"""What is asked of the portfolio: how it stands, and which positions are open."""

from collections.abc import Sequence
from datetime import date, datetime
from operator import attrgetter
from typing import Any, Final

from tradesense.analytics.service.answers import summarised
from tradesense.analytics.service.asking import Analytics
from tradesense.analytics.service.studies import Question, Study
from tradesense.db.engine import Database
from tradesense.domain.days import Day, View, on_day
from tradesense.domain.money import ZERO
from tradesense.domain.summary import Summary
from tradesense.http.authentication import Principal, UserId
from tradesense.http.paging import After
from tradesense.portfolio import repository
from tradesense.portfolio.repository import Position, PositionFilter

Json = dict[str, Any]

KEYS: Final = (
    "net_pnl",
    "gross_pnl",
    "costs",
    "open_costs",
    "equity",
    "trades",
    "win_rate",
    "profit_factor",
    "max_drawdown",
    "max_drawdown_money",
)
"""The figures of a summary that the portfolio shows."""

_MONEY: Final = ("net_pnl", "gross_pnl", "costs")


class Portfolio:
    """How a user's accounts stand."""

    def __init__(self, database: Database, analytics: Analytics) -> None:
        self._database = database
        self._analytics = analytics

    async def summary(self, user: Principal, question: Question) -> Json:
        """The portfolio at a glance. Where there is nothing to tell a currency by, it is the user's own."""
        return await self._analytics.ask(user, question, lambda found: glance(found, user.currency))

    async def positions(
        self, user: UserId, wanted: PositionFilter, limit: int, after: After[datetime] | None
    ) -> list[Position]:
        """A part of the list of open positions, the latest first."""
        async with self._database.read() as connection:
            return await repository.list_positions(connection, user, wanted, limit, after)


def glance(study: Study, currency: str) -> Json:
    """The portfolio at a glance; work for a thread. `currency` is the user's."""
    summary = summarised(study)
    today = study.now.astimezone(study.view.zone).date()
    parts = study.ledger.by_currency()
    days = {name: on_day(View(parts.get(name, study.ledger), study.view.zone), today) for name in summary.by_currency}
    return {
        "currency": study.currency if study.currency or study.is_mixed else currency,
        "currencies": study.ledger.currencies,
        **_figures(summary),
        "today": _together(today, [*days.values()]),
        "by_currency": {
            name: {"currency": name, **_figures(part), "today": days[name].as_json()}
            for name, part in summary.by_currency.items()
        },
        "as_of": study.now,
        "version": study.version,
    }


def _figures(summary: Summary) -> Json:
    flat = summary.flat()
    reasons = {key: why for key, why in flat["reasons"].items() if key in KEYS}
    return {**{key: flat[key] for key in KEYS}, "open_positions": flat["open_trades"], "reasons": reasons}


def _together(today: date, days: Sequence[Day]) -> Json:
    """One day of all currencies: what is counted is added up, money is not."""
    if len(days) == 1:
        return days[0].as_json()
    trades, wins, losses = (sum(map(attrgetter(name), days)) for name in ("trades", "wins", "losses"))
    counted = Day(today, ZERO, ZERO, ZERO, trades, wins, losses).as_json()
    return counted | dict.fromkeys(_MONEY) if days else counted
