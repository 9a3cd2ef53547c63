"""Freetrade's activity feed: orders with stamp duty and exchange fee, dividends, interest, payments.

Layout documented by dickwolff/Export-To-Ghostfolio (its sample), investir and cgt-calc, and not seen here; the current
export says `Total Amount in Account Currency` and adds the columns of splits. An order is one row, and its id is the
order's, so fills have no id of their own.

A price is in the instrument's currency. The base rate is units of that currency for one of the account's: stamp duty
and exchange fee, which are in the account's currency, join the trade by it. Free shares come in at price 0; a split
makes of the units held before the units after, which its rate states (`from`, `to`).
"""

from decimal import Decimal
from types import MappingProxyType
from typing import Final

from tradesense.brokers.amounts import (
    NO_AMOUNT,
    disagreement,
    find_loose,
    in_major_units,
    loose_amount,
    loose_number,
    paid_apart,
    product,
    reciprocal,
)
from tradesense.brokers.contract import CashKind, DateOrder, Ignored, Imported, Outcome
from tradesense.brokers.fills import cash, fill, side_of
from tradesense.brokers.formats import Context
from tradesense.brokers.statements import Reader, StatementFormat
from tradesense.brokers.tables import Layout, Row, RowError, Table, number, text, time
from tradesense.domain.executions import ExecutionKind, Side
from tradesense.domain.instruments import Instrument
from tradesense.domain.money import ZERO

_DOCUMENTS: Final = ("MONTHLY_STATEMENT", "MONTHLY_SHARE_LENDING_STATEMENT", "TAX_CERTIFICATE")
_KINDS: Final = MappingProxyType(
    {
        "DIVIDEND": CashKind.DIVIDEND,
        "SPECIAL_DIVIDEND": CashKind.DIVIDEND,
        "INTEREST_FROM_CASH": CashKind.INTEREST,
        "TOP_UP": CashKind.DEPOSIT,
        "WITHDRAWAL": CashKind.WITHDRAWAL,
    }
)


class Activity(StatementFormat):
    """One row per event, the newest first."""

    broker = "freetrade"
    name = "activity"
    newest_first = True
    layout = Layout(
        text("title", "Title"),
        text("type", "Type"),
        time("at", "Timestamp", order=DateOrder.YEAR_FIRST),
        text("home", "Account Currency"),
        number("total", "Total Amount", "Total Amount in Account Currency"),
        text("side", "Buy / Sell"),
        text("ticker", "Ticker"),
        text("isin", "ISIN"),
        number("home_price", "Price per Share in Account Currency", optional=True),
        number("duty", "Stamp Duty", optional=True),
        number("quantity", "Quantity"),
        text("order", "Order ID", optional=True),
        text("currency", "Instrument Currency", optional=True),
        number("price", "Price per Share", optional=True),
        number("rate", "Base FX Rate", optional=True),
        number("exchange_fee", "FX Fee Amount", optional=True),
        number("split_from", "Stock Split Rate of Share Outturn From", optional=True),
        number("split_to", "Stock Split Rate of Share Outturn To", optional=True),
    )
    telling = ("Account Currency", "Buy / Sell", "Stamp Duty", "Instrument Currency")

    def reader(self, table: Table, context: Context) -> Reader:
        """Rows read with the tickers that other rows give for an ISIN: free shares have none of their own."""
        tickers = {row.text("isin"): row.text("ticker") for row in table.rows() if _names(row)}
        return _Activity(tickers, context).outcome


class _Activity:
    def __init__(self, tickers: dict[str, str], context: Context) -> None:
        self._tickers = tickers
        self._context = context

    def outcome(self, row: Row) -> Outcome:
        """What a row became."""
        kind = row.required("type").upper()
        if kind in _DOCUMENTS:
            return Ignored(row.line, "document")
        if kind == "ORDER":
            return self._order(row)
        if kind == "FREESHARE_ORDER":
            return self._moved(row, loose_number(row, "quantity"), ZERO, ExecutionKind.TRANSFER)
        if kind == "STOCK_SPLIT":
            if not row.has("split_from") or not row.has("split_to"):
                raise row.error("type", "a split without its rate: add it by hand, and leave this row out")
            rate = loose_number(row, "split_to"), loose_number(row, "split_from")
            return self._moved(row, *rate, ExecutionKind.SPLIT)
        if row.has("side"):
            raise row.error("type", f"{row.text('type')!r} is no type of event that is known")
        return _money(row, kind)

    def _instrument(self, row: Row, currency: str) -> Instrument:
        isin = row.text("isin")
        ticker = row.text("ticker") or self._tickers.get(isin) or isin
        if not ticker:
            raise row.error("ticker", "the ticker is missing")
        return self._context.instruments.stock(ticker, currency, isin)

    def _order(self, row: Row) -> Imported:
        home, moment = row.required("home").upper(), row.moment("at")
        price, currency = in_major_units(*self._price(row, home))
        rate = loose_amount(row, "rate") if currency != home else None
        duty, exchange_fee = loose_amount(row, "duty"), loose_amount(row, "exchange_fee")
        side, quantity, total = side_of(row, "side"), loose_number(row, "quantity"), loose_number(row, "total")
        doubt = disagreement(side, quantity, price, duty + exchange_fee, total) if currency == home else None
        execution = fill(
            self._instrument(row, currency),
            side,
            quantity,
            price,
            moment,
            commission=_joined(exchange_fee, rate),
            fees=_joined(duty, rate),
            fx_to_account=reciprocal(rate),
            told=row.text("order"),
        )
        outcome = Imported(row.line, (execution,), doubt)
        return paid_apart(outcome, row, duty + exchange_fee, home, moment) if rate == ZERO else outcome

    def _price(self, row: Row, home: str) -> tuple[Decimal, str]:
        """The price in the instrument's currency, else in the account's."""
        if row.has("price"):
            return loose_number(row, "price"), row.text("currency") or home
        price = find_loose(row, "home_price")
        if price is None:
            raise row.error("price", "the price is missing")
        return price, home

    def _moved(self, row: Row, quantity: Decimal, price: Decimal, kind: ExecutionKind) -> Imported:
        """Units that come without being bought, or a split."""
        currency = in_major_units(ZERO, row.text("currency") or row.required("home"))[1]
        instrument = self._instrument(row, currency)
        return Imported(row.line, (fill(instrument, Side.BUY, quantity, price, row.moment("at"), kind=kind),))


def _names(row: Row) -> bool:
    try:
        return row.has("isin") and row.has("ticker")
    except RowError:
        return False


def _joined(cost: Decimal, rate: Decimal | None) -> Decimal:
    """A cost of the account's currency in the price's: as it is without a rate, nothing with an unknown one."""
    return cost if rate is None else product(cost, rate)


def _money(row: Row, kind: str) -> Outcome:
    amount = loose_amount(row, "total")
    if not amount:
        return Ignored(row.line, NO_AMOUNT)
    why, title = _KINDS.get(kind, CashKind.OTHER), row.text("title")
    if kind == "INTERNAL_TRANSFER":
        why = CashKind.WITHDRAWAL if " to " in title.lower() else CashKind.DEPOSIT
    amount = -abs(amount) if why is CashKind.WITHDRAWAL else amount
    return cash(row, why, amount, row.required("home").upper(), row.moment("at"), description=f"{kind} {title}")
