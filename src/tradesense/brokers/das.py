"""DAS Trader: the trades window, one row per fill, with the time of day and no date."""

from collections.abc import Iterator

from tradesense.brokers.contract import Imported, NeedsInput, Options, Outcome, Question
from tradesense.brokers.documents import Document
from tradesense.brokers.fills import fill, side_of
from tradesense.brokers.formats import Context, TableFormat
from tradesense.brokers.tables import Layout, Row, number, text, time


class Trades(TableFormat):
    """The trades window. Sides are B, S and SS (sold short); the day is asked for."""

    broker = "das"
    name = "trades"
    layout = Layout(
        time("time", "time"),
        text("symbol", "symbol", "symb"),
        text("side", "side", "b/s"),
        number("price", "price"),
        number("quantity", "qty", "quantity", "shares"),
        time("date", "date", "trade date", optional=True),
        text("account", "account", "acct", optional=True),
        text("order", "cloid", "order id", optional=True),
        number("fee", "ecnfee", "ecn fee", optional=True),
        number("commission", "commission", "comm", optional=True),
    )
    telling = ("Route", "Cloid", "Liq", "Broker")

    def read(self, document: Document, options: Options) -> Iterator[Outcome]:
        """Read the table; raises `NeedsInput` for the date that it lacks."""
        found = self.layout.find_header(document.head)
        if found and "date" not in (self.layout.locate(found[1]) or ()) and options.date is None:
            raise NeedsInput(Question("date", "the file has times of day and no date: say on which day they traded"))
        return super().read(document, options)

    def outcome(self, row: Row, context: Context) -> Outcome:
        """One fill."""
        filled = fill(
            context.instruments.stock(row.required("symbol")),
            side_of(row, "side"),
            row.number("quantity"),
            row.number("price"),
            row.moment("date", "time") if row.maps("date") else row.moment("time"),
            commission=row.amount("commission"),
            fees=row.amount("fee"),
            account=row.text("account") or None,
            told=row.text("order"),
        )
        return Imported(row.line, (filled,))
