"""E*TRADE, transactions as CSV, in the two layouts of `DownloadTxnHistory.csv`; newest first, with a date alone.

Until 2024: `TransactionDate,TransactionType,SecurityType,Symbol,Quantity,Amount,Price,Commission,Description`. Since
2025: `Activity/Trade Date,Transaction Date,Settlement Date,Activity Type,Description,Symbol,Cusip,Quantity #,Price
$,Amount $, Commission,Category,Note`. Both are as public importers' fixtures have them; no real file has been seen
here.

- Bought is positive and sold negative. What the amount has beyond price and commission is fees, so that the cash is
  exact.
- An option is named by the symbol (`AAPL Jan 19 '24 $150 Call`) or by the description (`CALL AAPL   01/19/24
  150.000`).
- Expiries and assignments: the sign of the quantity is the change of the position.
- A dividend with shares is a purchase at the price of its description (`REINVEST PRICE $ 13.94`), else at its amount.
- A split's row gives the shares added; the ratio comes from its description (`SPLIT RATIO  6:1`), else from those
  that the file shows as held.
- Amounts are US dollars.
"""

import re
from contextlib import suppress
from decimal import Decimal
from typing import Final

from tradesense.brokers.amounts import NO_AMOUNT, kinds, signed, why_moved
from tradesense.brokers.cash_costs import cash_cost
from tradesense.brokers.contract import CashKind, DateOrder, Ignored, Imported, Outcome
from tradesense.brokers.figures import figure_in
from tradesense.brokers.fills import cash, fill, sign_of
from tradesense.brokers.footers import is_footer
from tradesense.brokers.formats import Context
from tradesense.brokers.numbers import NumberStyle
from tradesense.brokers.option_texts import read_option
from tradesense.brokers.share_counts import ShareCounts
from tradesense.brokers.statements import Reader, StatementFormat
from tradesense.brokers.tables import Layout, Row, RowError, Table, number, text, time
from tradesense.brokers.times import Moment
from tradesense.domain.executions import ExecutionKind, Side
from tradesense.domain.instruments import AssetClass, Instrument
from tradesense.domain.money import ZERO, average, exact

CURRENCY: Final = "USD"
_BUYS: Final = ("bought", "buy", "reinvest", "purchase")
_SELLS: Final = ("sold", "sell", "redemption")
_CLOSINGS: Final = (
    ("expir", ExecutionKind.EXPIRY),
    ("assign", ExecutionKind.ASSIGNMENT),
    ("exercise", ExecutionKind.EXERCISE),
)
_REINVESTED: Final = re.compile(r"REINVEST PRICE \$\s*(?P<price>[\d,.]*\d)")
_RATIO: Final = re.compile(r"(?P<new>\d+(?:\.\d+)?)\s*(?::|FOR)\s*(?P<old>\d+(?:\.\d+)?)", re.IGNORECASE)
_KINDS: Final = kinds(
    (CashKind.TAX, r"\btax|withhold"),
    (CashKind.FEE, r"\bfee|commission"),
    (CashKind.INTEREST, r"interest"),
    (CashKind.DIVIDEND, r"divid|distribution|cap(ital)? gain"),
    (CashKind.DEPOSIT, r"transfer|contribution|deposit|withdraw|debit|credit|wire|\bach\b|check|payment|funds"),
)


class Transactions(StatementFormat):
    """The history of an account, in either layout."""

    broker = "etrade"
    name = "transactions"
    newest_first = True
    layout = Layout(
        time("date", "TransactionDate", "Activity/Trade Date", order=DateOrder.MONTH_FIRST),
        text("type", "TransactionType", "Activity Type"),
        text("security", "SecurityType", optional=True),
        text("symbol"),
        number("quantity", "Quantity", "Quantity #", style=NumberStyle.POINT),
        number("amount", "Amount", "Amount $", style=NumberStyle.POINT),
        number("price", "Price", "Price $", style=NumberStyle.POINT),
        number("commission", optional=True, style=NumberStyle.POINT),
        text("description"),
    )
    telling = ("TransactionDate", "TransactionType", "SecurityType", "Activity/Trade Date", "Activity Type", "Cusip")

    def reader(self, table: Table, context: Context) -> Reader:
        """Count shares for the splits first."""
        return _History(table, context).outcome


class _History:
    """One file's rows; splits are understood by the shares held."""

    def __init__(self, table: Table, context: Context) -> None:
        self._context = context
        self._counts = ShareCounts()
        for row in table.rows():
            with suppress(RowError):
                self._count(row)

    def _count(self, row: Row) -> None:
        quantity, symbol = row.amount("quantity"), row.text("symbol")
        if quantity and symbol:
            name, day = self._instrument(row).symbol, row.moment("date").wall.date()
            if _is_split(row):
                self._counts.half(_split_key(row), name, row.line, day, quantity)
            else:
                self._counts.moved(name, day, quantity)

    def outcome(self, row: Row) -> Outcome:
        """What a row became."""
        if is_footer(row, "date", "type", "symbol", "quantity", "amount"):
            return Ignored(row.line, "footer")
        moment, type_ = row.moment("date"), row.required("type").lower()
        quantity = row.amount("quantity")
        if not quantity:
            return _cash(row, moment)
        if _is_split(row):
            return self._split(row, quantity, moment)
        instrument = self._instrument(row)
        for word, kind in _CLOSINGS:
            if word in type_ and instrument.asset_class is AssetClass.OPTION:
                made = fill(instrument, sign_of(quantity), abs(quantity), ZERO, moment, kind=kind, told=type_)
                return Imported(row.line, (made,))
        return _trade(row, instrument, type_, quantity, moment)

    def _split(self, row: Row, quantity: Decimal, moment: Moment) -> Outcome:
        instrument = self._instrument(row)
        ratio = _RATIO.search(row.text("description"))
        if ratio is None:
            return self._counts.outcome(row, _split_key(row), instrument, moment, quantity)
        new, old = (figure_in(row, "description", ratio[part]) for part in ("new", "old"))
        made = fill(instrument, Side.BUY, new, old, moment, kind=ExecutionKind.SPLIT, told="split")
        return Imported(row.line, (made,))

    def _instrument(self, row: Row) -> Instrument:
        symbol = row.text("symbol")
        parts = read_option(symbol) or read_option(row.text("description"))
        if parts is not None:
            return self._context.instruments.option(*parts, currency=CURRENCY)
        if symbol.strip("-") == "":
            raise row.error("symbol", "the symbol is missing")
        return self._context.instruments.stock(symbol, CURRENCY)


def _is_split(row: Row) -> bool:
    return "split" in row.text("type").lower()


def _split_key(row: Row) -> str:
    return f"{row.text('date')}|{row.text('symbol')}"


def _trade(row: Row, instrument: Instrument, type_: str, quantity: Decimal, moment: Moment) -> Outcome:
    amount, price = row.find_number("amount"), row.amount("price")
    reinvested = _REINVESTED.search(row.text("description"))
    if any(word in type_ for word in _BUYS):
        side = Side.BUY
    elif any(word in type_ for word in _SELLS):
        side = Side.SELL
    elif why_moved(type_, _KINDS) is CashKind.DIVIDEND and amount and amount < 0 < quantity:
        side = Side.BUY
        price = figure_in(row, "description", reinvested["price"]) if reinvested else average(-amount, quantity)
    elif not amount:
        return Ignored(row.line, "transfer in without a cost" if quantity > 0 else type_)
    else:
        raise row.error("type", f"{row.text('type')!r} with a quantity is nothing that is known")
    commission = row.amount("commission")
    beyond = cash_cost(instrument, side, abs(quantity), price, amount or None)
    made = fill(
        instrument,
        side,
        abs(quantity),
        price,
        moment,
        commission=commission,
        fees=_less(beyond.cost, commission) if amount else ZERO,
        told=type_,
    )
    return Imported(row.line, (made,), beyond.warning)


def _cash(row: Row, moment: Moment) -> Outcome:
    amount, type_ = row.find_number("amount"), row.text("type")
    if not amount:
        return Ignored(row.line, NO_AMOUNT)
    kind = signed(why_moved(type_, _KINDS), amount)
    description = " ".join(f"{type_} {row.text('symbol').strip('-')} {row.text('description')}".split())
    return cash(row, kind, amount, CURRENCY, moment, description=description)


def _less(one: Decimal, other: Decimal) -> Decimal:
    with exact():
        return one - other
