"""TradeZero, trades as CSV: `Account,T/D,S/D,Currency,Type,Side,Symbol,Qty,Price,Exec Time,Comm,SEC,TAF,…`.

The layout is that of Eleven-Trading/TradeNote (`brokers/README.md`, whose template it is) and of public importers'
fixtures; no real file has been seen here. TradeStation's clearing firm exports the same columns.

- A row is an execution without an id. Sides are `B`, `S`, `SS` (sold short) and `BC` (bought to cover).
- Costs are the sum of the commission and the fees. They are positive when they cost; where gross and net proceeds
  show that the file counts them negative, they are turned round.
- Options go by OCC's symbols.
"""

from decimal import Decimal
from typing import Final

from tradesense.brokers.contract import DateOrder, Imported, Outcome
from tradesense.brokers.fills import fill, side_of
from tradesense.brokers.formats import Context, TableFormat
from tradesense.brokers.numbers import NumberStyle
from tradesense.brokers.option_texts import read_option
from tradesense.brokers.tables import Layout, Row, number, text, time
from tradesense.domain.instruments import Instrument
from tradesense.domain.money import ZERO, exact

_FEES: Final = ("sec", "taf", "nscc", "nasdaq", "removed", "added")
_CENT: Final = Decimal("0.01")


class Trades(TableFormat):
    """The executions of an account."""

    broker = "tradezero"
    name = "trades"
    layout = Layout(
        text("account"),
        time("date", "T/D", "Trade Date", order=DateOrder.MONTH_FIRST),
        text("currency", optional=True),
        text("side"),
        text("symbol"),
        number("quantity", "Qty", style=NumberStyle.POINT),
        number("price", style=NumberStyle.POINT),
        text("time", "Exec Time"),
        number("commission", "Comm", optional=True, style=NumberStyle.POINT),
        number("sec", optional=True, style=NumberStyle.POINT),
        number("taf", optional=True, style=NumberStyle.POINT),
        number("nscc", optional=True, style=NumberStyle.POINT),
        number("nasdaq", optional=True, style=NumberStyle.POINT),
        number("removed", "ECN Remove", optional=True, style=NumberStyle.POINT),
        number("added", "ECN Add", optional=True, style=NumberStyle.POINT),
        number("gross", "Gross Proceeds", optional=True, style=NumberStyle.POINT),
        number("net", "Net Proceeds", optional=True, style=NumberStyle.POINT),
    )
    telling = ("T/D", "S/D", "Exec Time", "TAF", "NSCC", "Gross Proceeds", "Net Proceeds")

    def outcome(self, row: Row, context: Context) -> Outcome:
        """One fill per execution."""
        commission, fees = _costs(row)
        made = fill(
            _instrument(row, context),
            side_of(row, "side"),
            abs(row.number("quantity")),
            row.number("price"),
            row.moment("date", "time"),
            commission=commission,
            fees=fees,
            account=row.required("account"),
        )
        return Imported(row.line, (made,))


def _costs(row: Row) -> tuple[Decimal, Decimal]:
    gross, net = row.find_number("gross"), row.find_number("net")
    with exact():
        commission = row.amount("commission")
        fees = sum((row.amount(name) for name in _FEES), ZERO)
        if gross is not None and net is not None and abs(net - gross - commission - fees) < _CENT < abs(net - gross):
            return -commission, -fees
    return commission, fees


def _instrument(row: Row, context: Context) -> Instrument:
    symbol, currency = row.required("symbol"), row.text("currency") or None
    parts = read_option(symbol)
    if parts is not None:
        return context.instruments.option(*parts, currency=currency)
    return context.instruments.stock(symbol, currency)
