"""TradeZella's generic format: one row per fill, with the kind of instrument in a column called Spread."""

from types import MappingProxyType
from typing import Final

from tradesense.brokers.contract import DateOrder, Imported, Outcome
from tradesense.brokers.fills import fill, side_of
from tradesense.brokers.formats import Context, TableFormat
from tradesense.brokers.generic import ASSET_CLASSES
from tradesense.brokers.tables import Layout, Row, number, text, time
from tradesense.brokers.times import Moment
from tradesense.domain.instruments import AssetClass, Instrument, Right

_RIGHTS: Final = MappingProxyType({"c": Right.CALL, "call": Right.CALL, "p": Right.PUT, "put": Right.PUT})


class Generic(TableFormat):
    """Date and time in one column or two; an option by its expiry, strike and right."""

    broker = "tradezella"
    name = "generic"
    layout = Layout(
        time("date", "date", "date / time", order=DateOrder.MONTH_FIRST),
        text("symbol", "symbol"),
        text("side", "buy/sell", "side"),
        number("quantity", "quantity", "qty"),
        number("price", "price"),
        text("spread", "spread"),
        text("time", "time", optional=True),
        time("expiry", "expiration", "expiry", order=DateOrder.MONTH_FIRST, optional=True),
        number("strike", "strike", optional=True),
        text("right", "call/put", optional=True),
        number("commission", "commission", optional=True),
        number("fees", "fees", optional=True),
        text("account", "account name", "account", optional=True),
    )
    telling = ("Spread", "Call/Put", "Strike", "Expiration")

    def outcome(self, row: Row, context: Context) -> Outcome:
        """One fill."""
        moment = row.moment("date", "time" if row.maps("time") else None)
        filled = fill(
            _instrument(row, context, moment),
            side_of(row, "side"),
            abs(row.number("quantity")),
            row.number("price"),
            moment,
            commission=row.amount("commission"),
            fees=row.amount("fees"),
            account=row.text("account") or None,
        )
        return Imported(row.line, (filled,))


def _instrument(row: Row, context: Context, moment: Moment) -> Instrument:
    symbol, expiry, strike = row.required("symbol"), row.find_moment("expiry"), row.find_number("strike")
    if expiry is not None and strike is not None:
        right = _RIGHTS.get(row.text("right").lower())
        if right is None:
            raise row.error("right", f"{row.text('right')!r} is neither call nor put")
        return context.instruments.option(symbol, expiry.wall.date(), strike, right)
    asset_class = ASSET_CLASSES.get(row.text("spread").lower())
    if asset_class is AssetClass.OPTION:
        raise row.error("strike", "an option needs its expiry, its strike and its right")
    return context.instruments.named(symbol, moment.wall.date(), asset_class=asset_class)
