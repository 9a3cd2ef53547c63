"""Tradervue's generic format (help.tradervue.com, "Generic Import Format"): one row per fill, dates never day first."""

from tradesense.brokers.contract import DateOrder, Imported, Outcome
from tradesense.brokers.fills import fill, side_of, sign_of
from tradesense.brokers.formats import Context, TableFormat
from tradesense.brokers.option_names import read_option_name
from tradesense.brokers.tables import Layout, Row, number, text, time
from tradesense.brokers.times import Moment
from tradesense.domain.instruments import Instrument
from tradesense.domain.money import exact


class Generic(TableFormat):
    """Date, time, symbol, quantity, price; a side or a signed quantity; options by name; three columns of costs."""

    broker = "tradervue"
    name = "generic"
    layout = Layout(
        text("symbol", "symbol"),
        number("quantity", "quantity", "qty", "shares"),
        number("price", "price"),
        time("date", "date", order=DateOrder.MONTH_FIRST),
        text("time", "time", optional=True),
        text("side", "side", optional=True),
        text("option", "option", optional=True),
        number("commission", "commission", "commision", optional=True),
        number("transaction_fee", "transfee", optional=True),
        number("ecn_fee", "ecnfee", optional=True),
        text("account", "account", optional=True),
        text("currency", "currency", optional=True),
    )
    telling = ("TransFee", "ECNFee")

    def outcome(self, row: Row, context: Context) -> Outcome:
        """One fill."""
        moment = row.moment("date", "time" if row.maps("time") else None)
        quantity = row.number("quantity")
        with exact():
            fees = row.amount("transaction_fee") + row.amount("ecn_fee")
        filled = fill(
            _instrument(row, context, moment),
            side_of(row, "side") if row.maps("side") else sign_of(quantity),
            abs(quantity),
            row.number("price"),
            moment,
            commission=row.amount("commission"),
            fees=fees,
            account=row.text("account") or None,
        )
        return Imported(row.line, (filled,))


def _instrument(row: Row, context: Context, moment: Moment) -> Instrument:
    symbol, currency, name = row.required("symbol"), row.text("currency") or None, row.text("option")
    if not name:
        return context.instruments.named(symbol, moment.wall.date(), currency)
    option = read_option_name(name)
    if option is None:
        raise row.error("option", f"{name!r} is no option's name: month, year, strike and right, as JAN 12 125 CALL")
    return context.instruments.option(symbol, option.expiry, option.strike, option.right, currency=currency)
