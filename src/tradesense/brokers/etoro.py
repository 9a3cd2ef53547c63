"""eToro's account activity: positions that open and close, and everything that moved the balance.

Layout seen: the sheet `Account Activity` as CSV, with English words, in two number styles at once (`4,581.91`,
` 1 157,95 `, `(0,10)`). Documented (masbug/etoro-edavki, Export-To-Ghostfolio): the workbook itself, and its newer
header `Units / Contracts`. Splits (`corp action: Split`, `XLK/USD 2:1`, once per position) are known by hearsay.

Amounts are the account's: what was invested at the opening, what came back at the closing; the realised equity change
of a closing is its profit. The sheet has no price, so a fill's is amount ÷ units (to 12 decimals), in the account's
currency (US dollars unless the account says otherwise), whatever the instrument is quoted in. It tells neither
direction nor leverage: a CFD's fills make its profit right, while its price is the margin per unit and a short looks
like a purchase.

A position opens in one fill, whose own name is the position's id, and may close in several. Where a statement begins
after the opening, the closing brings the position in, at the cost that its profit implies; the opening of an earlier
statement has the same name, so that the position is never there twice.
"""

import re
from collections import defaultdict
from contextlib import suppress
from decimal import Decimal
from types import MappingProxyType
from typing import Final, NamedTuple

from tradesense.brokers.amounts import (
    COST_OF_AN_EXECUTION,
    NO_AMOUNT,
    PART_OF_A_SPLIT,
    kinds,
    loose_amount,
    loose_number,
    signed,
    why_moved,
)
from tradesense.brokers.contract import CashKind, DateOrder, Fill, Identity, Ignored, Imported, Outcome, Stated
from tradesense.brokers.fills import cash, fill
from tradesense.brokers.formats import Context
from tradesense.brokers.statements import Reader, StatementFormat
from tradesense.brokers.tables import Layout, Row, RowError, Table, number, text, time
from tradesense.brokers.times import Moment
from tradesense.domain.executions import ExecutionKind, Side
from tradesense.domain.instruments import AssetClass, Instrument
from tradesense.domain.money import ZERO, average

_OPENS: Final = "open position"
_CLOSES: Final = "position closed"
_SPLIT: Final = "corp action: split"
_DUTY: Final = "sdrt"
_RATIO: Final = re.compile(r"(?P<name>\S+) (?P<new>\d+(?:\.\d+)?):(?P<old>\d+(?:\.\d+)?)")
_CLASSES: Final = MappingProxyType({"cfd": AssetClass.CFD, "crypto": AssetClass.CRYPTO})
_CFD: Final = (
    "a CFD: the sheet tells neither direction nor leverage, so only its profit is right, not its price or side"
)
_OPENED_BEFORE: Final = (
    "the position was opened before this file begins: it comes in at the cost that its profit implies"
)
_KINDS: Final = kinds(
    (CashKind.TAX, "sdrt|tax"),
    (CashKind.DIVIDEND, "dividend"),
    (CashKind.INTEREST, "interest"),
    (CashKind.FEE, "fee|overnight|rollover"),
    (CashKind.DEPOSIT, "deposit"),
    (CashKind.WITHDRAWAL, "withdraw"),
)


class AccountActivity(StatementFormat):
    """One row per event, the oldest first."""

    broker = "etoro"
    name = "account-activity"
    layout = Layout(
        time("at", "Date", order=DateOrder.DAY_FIRST),
        text("type", "Type"),
        text("details", "Details"),
        number("amount", "Amount"),
        number("units", "Units", "Units / Contracts"),
        number("profit", "Realized Equity Change"),
        text("position", "Position ID"),
        text("asset", "Asset type", optional=True),
    )
    telling = ("Details", "Realized Equity Change", "Realized Equity", "Position ID", "NWA")

    def reader(self, table: Table, context: Context) -> Reader:
        """Rows read beside the openings of their positions."""
        return _Activity(table, context).outcome


class _Unopened(NamedTuple):
    """What a position without an opening in the file was: the row at which it comes in, its units and its cost."""

    line: int
    units: Decimal
    cost: Decimal


class _Activity:
    def __init__(self, table: Table, context: Context) -> None:
        self._context = context
        self._opened: set[str] = set()
        self._unopened: dict[str, _Unopened] = {}
        self._duties: dict[str, Decimal] = defaultdict(lambda: ZERO)
        self._splits: set[tuple[str, str]] = set()
        for row in table.rows():
            with suppress(RowError):
                self._look(row)

    def _look(self, row: Row) -> None:
        kind, position = row.text("type").lower(), row.text("position")
        if kind == _OPENS:
            self._opened.add(position)
        elif kind == _DUTY:
            self._duties[position] -= loose_amount(row, "amount")
        elif kind == _CLOSES:
            units, amount, profit = (loose_number(row, name) for name in ("units", "amount", "profit"))
            before = self._unopened.get(position, _Unopened(row.line, ZERO, ZERO))
            self._unopened[position] = _Unopened(before.line, before.units + units, before.cost + amount - profit)

    def outcome(self, row: Row) -> Outcome:
        """What a row became."""
        kind = row.required("type").lower()
        if kind in (_OPENS, _CLOSES):
            return self._fill(row, opens=kind == _OPENS)
        if kind == _SPLIT:
            return self._split(row)
        if kind == _DUTY and row.text("position") in self._opened:
            return Ignored(row.line, COST_OF_AN_EXECUTION)
        return self._cash(row)

    def _instrument(self, row: Row, name: str) -> Instrument:
        symbol = name.rpartition("/")[0] or name
        asset_class = _CLASSES.get(row.text("asset").lower(), AssetClass.STOCK)
        return self._context.instruments.plain(asset_class, symbol)

    def _fill(self, row: Row, *, opens: bool) -> Imported:
        units, amount, position = loose_number(row, "units"), loose_number(row, "amount"), row.required("position")
        instrument, moment = self._instrument(row, row.required("details")), row.moment("at")
        if units <= 0:
            raise row.error("units", "the number of units must be above 0")
        price = average(amount, units)
        warning = _CFD if instrument.asset_class is AssetClass.CFD else None
        if opens:
            duty, own_id = self._duties.get(position, ZERO), Identity("opening", position)
            return Imported(
                row.line, (fill(instrument, Side.BUY, units, price, moment, fees=duty, identity=own_id),), warning
            )
        stated = Stated(loose_number(row, "profit"), net=False)
        closing = fill(instrument, Side.SELL, units, price, moment, stated=stated, told=position)
        if position in self._opened:
            return Imported(row.line, (closing,), warning)
        return Imported(row.line, (*self._brought_in(row, instrument, moment, position), closing), _OPENED_BEFORE)

    def _brought_in(self, row: Row, instrument: Instrument, moment: Moment, position: str) -> tuple[Fill, ...]:
        """The opening that the file lacks, at the first of the position's closings."""
        line, units, cost = self._unopened[position]
        if line != row.line:
            return ()
        price, own_id = average(cost, units), Identity("opening", position)
        return (fill(instrument, Side.BUY, units, price, moment, kind=ExecutionKind.TRANSFER, identity=own_id),)

    def _split(self, row: Row) -> Outcome:
        """A split stands once per position; it acts once on the instrument."""
        moment, details = row.moment("at"), row.text("details")
        found = _RATIO.fullmatch(details)
        if found is None:
            raise row.error("details", f"{details!r} is no split's ratio, such as XLK/USD 2:1")
        if (moment.text, details) in self._splits:
            return Ignored(row.line, PART_OF_A_SPLIT)
        self._splits.add((moment.text, details))
        instrument, new, old = self._instrument(row, found["name"]), Decimal(found["new"]), Decimal(found["old"])
        return Imported(row.line, (fill(instrument, Side.BUY, new, old, moment, kind=ExecutionKind.SPLIT),))

    def _cash(self, row: Row) -> Outcome:
        amount = loose_amount(row, "amount")
        if not amount:
            return Ignored(row.line, NO_AMOUNT)
        words = row.text("type")
        kind = signed(why_moved(words, _KINDS), amount)
        description = f"{words} {row.text('details')}".strip(" -")
        currency = self._context.instruments.currency
        return cash(row, kind, amount, currency, row.moment("at"), description=description, told=row.text("position"))
