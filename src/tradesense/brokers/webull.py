"""Webull, orders as CSV: `Name,Symbol,Side,Status,Filled,Total Qty,Price,Avg Price,…,Placed Time,Filled Time`.

The layout is that of ocean-avenue/webull-trader (`scripts/export_orders.py`) and of public importers' fixtures; no
real file has been seen here.

- A row is an order: what was filled of it, at the average price. It has no id, no costs and no currency (US dollars).
- Orders of which nothing was filled are ignored by their status.
- Times carry `EDT` or `EST`; another zone than New York's is asked for.
- Options go by OCC's symbols.
"""

from typing import Final

from tradesense.brokers.contract import DateOrder, Ignored, Imported, Outcome
from tradesense.brokers.fills import fill, side_of
from tradesense.brokers.formats import Context, TableFormat
from tradesense.brokers.numbers import NumberStyle
from tradesense.brokers.option_texts import read_option
from tradesense.brokers.tables import Layout, Row, number, text, time
from tradesense.domain.instruments import Instrument

CURRENCY: Final = "USD"


class Orders(TableFormat):
    """The records of orders, shares and options alike."""

    broker = "webull"
    name = "orders"
    newest_first = True
    layout = Layout(
        text("name", optional=True),
        text("symbol"),
        text("side"),
        text("status"),
        number("filled", "Filled", "Filled Qty", style=NumberStyle.POINT),
        number("total", "Total Qty", optional=True, style=NumberStyle.POINT),
        number("price", "Avg Price", style=NumberStyle.POINT),
        text("placed", "Placed Time", optional=True),
        time("at", "Filled Time", order=DateOrder.MONTH_FIRST),
    )
    telling = ("Total Qty", "Avg Price", "Time-in-Force", "Placed Time", "Filled Time")

    def outcome(self, row: Row, context: Context) -> Outcome:
        """One fill for what was filled."""
        status = row.required("status").lower()
        filled = row.amount("filled")
        if not filled:
            return Ignored(row.line, "cancelled" if "cancel" in status else status)
        made = fill(
            _instrument(row, context),
            side_of(row, "side"),
            filled,
            row.number("price"),
            row.moment("at"),
            told=row.text("placed"),
        )
        return Imported(row.line, (made,))


def _instrument(row: Row, context: Context) -> Instrument:
    symbol = row.required("symbol")
    parts = read_option(symbol) or read_option(row.text("name"))
    if parts is not None:
        return context.instruments.option(*parts, currency=CURRENCY)
    return context.instruments.stock(symbol, CURRENCY)
