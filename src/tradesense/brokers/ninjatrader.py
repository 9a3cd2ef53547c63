"""NinjaTrader 8: the trades grid, one row per round trip, and the executions grid, one row per fill.

The platform writes dates and numbers as the computer is set, so neither has a documented order or style. It runs on
the .NET Framework, where a loss is written `($75.90)` by the American setting alone: such a grid's dates are
month first. Others with a dollar sign write `-$75.90` (Microsoft, `NumberFormatInfo.CurrencyNegativePattern` 0).
"""

import re
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Final

from tradesense.brokers.contract import DateOrder, Identity, Imported, Options, Outcome
from tradesense.brokers.documents import Document
from tradesense.brokers.fills import Leg, direction_of, fill, round_trip, side_of
from tradesense.brokers.formats import Context, TableFormat
from tradesense.brokers.tables import Layout, Row, number, open_table, text, time
from tradesense.domain.contracts import contract
from tradesense.domain.instruments import Instrument
from tradesense.domain.money import exact

_AMERICAN_LOSS: Final = re.compile(r"\s*\(\$[0-9,]+\.[0-9]{2}\)\s*")
_FEES: Final = ("clearing_fee", "exchange_fee", "ip_fee", "nfa_fee")


def _instrument(row: Row, context: Context, on: date) -> Instrument:
    """A dated contract (`MNQ SEP26`, `MNQ 09-26`) is a future; a stock or a pair goes by its plain name."""
    name = row.required("instrument")
    named = contract(name, on)
    if named is not None and named.expiry is not None:
        return context.instruments.future(name, on)
    return context.instruments.named(name, on)


def _grid(order: DateOrder | None) -> Layout:
    return Layout(
        text("instrument", "instrument"),
        text("direction", "market pos.", "market position"),
        number("quantity", "qty", "quantity"),
        time("entered_at", "entry time", order=order),
        time("left_at", "exit time", order=order),
        number("entry_price", "entry price"),
        number("exit_price", "exit price"),
        text("account", "account", optional=True),
        number("profit", "profit", optional=True),
        number("commission", "commission", optional=True),
        number("clearing_fee", "clearing fee", optional=True),
        number("exchange_fee", "exchange fee", optional=True),
        number("ip_fee", "ip fee", optional=True),
        number("nfa_fee", "nfa fee", optional=True),
    )


def _is_american(document: Document) -> bool:
    return any(_AMERICAN_LOSS.fullmatch(cell) for _, cells in document.rows() for cell in cells)


class Grid(TableFormat):
    """The trades grid. Its profit is before or after costs, as the grid is set, or in points or per cent."""

    broker = "ninjatrader"
    name = "grid"
    layout = _grid(None)
    telling = ("Market pos.", "Entry time", "Exit time", "Entry price", "Exit price")

    def read(self, document: Document, options: Options) -> Iterator[Outcome]:
        """Read the grid, its dates in the order that goes with how it writes money."""
        layout = _grid(DateOrder.MONTH_FIRST) if _is_american(document) else self.layout
        context = Context.of(options)
        return open_table(document, layout, options).outcomes(lambda row: self.outcome(row, context), document)

    def outcome(self, row: Row, context: Context) -> Outcome:
        """Two fills."""
        entry = Leg(row.moment("entered_at"), row.number("entry_price"))
        with exact():
            fees = sum((row.amount(name) for name in _FEES), Decimal(0))
        return round_trip(
            row,
            _instrument(row, context, entry.moment.wall.date()),
            direction_of(row, "direction"),
            row.number("quantity"),
            entry,
            Leg(row.moment("left_at"), row.number("exit_price")),
            commission=row.amount("commission"),
            fees=fees,
            account=row.text("account") or None,
            stated=_profit(row),
        )


def _profit(row: Row) -> Decimal | None:
    """The profit in money; None where the grid shows per cent."""
    return None if "%" in row.text("profit") else row.find_number("profit")


class Executions(TableFormat):
    """The executions grid, with the id of each fill."""

    broker = "ninjatrader"
    name = "executions"
    layout = Layout(
        text("instrument", "instrument"),
        text("side", "action"),
        number("quantity", "quantity", "qty"),
        number("price", "price"),
        time("at", "time"),
        text("id", "id"),
        text("account", "account", "account display name", optional=True),
        number("commission", "commission", optional=True),
    )
    telling = ("E/X", "Position", "Order ID", "Connection", "Rate")

    def outcome(self, row: Row, context: Context) -> Outcome:
        """One fill."""
        moment = row.moment("at")
        own_id = row.text("id")
        filled = fill(
            _instrument(row, context, moment.wall.date()),
            side_of(row, "side"),
            row.number("quantity"),
            row.number("price"),
            moment,
            commission=row.amount("commission"),
            identity=Identity("execution", own_id) if own_id else None,
            account=row.text("account") or None,
        )
        return Imported(row.line, (filled,))
