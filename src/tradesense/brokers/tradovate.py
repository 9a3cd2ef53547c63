"""Tradovate: the orders report, one row per order, and the performance report, one row per round trip."""

from tradesense.brokers.contract import DateOrder, Identity, Ignored, Imported, Outcome
from tradesense.brokers.fills import Leg, fill, round_trip, side_of
from tradesense.brokers.formats import Context, TableFormat
from tradesense.brokers.tables import Layout, Row, number, text, time
from tradesense.domain.trades import Direction

_FINAL: frozenset[str] = frozenset({"", "filled", "canceled", "cancelled", "expired", "rejected", "completed"})


class Orders(TableFormat):
    """The orders report. An order with a filled quantity is one fill at its average price.

    Its ids are orders' and name no fill; a working order's quantity may still grow, so it waits for the next export.
    """

    broker = "tradovate"
    name = "orders"
    layout = Layout(
        text("side", "b/s", "buy/sell", "side", "action"),
        text("contract", "contract", "symbol"),
        number("quantity", "filledqty", "filled quantity"),
        number("price", "decimalfillavg", "avgprice", "avg fill price", "average fill price"),
        time("filled_at", "fill time", "filltime", order=DateOrder.MONTH_FIRST),
        text("status", "status"),
        text("order", "order id", optional=True),
        text("account", "account", optional=True),
        text("currency", "currency", optional=True),
    )
    telling = ("avgPrice", "filledQty", "Fill Time", "B/S", "Contract", "Status")

    def outcome(self, row: Row, context: Context) -> Outcome:
        """A filled order, or why it is none."""
        status = row.text("status").lower()
        quantity = row.find_number("quantity")
        if not quantity:
            if status == "filled":
                raise row.error("quantity", "the order is filled, and its quantity is missing")
            return Ignored(row.line, status or "not filled")
        if status not in _FINAL:
            return Ignored(row.line, "still working")
        moment = row.moment("filled_at")
        instrument = context.instruments.future(
            row.required("contract"), moment.wall.date(), currency=row.text("currency") or None
        )
        filled = fill(
            instrument,
            side_of(row, "side"),
            quantity,
            row.number("price"),
            moment,
            account=row.text("account") or None,
            told=row.text("order"),
        )
        return Imported(row.line, (filled,))


class Performance(TableFormat):
    """The performance report: a bought and a sold fill paired in each row, with their ids.

    A fill that closes two others stands in two rows, so the pair of ids is what tells one leg from another.
    """

    broker = "tradovate"
    name = "performance"
    layout = Layout(
        text("symbol", "symbol", "contract"),
        text("buy_id", "buyfillid"),
        text("sell_id", "sellfillid"),
        number("quantity", "qty", "quantity", "paired qty"),
        number("bought_for", "buyprice", "buy price"),
        number("sold_for", "sellprice", "sell price"),
        time("bought_at", "boughttimestamp", "bought timestamp", order=DateOrder.MONTH_FIRST),
        time("sold_at", "soldtimestamp", "sold timestamp", order=DateOrder.MONTH_FIRST),
        number("pnl", "pnl", "p/l", optional=True),
        text("account", "account", optional=True),
    )
    telling = ("buyFillId", "sellFillId", "boughtTimestamp", "soldTimestamp")

    def outcome(self, row: Row, context: Context) -> Outcome:
        """Two fills, in the order of their times and then of their ids."""
        pair = f"{row.required('buy_id')}/{row.required('sell_id')}"
        bought = Leg(row.moment("bought_at"), row.number("bought_for"), Identity("bought", pair))
        sold = Leg(row.moment("sold_at"), row.number("sold_for"), Identity("sold", pair))
        bought_first = (bought.moment.at, _rank(row.text("buy_id"))) <= (sold.moment.at, _rank(row.text("sell_id")))
        entry, exit_ = (bought, sold) if bought_first else (sold, bought)
        return round_trip(
            row,
            context.instruments.future(row.required("symbol"), entry.moment.wall.date()),
            Direction.LONG if bought_first else Direction.SHORT,
            row.number("quantity"),
            entry,
            exit_,
            account=row.text("account") or None,
            stated=row.find_number("pnl"),
        )


def _rank(fill_id: str) -> tuple[int, str]:
    """Fill ids grow with time: shorter ones are older."""
    return len(fill_id), fill_id
