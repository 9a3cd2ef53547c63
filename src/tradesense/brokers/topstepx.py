"""TopstepX: the trades export, one row per round trip."""

from typing import Final

from tradesense.brokers.contract import DateOrder, Identity, Outcome
from tradesense.brokers.fills import Leg, direction_of, round_trip
from tradesense.brokers.formats import Context, TableFormat
from tradesense.brokers.tables import Layout, Row, number, text, time

_SHORTEST_ID: Final = 6


class Trades(TableFormat):
    """The trades export. Its P&L is before costs; fees and commissions are those of the round trip."""

    broker = "topstepx"
    name = "trades"
    layout = Layout(
        text("contract", "contractname", "contract"),
        text("direction", "type", "side"),
        number("quantity", "size", "quantity"),
        time("entered_at", "enteredat", order=DateOrder.MONTH_FIRST),
        time("left_at", "exitedat", order=DateOrder.MONTH_FIRST),
        number("entry_price", "entryprice"),
        number("exit_price", "exitprice"),
        text("id", "id", optional=True),
        number("fees", "fees", optional=True),
        number("commission", "commissions", "commission", optional=True),
        number("pnl", "pnl", "p&l", optional=True),
        text("account", "account", "accountname", optional=True),
    )
    telling = ("ContractName", "EnteredAt", "ExitedAt", "EntryPrice", "ExitPrice")

    def outcome(self, row: Row, context: Context) -> Outcome:
        """Two fills. A short id is the row's number in its file and says nothing in the next one."""
        own_id = row.text("id")
        named = len(own_id) >= _SHORTEST_ID
        entry = row.moment("entered_at")
        return round_trip(
            row,
            context.instruments.future(row.required("contract"), entry.wall.date()),
            direction_of(row, "direction"),
            abs(row.number("quantity")),
            Leg(entry, row.number("entry_price"), Identity("entry", own_id) if named else None),
            Leg(row.moment("left_at"), row.number("exit_price"), Identity("exit", own_id) if named else None),
            commission=row.amount("commission"),
            fees=row.amount("fees"),
            account=row.text("account") or None,
            stated=row.find_number("pnl"),
        )
