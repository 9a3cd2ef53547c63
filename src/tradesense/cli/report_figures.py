"""The trades and figures of a report: all books matched, and seen currency by currency."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from tradesense.cli.books import Book, Books
from tradesense.cli.trade_rows import trade_rows
from tradesense.domain import ledger as ledgers
from tradesense.domain.days import View, calendar
from tradesense.domain.equity import Capital, curve
from tradesense.domain.ledger import Ledger
from tradesense.domain.matching import Method, Unmatched
from tradesense.domain.money import text
from tradesense.domain.packing import pack
from tradesense.domain.summary import Terms, summarise
from tradesense.domain.trades import Trade


class Charts(NamedTuple):
    """What is drawn for one currency: equity (or cumulative net P&L) on day closes, and each day's net P&L."""

    title: str
    curve: list[tuple[date, Decimal]]
    days: dict[date, Decimal]


@dataclass(slots=True)
class Figures:
    """Trades, statistics and charts, under the keys of the API."""

    trades: list[dict[str, Any]]
    statistics: dict[str, Any]
    by_currency: dict[str, dict[str, Any]]
    charts: dict[str, Charts]
    warnings: list[str]
    zone: ZoneInfo


class UnclearBalance(ValueError):
    """A starting balance without a currency, where there are several."""


def figures(books: Books, method: Method, zone: ZoneInfo, balances: Mapping[str, Decimal], now: datetime) -> Figures:
    """Match all books and work everything out, days and hours in `zone`.

    `balances` has starting balances by currency; under the empty name that of the only currency there is. Raises
    `UnclearBalance` where there are several, and `NotExact`.
    """
    matched: list[tuple[Book, list[Trade]]] = []
    warnings: list[str] = []
    for book in books:
        trades, excesses = book.trades(method)
        matched.append((book, trades))
        books.comparison.compare(book.instrument.symbol, trades)
        warnings += [_excess(book, excess) for excess in excesses]
    ledger = ledgers.join((_description(book), [pack(trades)]) for book, trades in matched)
    capital = _capital(books, zone, balances)
    statistics = summarise(View(ledger, zone), now=now, terms=Terms(capital)).as_json()
    parts = statistics.pop("by_currency")
    nothing = View(ledgers.join(()), zone)

    def of_currency(name: str) -> dict[str, Any]:
        if name in parts:
            return dict(parts[name])
        terms = Terms({name: capital[name]} if name in capital else {})
        return summarise(nothing, now=now, terms=terms).flat() | {"currency": name}

    return Figures(
        trades=trade_rows((book, trade) for book, trades in matched for trade in trades),
        by_currency={
            name: {**of_currency(name), "cash": text(money.cash), "costs_paid": text(money.costs)}
            for name, money in sorted(books.money().items())
        },
        statistics=statistics,
        charts={name: _charts(part, zone, capital.get(name)) for name, part in ledger.by_currency().items()},
        warnings=warnings + books.comparison.warnings,
        zone=zone,
    )


def _description(book: Book) -> ledgers.Book:
    instrument = book.instrument
    underlying = instrument.underlying or instrument.root
    return ledgers.Book(book.account, instrument.symbol, underlying, instrument.asset_class, instrument.currency)


def _excess(book: Book, excess: Unmatched) -> str:
    return (
        f"{book.instrument.symbol}: {excess.kind} of {text(excess.quantity)} on {excess.at:%Y-%m-%d} "
        "found no open position; an earlier part of the history is missing"
    )


def _capital(books: Books, zone: ZoneInfo, balances: Mapping[str, Decimal]) -> dict[str, Capital]:
    """Starting balances with what was deposited and withdrawn."""
    currencies = sorted({book.instrument.currency for book in books})
    named = dict(balances)
    if (only := named.pop("", None)) is not None:
        if len(currencies) > 1:
            raise UnclearBalance(f"there are several currencies: {', '.join(currencies)}")
        named |= dict.fromkeys(currencies, only)
    return {currency: Capital(balance, books.flows(currency, zone)) for currency, balance in named.items()}


def _charts(ledger: Ledger, zone: ZoneInfo, capital: Capital | None) -> Charts:
    view = View(ledger, zone)
    path = curve(view, capital)
    title = "Equity" if path.equity is not None else "Cumulative net P&L"
    return Charts(
        title=title,
        curve=list(zip(path.days, path.equity or path.net, strict=True)),
        days={day.day: day.net for day in calendar(view)},
    )
