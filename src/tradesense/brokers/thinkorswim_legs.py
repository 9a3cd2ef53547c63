"""The legs of thinkorswim's spreads, from Account Trade History: what a ledger's one price was made of."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Final, NamedTuple

from tradesense.brokers.contract import DateOrder
from tradesense.brokers.fills import side_of
from tradesense.brokers.formats import Context
from tradesense.brokers.tables import Layout, Row, RowError, number, text, time
from tradesense.brokers.thinkorswim_text import CURRENCY, Spread, Told, equity_option, future_option
from tradesense.domain.executions import Side
from tradesense.domain.instruments import Instrument

LEGS: Final = Layout(
    time("at", "Exec Time", order=DateOrder.MONTH_FIRST),
    text("spread"),
    text("side"),
    number("quantity", "Qty"),
    text("symbol"),
    text("expiry", "Exp"),
    text("strike"),
    text("type"),
    number("price"),
    number("net", "Net Price", optional=True),
)


class Leg(NamedTuple):
    """One leg of a spread. The instrument's parts are as the statement has them."""

    side: Side
    quantity: Decimal
    price: Decimal
    symbol: str
    expiry: str
    strike: str
    type: str


class _Filled(NamedTuple):
    net: Decimal | None
    legs: list[Leg]


class LegBook:
    """The filled spreads of a statement; each is given out once."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._filled: defaultdict[tuple[datetime, str, str], list[_Filled]] = defaultdict(list)
        latest: _Filled | None = None
        for row in rows:
            try:
                if row.has("at"):
                    latest = None
                    latest = self._open(row)
                if latest is not None:
                    latest.legs.append(_leg(row))
            except RowError:
                if latest is not None:
                    latest.legs.clear()
                latest = None

    def _open(self, row: Row) -> _Filled:
        """A row with a time begins an execution; those under it without one are its further legs."""
        key = row.moment("at").wall, row.text("spread").strip("~").upper(), _underlying(row.text("symbol"))
        filled = _Filled(row.find_number("net"), [])
        self._filled[key].append(filled)
        return filled

    def take(self, wall: datetime, spread: Spread, told: Told) -> list[Leg]:
        """The legs of a spread in the ledger: of the same second, strategy and underlying, and of its price and size.

        Raises `RowError` where there are none.
        """
        known = self._filled[wall, spread.strategy, _underlying(spread.underlying)]
        candidates = [filled for filled in known if filled.legs]
        if not candidates:
            raise RowError(
                f"the legs of this {spread.strategy} have prices of their own, which stand in Account Trade History; "
                "export the statement with that section"
            )
        best = max(candidates, key=lambda filled: (_same_price(filled, told), filled.legs[0].quantity == told.quantity))
        known.remove(best)
        return best.legs


def _same_price(filled: _Filled, told: Told) -> bool:
    return filled.net is not None and abs(filled.net) == abs(told.price)


def _underlying(symbol: str) -> str:
    return symbol.split(maxsplit=1)[0].partition(":")[0].upper() if symbol else ""


def _leg(row: Row) -> Leg:
    return Leg(
        side_of(row, "side"),
        abs(row.number("quantity")),
        row.number("price"),
        row.text("symbol"),
        row.text("expiry"),
        row.text("strike"),
        row.text("type").upper(),
    )


def leg_instrument(leg: Leg, told: Told, multiplier: Decimal, wall: datetime, context: Context) -> Instrument:
    """What a leg trades; `multiplier` is that of the options in the ledger's description."""
    symbol = _underlying(leg.symbol)
    if leg.type in ("CALL", "PUT"):
        if leg.expiry.startswith("/"):
            return future_option(symbol, leg.expiry, leg.strike, leg.type, multiplier, context)
        return equity_option(symbol, leg.expiry, leg.strike, leg.type, multiplier, context)
    if symbol.startswith("/"):
        return context.instruments.future(symbol, wall.date())
    if not symbol:
        raise RowError(f"a leg of {told.what!r} names no instrument")
    return context.instruments.stock(symbol, CURRENCY)
