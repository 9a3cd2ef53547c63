"""Revolut's exports: stocks (`Date,Ticker,Type,…`), and coins (`Symbol,Type,Quantity,Price,Value,Fees,Date`).

Layouts documented by dickwolff/Export-To-Ghostfolio (its samples) and other public importers, none of them seen here.
There is no id.

Stocks: the total has small charges in it that no column names; where it differs from quantity × price by more than
their rounding explains, the difference is the cost. A split states the units that it added, so that its ratio needs the
units held before: they are summed up over the file, and where they are missing, the units come in at price 0. A
transfer between Revolut's companies moves nothing, unless the file begins with it. The exchange rate is to a currency
that the file does not name, and is not used.
"""

from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal
from types import MappingProxyType
from typing import Final, NamedTuple

from tradesense.brokers.amounts import (
    NO_AMOUNT,
    booked_cost,
    disagreement,
    find_loose,
    kinds,
    loose_amount,
    loose_number,
    rounding_of,
    signed,
    why_moved,
)
from tradesense.brokers.contract import CashKind, DateOrder, Ignored, Imported, Outcome
from tradesense.brokers.fills import cash, fill
from tradesense.brokers.formats import Context, TableFormat
from tradesense.brokers.statements import Reader, StatementFormat
from tradesense.brokers.tables import Layout, Row, RowError, Table, number, text, time
from tradesense.domain.executions import ExecutionKind, Side
from tradesense.domain.instruments import AssetClass, Instrument
from tradesense.domain.money import ZERO, average, exact

_NOT_HELD: Final = "the file does not have the units that it rests on: they come in at price 0"
_SYMBOLS: Final = MappingProxyType({"€": "EUR", "$": "USD", "£": "GBP", "zł": "PLN", "kr": "SEK", "¥": "JPY"})
_KINDS: Final = kinds(
    (CashKind.TAX, "tax"),
    (CashKind.DIVIDEND, "dividend"),
    (CashKind.INTEREST, "interest"),
    (CashKind.FEE, "fee"),
    (CashKind.CONVERSION, "fx buy|fx sell|conversion"),
    (CashKind.DEPOSIT, "top-up|withdrawal|deposit"),
)


class Stocks(StatementFormat):
    """One row per event of a trading account, the oldest first."""

    broker = "revolut"
    name = "stocks"
    layout = Layout(
        time("at", "Date", order=DateOrder.YEAR_FIRST),
        text("ticker", "Ticker"),
        text("type", "Type"),
        number("quantity", "Quantity"),
        number("price", "Price per share"),
        number("total", "Total Amount"),
        text("currency", "Currency"),
    )
    telling = ("Ticker", "Price per share", "Total Amount", "FX Rate")

    def reader(self, table: Table, context: Context) -> Reader:
        """Rows read beside the units that were held before them."""
        return _Stocks(table, context).outcome


class _Moved(NamedTuple):
    """A row that changes a position, in the order of time."""

    order: tuple[object, int]
    ticker: str
    kind: str
    quantity: Decimal


class _Stocks:
    def __init__(self, table: Table, context: Context) -> None:
        self._context = context
        self._before: dict[int, Decimal] = {}
        held: dict[str, Decimal] = {}
        with exact():
            for moved in sorted(_moves(table)):
                before = held.get(moved.ticker, ZERO)
                self._before[moved.order[1]] = before
                held[moved.ticker] = _after(before, moved)

    def outcome(self, row: Row) -> Outcome:
        """What a row became."""
        kind = _kind(row)
        if not row.has("ticker") or kind.startswith("DIVIDEND"):
            return _money(row)
        if kind.startswith(("BUY", "SELL")):
            return self._trade(row, Side.BUY if kind.startswith("BUY") else Side.SELL)
        if kind == "STOCK SPLIT":
            return self._split(row)
        if kind.startswith("TRANSFER FROM"):
            return self._transfer(row)
        if kind in ("POSITION CLOSURE", "MERGER - CASH"):
            return self._closure(row)
        if kind in ("MERGER - STOCK", "SPINOFF", "REWARD", "STOCK REWARD"):
            return self._moved(row, loose_number(row, "quantity"), loose_amount(row, "price"))
        raise row.error("type", f"{row.text('type')!r} is no type of event that is known")

    def _instrument(self, row: Row) -> Instrument:
        return self._context.instruments.stock(row.required("ticker"), row.required("currency"))

    def _trade(self, row: Row, side: Side) -> Imported:
        quantity, total = loose_number(row, "quantity"), abs(loose_number(row, "total"))
        price = loose_number(row, "price")
        cost = booked_cost(side, quantity, price, total)
        commission = cost if cost > rounding_of(quantity, price, total) else ZERO
        told = _kind(row)
        execution = fill(
            self._instrument(row), side, quantity, price, row.moment("at"), commission=commission, told=told
        )
        return Imported(row.line, (execution,))

    def _split(self, row: Row) -> Imported:
        added, before = loose_number(row, "quantity"), self._before.get(row.line, ZERO)
        with exact():
            after = before + added
        if before <= 0 or after <= 0:
            return self._moved(row, added, ZERO)._replace(warning=_NOT_HELD)
        split = ExecutionKind.SPLIT
        execution = fill(self._instrument(row), Side.BUY, after, before, row.moment("at"), kind=split)
        return Imported(row.line, (execution,))

    def _transfer(self, row: Row) -> Outcome:
        with exact():
            missing = loose_number(row, "quantity") - self._before.get(row.line, ZERO)
        if missing <= 0:
            return Ignored(row.line, "transfer between the broker's companies")
        return self._moved(row, missing, ZERO)._replace(warning=_NOT_HELD)

    def _closure(self, row: Row) -> Outcome:
        """A security that is gone: what was held goes for the cash that it left."""
        quantity = abs(find_loose(row, "quantity") or self._before.get(row.line, ZERO))
        if not quantity:
            return _money(row)
        price = average(abs(loose_amount(row, "total")), quantity)
        execution = fill(self._instrument(row), Side.SELL, quantity, price, row.moment("at"), told=_kind(row))
        return Imported(row.line, (execution,))

    def _moved(self, row: Row, quantity: Decimal, price: Decimal) -> Imported:
        side = Side.BUY if quantity > 0 else Side.SELL
        execution = fill(
            self._instrument(row),
            side,
            abs(quantity),
            price if side is Side.BUY else ZERO,
            row.moment("at"),
            kind=ExecutionKind.TRANSFER,
            told=_kind(row),
        )
        return Imported(row.line, (execution,))


def _kind(row: Row) -> str:
    return " ".join(row.required("type").upper().split())


def _moves(table: Table) -> Iterator[_Moved]:
    for row in table.rows():
        with suppress(RowError):
            kind, quantity = _kind(row), find_loose(row, "quantity") or ZERO
            if row.has("ticker") and (quantity or kind == "POSITION CLOSURE"):
                yield _Moved((row.moment("at").at, row.line), row.text("ticker"), kind, quantity)


def _after(before: Decimal, moved: _Moved) -> Decimal:
    if moved.kind.startswith("SELL"):
        return before - abs(moved.quantity)
    if moved.kind in ("POSITION CLOSURE", "MERGER - CASH"):
        return ZERO
    return max(before, moved.quantity) if moved.kind.startswith("TRANSFER FROM") else before + moved.quantity


def _money(row: Row) -> Outcome:
    amount, words = loose_amount(row, "total"), _kind(row)
    if not amount:
        return Ignored(row.line, NO_AMOUNT)
    kind = signed(why_moved(words, _KINDS), amount)
    description = f"{words} {row.text('ticker')}".strip()
    return cash(row, kind, amount, row.required("currency"), row.moment("at"), description=description)


class Crypto(TableFormat):
    """One row per event of a wallet of coins. A reward without a price comes in at 0."""

    broker = "revolut"
    name = "crypto"
    layout = Layout(
        text("symbol", "Symbol"),
        text("type", "Type"),
        number("quantity", "Quantity"),
        number("price", "Price"),
        number("value", "Value"),
        number("fees", "Fees"),
        time("at", "Date", order=DateOrder.MONTH_FIRST),
    )
    telling = ("Symbol", "Type", "Value", "Fees")

    def outcome(self, row: Row, context: Context) -> Outcome:
        """One fill, or a coin that comes or goes otherwise."""
        kind = row.required("type").lower()
        if kind in ("stake", "unstake"):
            return Ignored(row.line, "internal transfer")
        trades = kind in ("buy", "sell")
        leaves = kind in ("sell", "send", "payment")
        if not trades and not leaves and kind != "receive" and "reward" not in kind:
            raise row.error("type", f"{row.text('type')!r} is no type of event that is known")
        price, quantity = loose_amount(row, "price"), abs(loose_number(row, "quantity"))
        side = Side.SELL if leaves else Side.BUY
        doubt = disagreement(side, quantity, price, ZERO, loose_amount(row, "value"))
        execution = fill(
            context.instruments.plain(AssetClass.CRYPTO, row.required("symbol"), _currency(row, context)),
            side,
            quantity,
            price if trades or not leaves else ZERO,
            row.moment("at"),
            commission=loose_amount(row, "fees") if trades else ZERO,
            kind=ExecutionKind.TRADE if trades else ExecutionKind.TRANSFER,
        )
        return Imported(row.line, (execution,), doubt)


def _currency(row: Row, context: Context) -> str:
    """The currency in which a price is written, by its code or its sign."""
    written = "".join(char for char in row.text("price") if not char.isdigit() and char not in "., \u00a0-")
    return _SYMBOLS.get(written, written) or context.instruments.currency
