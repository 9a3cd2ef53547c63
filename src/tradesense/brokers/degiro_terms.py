"""What DEGIRO writes: trades in words (`Koop 1 @ 33,9 USD`), products, and numbers in the style of the language."""

import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import date
from decimal import Decimal
from typing import Final, NamedTuple

from tradesense.brokers.amounts import in_major_units, plain_text, product, rounding_of
from tradesense.brokers.contract import DateOrder
from tradesense.brokers.fills import SIDES
from tradesense.brokers.instruments import Instruments
from tradesense.brokers.months import MONTHS
from tradesense.brokers.numbers import NotANumber, NumberStyle, evidence, parse_number
from tradesense.brokers.tables import fold, text, time
from tradesense.domain.executions import Side
from tradesense.domain.instruments import AssetClass, Instrument, Right

_FIGURE: Final = r"\d[\d.,'\u00a0\u202f]*"
_TRADE: Final = re.compile(
    rf"(?:(?P<event>[^:@]*[^:@\s])\s*:\s*)?(?P<verb>[^\W\d_]+)\s+(?P<quantity>{_FIGURE})(?:\s+(?P<product>[^@]*?))?"
    rf"\s*(?:@|\bzu je\b|\bat\b)\s*(?P<price>{_FIGURE})\s*(?P<currency>[A-Za-z]{{3}})(?:\s*\(.*\))?"
)
_OPTION: Final = re.compile(
    r"(?P<root>[A-Z0-9]+) (?P<right>[CP])(?P<strike>\d+(?:\.\d+)?) (?P<day>\d{2})(?P<month>[A-Z]{3})(?P<year>\d{2})"
)

PLACES: Final = (
    time("day", "Date", "Datum", "Fecha", "Data", order=DateOrder.DAY_FIRST),
    text("time", "Time", "Tijd", "Uhrzeit", "Zeit", "Heure", "Hora", "Ora", "Czas", "Čas"),
    text("product", "Product", "Produkt", "Produit", "Producto", "Prodotto", "Produto"),
    text("isin", "ISIN", "Code ISIN"),
)
"""The columns that both exports begin with."""


class Trade(NamedTuple):
    """A trade in words. `event` is the label before it (`STOCK DIVIDEND`), empty for an order's execution."""

    event: str
    side: Side
    quantity: Decimal
    price: Decimal
    currency: str


def read_trade(description: str, amount: Decimal | None) -> Trade | None:
    """The trade that a description tells, or None.

    Where a figure reads in two ways (`49,785`), the reading counts that makes the booked amount, else the one with the
    mark as a decimal one. Pence become pounds. An unknown verb is a purchase where money went out.
    """
    found = _TRADE.fullmatch(description.strip())
    if found is None:
        return None
    side = SIDES.get(fold(found["verb"]))
    if side is None:
        if not amount:
            return None
        side = Side.BUY if amount < 0 else Side.SELL
    readings = [
        Trade(plain_text(found["event"] or ""), side, quantity, *in_major_units(price, found["currency"]))
        for quantity in _readings(found["quantity"])
        for price in _readings(found["price"])
    ]
    makes = (trade for trade in readings if amount is not None and makes_amount(trade.quantity, trade.price, amount))
    return next(makes, readings[0] if readings else None)


def _readings(figure: str) -> Iterator[Decimal]:
    """What a figure may be, the likeliest first."""
    proof = evidence(figure)
    styles = (NumberStyle.COMMA, NumberStyle.POINT) if "," in figure else (NumberStyle.POINT, NumberStyle.COMMA)
    for style in styles if proof is None else (proof,):
        with suppress(NotANumber):
            yield parse_number(figure, style)


def makes_amount(quantity: Decimal, price: Decimal, amount: Decimal) -> bool:
    """Whether quantity x price is the amount, but for the rounding of both."""
    return abs(product(quantity, price) - abs(amount)) <= rounding_of(quantity, price, amount)


def instrument(instruments: Instruments, product_name: str, isin: str, currency: str) -> Instrument:
    """What a row trades: an option by its name (`ALV C200.00 16DEC22`), and by its ISIN what has no ticker here."""
    found = _OPTION.fullmatch(product_name.upper())
    month = MONTHS.get(found["month"].lower()) if found else None
    if found is not None and month is not None:
        with suppress(ValueError):
            expiry = date(2000 + int(found["year"]), month, int(found["day"]))
            right = Right.CALL if found["right"] == "C" else Right.PUT
            return instruments.option(found["root"], expiry, Decimal(found["strike"]), right, currency=currency)
    return Instrument(product_name or isin, AssetClass.STOCK, currency, isin or product_name.upper(), isin=isin or None)
