"""Robinhood, account activity as CSV: newest first, with a date alone.

`Activity Date,Process Date,Settle Date,Instrument,Description,Trans Code,Quantity,Price,Amount`, as public importers'
fixtures have it; no real file has been seen here.

- `Buy`, `Sell`, `BTO`, `STO`, `BTC`, `STC` are fills. There is no column of costs: what the amount has beyond
  quantity × price is fees, so that the cash is exact (and a price that the file has rounded leaves a fraction there).
- An option is named by the description (`AAPL 1/19/2024 Call $150.00`). `OEXP`, `OASGN` and `OEXER` close one at 0;
  an `S` after the quantity says that what was held went.
- `SPL` gives the shares that a split added, and `SPR` those that a reverse split took (`S`) and gave: the ratio comes
  from both, or from the shares that the file shows as held.
- Rewards and spin-offs come in at a cost of 0. `ACATI` gives no cost: such shares are ignored, with that reason.
- Every other code is cash: dividends, interest, fees, taxes, transfers; unknown ones are `other`.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal
from typing import Final

from tradesense.brokers.amounts import NO_AMOUNT, signed
from tradesense.brokers.cancellations import Cancellations, Entry
from tradesense.brokers.cash_costs import cash_cost
from tradesense.brokers.contract import CashKind, DateOrder, Ignored, Imported, Outcome
from tradesense.brokers.figures import figure_in
from tradesense.brokers.fills import cash, fill
from tradesense.brokers.footers import is_footer
from tradesense.brokers.formats import Context
from tradesense.brokers.numbers import NumberStyle, is_empty
from tradesense.brokers.option_texts import read_option
from tradesense.brokers.share_counts import ShareCounts
from tradesense.brokers.statements import Reader, StatementFormat
from tradesense.brokers.tables import Layout, Row, RowError, Table, number, text, time
from tradesense.brokers.times import Moment
from tradesense.domain.executions import ExecutionKind, Side
from tradesense.domain.instruments import Instrument
from tradesense.domain.money import ZERO, average

CURRENCY: Final = "USD"
_SIDES: Final = {
    "BUY": Side.BUY,
    "BTO": Side.BUY,
    "BTC": Side.BUY,
    "SELL": Side.SELL,
    "STO": Side.SELL,
    "STC": Side.SELL,
}
_CANCELS: Final = {"BCXL": Side.BUY, "SCXL": Side.SELL}
_CLOSINGS: Final = {
    "OEXP": ExecutionKind.EXPIRY,
    "OASGN": ExecutionKind.ASSIGNMENT,
    "OEXER": ExecutionKind.EXERCISE,
    "OEXCS": ExecutionKind.EXERCISE,
}
_SPLITS: Final = frozenset({"SPL", "SPR"})
_FOR_NONE: Final = frozenset({"REC", "SOFF", "SDIV"})
_TRANSFERS: Final = frozenset({"ACATI", "ACATO", "JNLS", "T/A"})
_KINDS: Final = {
    **dict.fromkeys(("CDIV", "MDIV", "QDIV", "SCAP", "LCAP", "SDIV"), CashKind.DIVIDEND),
    **dict.fromkeys(("INT", "MINT", "SLIP"), CashKind.INTEREST),
    **dict.fromkeys(("GOLD", "AFEE", "DFEE", "MFEE", "FEE", "OCA", "REGF"), CashKind.FEE),
    **dict.fromkeys(("DTAX", "NRAT", "FRGN", "TAX"), CashKind.TAX),
    **dict.fromkeys(("ACH", "DCF", "RTP", "WIRE", "ITRF", "XENT", "MTCH", "ACATI", "ACATO", "CHK"), CashKind.DEPOSIT),
}
_ABOUT: Final = re.compile(r"^Option \w+ for ", re.IGNORECASE)


class Activity(StatementFormat):
    """The activity report of an account."""

    broker = "robinhood"
    name = "activity"
    newest_first = True
    layout = Layout(
        time("date", "Activity Date", order=DateOrder.MONTH_FIRST),
        text("symbol", "Instrument"),
        text("description"),
        text("code", "Trans Code"),
        text("quantity"),
        number("price", style=NumberStyle.POINT),
        number("amount", style=NumberStyle.POINT),
    )
    telling = ("Activity Date", "Process Date", "Settle Date", "Instrument", "Trans Code")

    def reader(self, table: Table, context: Context) -> Reader:
        """Look for splits and cancelled trades first."""
        return _History(table, context).outcome


class _History:
    """One file's rows, understood beside each other."""

    def __init__(self, table: Table, context: Context) -> None:
        self._context = context
        self._cancelled = Cancellations(_cancellable(table))
        self._counts = ShareCounts()
        for row in table.rows():
            with suppress(RowError):
                self._count(row)

    def _count(self, row: Row) -> None:
        code, quantity = _code(row), _quantity(row)
        if not quantity or row.line in self._cancelled:
            return
        symbol, day = self._instrument(row).symbol, row.moment("date").wall.date()
        if code in _SPLITS:
            self._counts.half(_split_key(row), symbol, row.line, day, quantity)
        else:
            sold = _SIDES.get(code) is Side.SELL
            self._counts.moved(symbol, day, -abs(quantity) if sold else quantity)

    def outcome(self, row: Row) -> Outcome:
        """What a row became."""
        if is_footer(row, "date", "symbol", "code", "quantity", "price"):
            return Ignored(row.line, "footer")
        if row.line in self._cancelled:
            return Ignored(row.line, "cancelled")
        moment, code, quantity = row.moment("date"), row.required("code").upper(), _quantity(row)
        if not quantity:
            return _cash(row, code, moment)
        instrument = self._instrument(row)
        if code in _SIDES:
            return _trade(row, instrument, _SIDES[code], abs(quantity), moment)
        if code in _SPLITS:
            return self._counts.outcome(row, _split_key(row), instrument, moment, quantity)
        return _moved(row, instrument, code, quantity, moment)

    def _instrument(self, row: Row) -> Instrument:
        parts = read_option(_ABOUT.sub("", row.text("description")))
        if parts is not None:
            return self._context.instruments.option(*parts, currency=CURRENCY)
        return self._context.instruments.stock(row.required("symbol"), CURRENCY)


def _code(row: Row) -> str:
    return row.text("code").upper()


def _quantity(row: Row) -> Decimal:
    """The quantity, below 0 where an `S` follows it: sold, taken away."""
    cell = row.text("quantity")
    if is_empty(cell):
        return ZERO
    gone = cell.upper().endswith("S")
    quantity = figure_in(row, "quantity", cell[:-1] if gone else cell)
    return -quantity if gone else quantity


def _split_key(row: Row) -> str:
    return f"{row.text('date')}|{row.text('symbol')}|{_code(row)}"


def _cancellable(table: Table) -> Iterator[Entry]:
    """Trades and what cancels them, by instrument, number and price."""
    for row in table.rows():
        with suppress(RowError):
            code = _code(row)
            side = _SIDES.get(code) or _CANCELS.get(code)
            if side is not None:
                what = side, row.text("symbol"), abs(_quantity(row)), row.find_number("price")
                yield Entry(row.line, what, code in _CANCELS)


def _trade(row: Row, instrument: Instrument, side: Side, quantity: Decimal, moment: Moment) -> Imported:
    price = row.number("price")
    costs = cash_cost(instrument, side, quantity, price, row.find_number("amount"))
    made = fill(instrument, side, quantity, price, moment, fees=costs.cost, told=_code(row))
    return Imported(row.line, (made,), costs.warning)


def _moved(row: Row, instrument: Instrument, code: str, quantity: Decimal, moment: Moment) -> Outcome:
    """What came or went without an order: options that ceased, transfers, rewards, mergers for money."""
    side, number_ = Side.SELL if quantity < 0 else Side.BUY, abs(quantity)
    amount = row.find_number("amount")
    if code in _CLOSINGS:
        kind, price = _CLOSINGS[code], ZERO
    elif code in _FOR_NONE and quantity > 0:
        kind, price = ExecutionKind.TRANSFER, ZERO
    elif code in _TRANSFERS and (quantity < 0 or code == "ACATO"):
        kind, price, side = ExecutionKind.TRANSFER, ZERO, Side.SELL
    elif code in _TRANSFERS:
        return Ignored(row.line, "transfer in without a cost")
    elif amount:
        kind, price = ExecutionKind.TRADE, average(abs(amount), number_)
        side = Side.BUY if amount < 0 else Side.SELL
    else:
        return Ignored(row.line, f"code {code}")
    return Imported(row.line, (fill(instrument, side, number_, price, moment, kind=kind, told=code),))


def _cash(row: Row, code: str, moment: Moment) -> Outcome:
    amount = row.find_number("amount")
    if not amount:
        return Ignored(row.line, NO_AMOUNT)
    kind = signed(_KINDS.get(code, CashKind.OTHER), amount)
    description = " ".join(f"{code} {row.text('symbol')} {row.text('description')}".split())
    return cash(row, kind, amount, CURRENCY, moment, description=description)
