"""Charles Schwab, transactions as CSV: newest first, with a date alone, as the sample has them.

Options (`AAPL 01/19/2024 150.00 C`), their expiry and assignment, shorts and cancelled trades are read as public
importers' fixtures have them; of these no real file has been seen here.

- `07/15/2024 as of 07/12/2024` counts on the second day, when it took effect.
- A reinvested dividend is cash, and the shares bought with it (`Reinvest Shares`) are a purchase.
- A split's row gives the shares added; the ratio comes from those that the file shows as held. Of a reverse split the
  file has the new shares and, under a CUSIP, the old ones.
- Shares that came for none (spin-off, stock dividend) come in at a cost of 0, for the whole cost stays with the
  parent. Shares journaled in come at the day's price, with a warning: the file has no other cost.
- Mergers, conversions and changes of name are ignored: their rows name the former shares by a CUSIP alone.
- Expiries and assignments: the sign of the quantity is the change of the position.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal
from typing import Final

from tradesense.brokers.amounts import NO_AMOUNT, kinds, signed, why_moved
from tradesense.brokers.cancellations import Cancellations, Entry
from tradesense.brokers.cash_costs import cash_cost
from tradesense.brokers.contract import CashKind, DateOrder, Ignored, Imported, Outcome
from tradesense.brokers.fills import cash, fill, sign_of
from tradesense.brokers.formats import Context
from tradesense.brokers.numbers import NumberStyle
from tradesense.brokers.option_texts import read_option
from tradesense.brokers.share_counts import ShareCounts
from tradesense.brokers.statements import Reader, StatementFormat
from tradesense.brokers.tables import Layout, Row, RowError, Table, number, text, time
from tradesense.brokers.times import Moment
from tradesense.domain.executions import ExecutionKind, Side
from tradesense.domain.instruments import AssetClass, Instrument
from tradesense.domain.money import ZERO, average

CURRENCY: Final = "USD"
_SIDES: Final = {
    "buy": Side.BUY,
    "buy to open": Side.BUY,
    "buy to close": Side.BUY,
    "buy to cover": Side.BUY,
    "reinvest shares": Side.BUY,
    "sell": Side.SELL,
    "sell short": Side.SELL,
    "sell to open": Side.SELL,
    "sell to close": Side.SELL,
}
_CLOSINGS: Final = {
    "expired": ExecutionKind.EXPIRY,
    "assigned": ExecutionKind.ASSIGNMENT,
    "exchange or exercise": ExecutionKind.EXERCISE,
}
_SPLITS: Final = frozenset({"stock split", "reverse split", "forward split", "options frwd split"})
_FOR_NONE: Final = frozenset({"spin-off", "spin off", "stock div dist", "stock dividend", "rights distribution"})
_MOVES: Final = frozenset(
    {"journaled shares", "security transfer", "internal transfer", "journal", "transfer of assets"}
)
_CANCEL: Final = "cancel "
_AS_OF: Final = " as of "
_FORMER: Final = re.compile(r"\s*XXX.*$")
_KINDS: Final = kinds(
    (CashKind.TAX, r"\btax|withhold"),
    (CashKind.FEE, r"\bfee|service charge"),
    (CashKind.DIVIDEND, r"\bdiv\b|dividend|cap gain|distribution"),
    (CashKind.INTEREST, r"interest|\bint\b"),
    (CashKind.DEPOSIT, r"wire|moneylink|transfer|journal|funds|deposit|withdraw|\bach\b|check|visa|atm"),
)


class Transactions(StatementFormat):
    """The history of an account."""

    broker = "schwab"
    name = "transactions"
    newest_first = True
    layout = Layout(
        time("date", order=DateOrder.MONTH_FIRST),
        text("action"),
        text("symbol"),
        text("description"),
        number("quantity", style=NumberStyle.POINT),
        number("price", style=NumberStyle.POINT),
        number("costs", "Fees & Comm", "Fees & Commissions", style=NumberStyle.POINT),
        number("amount", style=NumberStyle.POINT),
    )
    telling = ("Date", "Action", "Symbol", "Description", "Fees & Comm", "Amount")

    def reader(self, table: Table, context: Context) -> Reader:
        """Look for splits and cancelled trades first."""
        return _History(table, context).outcome


class _History:
    """One file's rows, understood beside each other."""

    def __init__(self, table: Table, context: Context) -> None:
        self._context = context
        self._columns = table.columns
        self._cancelled = Cancellations(_cancellable(table))
        self._counts = ShareCounts()
        for row in table.rows():
            with suppress(RowError):
                self._count(self._dated(row))

    def _count(self, row: Row) -> None:
        action, quantity = _action(row), row.find_number("quantity")
        if quantity is None or not row.has("symbol") or row.line in self._cancelled:
            return
        symbol, day = self._instrument(row).symbol, row.moment("date").wall.date()
        if action in _SPLITS:
            self._counts.half(_split_key(row), symbol, row.line, day, quantity)
        else:
            sold = _SIDES.get(action) is Side.SELL and quantity > 0
            self._counts.moved(symbol, day, -quantity if sold else quantity)

    def outcome(self, row: Row) -> Outcome:
        """What a row became."""
        row = self._dated(row)
        if row.text("date").lower().startswith("transactions total"):
            return Ignored(row.line, "total")
        if row.line in self._cancelled:
            return Ignored(row.line, "cancelled")
        moment, action = row.moment("date"), _action(row)
        quantity = row.find_number("quantity")
        if quantity and row.has("symbol"):
            return self._securities(row, action, quantity, moment)
        return _cash(row, action, moment)

    def _securities(self, row: Row, action: str, quantity: Decimal, moment: Moment) -> Outcome:
        instrument = self._instrument(row)
        if action in _SPLITS:
            return self._counts.outcome(row, _split_key(row), instrument, moment, quantity)
        if action in _SIDES:
            return _trade(row, instrument, _SIDES[action], quantity, moment)
        if action in _CLOSINGS and instrument.asset_class is AssetClass.OPTION:
            kind = _CLOSINGS[action]
            made = fill(instrument, sign_of(quantity), abs(quantity), ZERO, moment, kind=kind, told=action)
            return Imported(row.line, (made,))
        return _arrived(row, instrument, action, quantity, moment)

    def _dated(self, row: Row) -> Row:
        """The row with the day on which it took effect as its date."""
        told = row.text("date")
        if _AS_OF not in told:
            return row
        cells = list(row.cells)
        cells[self._columns["date"].index] = told.rpartition(_AS_OF)[2]
        return Row(row.line, cells, self._columns)

    def _instrument(self, row: Row) -> Instrument:
        symbol = row.text("symbol")
        parts = read_option(symbol)
        if parts is not None:
            return self._context.instruments.option(*parts, currency=CURRENCY)
        return self._context.instruments.stock(symbol, CURRENCY)


def _action(row: Row) -> str:
    return " ".join(row.text("action").lower().split())


def _split_key(row: Row) -> str:
    return f"{row.text('date')}|{_action(row)}|{_FORMER.sub('', row.text('description')).upper()}"


def _cancellable(table: Table) -> Iterator[Entry]:
    """Trades and what cancels them, by instrument, number and price."""
    for row in table.rows():
        try:
            action, quantity = _action(row), row.find_number("quantity")
            cancels = action.startswith(_CANCEL)
            traded = action.removeprefix(_CANCEL)
            if quantity is not None and (cancels or action in _SIDES):
                side = traded.split(maxsplit=1)[0]
                yield Entry(row.line, (side, row.text("symbol"), abs(quantity), row.find_number("price")), cancels)
        except RowError:
            continue


def _trade(row: Row, instrument: Instrument, side: Side, quantity: Decimal, moment: Moment) -> Imported:
    number_, price = abs(quantity), row.number("price")
    made = fill(instrument, side, number_, price, moment, commission=row.amount("costs"), told=_action(row))
    return Imported(row.line, (made,), cash_cost(instrument, side, number_, price, row.find_number("amount")).warning)


def _arrived(row: Row, instrument: Instrument, action: str, quantity: Decimal, moment: Moment) -> Outcome:
    """Shares that came or went without a trade."""
    price, amount = row.find_number("price"), row.find_number("amount")
    side, kind, warning = sign_of(quantity), ExecutionKind.TRANSFER, None
    if action in _FOR_NONE and quantity > 0:
        price = ZERO
    elif action in _MOVES and price is not None and quantity > 0:
        warning = "the file gives no cost: taken in at the day's price"
    elif action in _MOVES and quantity < 0:
        price = ZERO
    elif action in _MOVES:
        return Ignored(row.line, "transfer in without a cost")
    elif amount:
        kind, side = ExecutionKind.TRADE, Side.BUY if amount < 0 else Side.SELL
        price = price if price is not None else average(abs(amount), abs(quantity))
    else:
        return Ignored(row.line, action or "no action")
    made = fill(instrument, side, abs(quantity), price or ZERO, moment, kind=kind, told=action)
    return Imported(row.line, (made,), warning)


def _cash(row: Row, action: str, moment: Moment) -> Outcome:
    amount = row.find_number("amount")
    if not amount:
        return Ignored(row.line, NO_AMOUNT)
    if not action:
        raise row.error("action", "the action is missing")
    kind = signed(why_moved(action, _KINDS), amount)
    description = f"{row.text('action')} {row.text('symbol')} {row.text('description')}".strip()
    return cash(row, kind, amount, CURRENCY, moment, description=" ".join(description.split()))
