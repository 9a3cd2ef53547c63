"""The generic format, always accepted: `datetime,symbol,side,quantity,price` and what else is known."""

from collections.abc import Iterator
from types import MappingProxyType
from typing import Final

from tradesense.brokers.contract import Identity, Imported, Match, Options, Outcome
from tradesense.brokers.documents import Document
from tradesense.brokers.fills import fill, side_of, sign_of
from tradesense.brokers.formats import Context, TableFormat
from tradesense.brokers.refusals import Unreadable
from tradesense.brokers.tables import Layout, Row, fold, number, text, time
from tradesense.brokers.times import Moment
from tradesense.domain.instruments import AssetClass, Instrument

_CONFIDENCE: Final = 0.6
ASSET_CLASSES: Final = MappingProxyType(
    {asset_class.value: asset_class for asset_class in AssetClass}
    | {asset_class.value + "s": asset_class for asset_class in AssetClass}
    | {
        "equity": AssetClass.STOCK,
        "equities": AssetClass.STOCK,
        "etf": AssetClass.STOCK,
        "fund": AssetClass.STOCK,
        "fx": AssetClass.FOREX,
        "currency": AssetClass.FOREX,
        "cryptocurrency": AssetClass.CRYPTO,
        "fut": AssetClass.FUTURE,
        "opt": AssetClass.OPTION,
        "stk": AssetClass.STOCK,
    }
)
"""From a word for a class of assets, in lower case."""


class Generic(TableFormat):
    """`datetime,symbol,side,quantity,price` with optional `commission,fees,multiplier,currency,asset_class,account,id`.

    In any order and case, with comma, semicolon or tab. Where no class is given, a dated future's, an option's or a
    pair's name is taken for what it is, and anything else for a stock.
    """

    broker = "generic"
    name = "executions"
    layout = Layout(
        time("datetime"),
        text("symbol"),
        text("side"),
        number("quantity"),
        number("price"),
        number("commission", optional=True),
        number("fees", optional=True),
        number("multiplier", optional=True),
        text("currency", optional=True),
        text("asset_class", optional=True),
        text("account", optional=True),
        text("id", optional=True),
    )
    telling = ("datetime", "symbol", "side", "quantity", "price")

    def detect(self, document: Document) -> Match | None:
        """Match by the five names; any broker's own format is preferred."""
        match = super().detect(document)
        return match and match._replace(confidence=_CONFIDENCE)

    def read(self, document: Document, options: Options) -> Iterator[Outcome]:
        """Read the table; raises `Unreadable` where a column that is taken stands twice."""
        refuse_doubles(document, self.layout)
        return super().read(document, options)

    def outcome(self, row: Row, context: Context) -> Outcome:
        """One fill per row."""
        return execution(row, context, row.moment("datetime"))


def refuse_doubles(document: Document, layout: Layout) -> None:
    """Raise `Unreadable` where a layout's column, of one name each, stands more than once: nobody said which counts."""
    found = layout.find_header(document.head)
    cells = [cell.strip() for cell in found[1]] if found is not None else []
    for (name,) in (field.synonyms for field in layout.fields):
        alike = [cell for cell in cells if cell == name] or [cell for cell in cells if fold(cell) == fold(name)]
        if len(alike) > 1:
            raise Unreadable(
                f"the table has {len(alike)} columns called {alike[0]!r}: give another name to what is not meant"
            )


def execution(row: Row, context: Context, moment: Moment) -> Imported:
    """A row of the generic columns as a fill; the side says which way, else the quantity's sign."""
    own_id = row.text("id")
    quantity = row.number("quantity")
    return Imported(
        row.line,
        (
            fill(
                _instrument(row, context, moment),
                side_of(row, "side") if row.maps("side") else sign_of(quantity),
                abs(quantity),
                row.number("price"),
                moment,
                commission=row.amount("commission"),
                fees=row.amount("fees"),
                identity=Identity("fill", own_id) if own_id else None,
                account=row.text("account") or None,
            ),
        ),
    )


def _instrument(row: Row, context: Context, moment: Moment) -> Instrument:
    symbol = row.text("symbol")
    if not symbol:
        raise row.error("symbol", "the symbol is missing")
    multiplier = row.find_number("multiplier")
    if multiplier is not None and multiplier <= 0:
        raise row.error("multiplier", "the multiplier must be above 0")
    return context.instruments.named(
        symbol,
        moment.wall.date(),
        row.text("currency") or None,
        asset_class=_asset_class(row),
        multiplier=multiplier,
    )


def _asset_class(row: Row) -> AssetClass | None:
    word = row.text("asset_class").lower()
    found = ASSET_CLASSES.get(word)
    if word and found is None:
        raise row.error("asset_class", f"{word!r} is no class of assets: stock, option, future, forex, crypto, cfd")
    return found
