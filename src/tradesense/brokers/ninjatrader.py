"""NinjaTrader 8: the trades grid, one row per round trip, and the executions grid, one row per fill.

The platform writes dates and numbers as the computer is set, so neither has a documented order or style.
"""

from datetime import date
from decimal import Decimal
from typing import Final

from tradesense.brokers.contract import Identity, Imported, Outcome
from tradesense.brokers.fills import Leg, direction_of, fill, round_trip, side_of
from tradesense.brokers.formats import Context, TableFormat
from tradesense.brokers.tables import Layout, Row, number, text, time
from tradesense.domain.contracts import contract
from tradesense.domain.instruments import Instrument
from tradesense.domain.money import exact

_FEES: Final = ("clearing_fee", "exchange_fee", "ip_fee", "nfa_fee")


def _instrument(row: Row, context: Context, on: date) -> Instrument:
    """A dated contract (`MNQ SEP26`, `MNQ 09-26`) is a future; a stock or a pair goes by its plain name."""
    name = row.required("instrument")
    named = contract(name, on)
    if named is not None and named.expiry is not None:
        return context.instruments.future(name, on)
    return context.instruments.named(name, on)


class Grid(TableFormat):
    """The trades grid. Its profit is before or after costs, as the grid is set, or in points or per cent."""

    broker = "ninjatrader"
    name = "grid"
    layout = Layout(
        text("instrument", "instrument"),
        text("direction", "market pos.", "market position"),
        number("quantity", "qty", "quantity"),
        time("entered_at", "entry time"),
        time("left_at", "exit time"),
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
    telling = ("Market pos.", "Entry time", "Exit time", "Entry price", "Exit price")

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
