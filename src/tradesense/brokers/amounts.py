"""What statements say of money beyond one number: mixed styles, prices in pence, costs that only the total tells."""

import re
import unicodedata
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from types import MappingProxyType
from typing import Final
from zoneinfo import ZoneInfo

from tradesense.brokers.contract import CashKind, Imported, Options
from tradesense.brokers.fills import cash
from tradesense.brokers.numbers import NotANumber, evidence, is_empty, parse_number
from tradesense.brokers.tables import Row
from tradesense.brokers.times import Moment
from tradesense.domain.executions import Side
from tradesense.domain.money import ONE, ZERO, average, exact, text

COST_OF_AN_EXECUTION: Final = "cost of an execution"
PART_OF_A_SPLIT: Final = "part of a split"
NO_AMOUNT: Final = "no amount"

_SUBUNITS: Final = MappingProxyType(
    {"GBX": "GBP", "GBp": "GBP", "GBPX": "GBP", "ZAC": "ZAR", "ZAc": "ZAR", "ILA": "ILS"}
)
_HALF: Final = Decimal("0.5")
_PLAIN: Final = re.compile(r"-?[0-9]{1,14}(?:\.(?:[0-9]{1,2}|[0-9]{4,11}))?").fullmatch
"""A number that reads in one way: no separator of thousands leaves that many decimals."""


def loose_number(row: Row, name: str) -> Decimal:
    """The cell's number in its own style where it proves one, else in the column's: for files that mix two styles."""
    cell = row.text(name)
    if _PLAIN(cell):
        return Decimal(cell)
    proof = evidence(cell)
    if proof is None:
        return row.number(name)
    try:
        return parse_number(cell, proof)
    except NotANumber as error:
        raise row.error(name, str(error)) from error


def find_loose(row: Row, name: str) -> Decimal | None:
    """The same; None where the column is absent or the cell empty, dashes or `N/A`."""
    return None if is_empty(row.text(name)) else loose_number(row, name)


def loose_amount(row: Row, name: str) -> Decimal:
    """The same; 0 where the column is absent or the cell empty."""
    return find_loose(row, name) or ZERO


def in_major_units(amount: Decimal, currency: str) -> tuple[Decimal, str]:
    """Pence to pounds, and the cents and agorot of other exchanges to their units; any other currency as it is."""
    major = _SUBUNITS.get(currency) or _SUBUNITS.get(currency.upper())
    if major is None:
        return amount, currency.upper()
    with exact():
        return amount.scaleb(-2), major


def product(one: Decimal, other: Decimal) -> Decimal:
    """Two numbers multiplied, exactly."""
    with exact():
        return one * other


def reciprocal(rate: Decimal | None) -> Decimal | None:
    """`1 / rate`, to 12 decimals; None for a rate that is none."""
    return average(ONE, rate) if rate else None


def booked_cost(side: Side, quantity: Decimal, price: Decimal, amount: Decimal) -> Decimal:
    """What a booked amount, whatever its sign, has beyond quantity x price in one currency: positive when it costs."""
    with exact():
        beyond = abs(amount) - quantity * price
        return beyond if side is Side.BUY else -beyond


def rounding_of(quantity: Decimal, price: Decimal, amount: Decimal) -> Decimal:
    """By how much quantity x price may miss an amount because price and amount are rounded to their own decimals."""
    with exact():
        return quantity * half_unit(price) + half_unit(amount)


def disagreement(side: Side, quantity: Decimal, price: Decimal, costs: Decimal, amount: Decimal) -> str | None:
    """A warning where a booked amount, in the price's currency, is not quantity x price and the costs."""
    with exact():
        beyond = abs(booked_cost(side, quantity, price, amount) - costs)
    if not amount or beyond <= rounding_of(quantity, price, amount):
        return None
    return f"the booked amount {text(amount)} is not quantity × price and the costs"


def half_unit(value: Decimal) -> Decimal:
    """Half a unit of a number's last decimal; half a cent for a number with fewer than two."""
    exponent = value.as_tuple().exponent
    return _HALF.scaleb(min(int(exponent), -2))


Kinds = tuple[tuple[re.Pattern[str], CashKind], ...]


def kinds(*pairs: tuple[CashKind, str]) -> Kinds:
    """A table from words (a pattern, without accents and in lower case) to why money moved; the first match counts."""
    return tuple((re.compile(pattern), kind) for kind, pattern in pairs)


def mended(words: str) -> str:
    """A text whose UTF-8 was once read as Windows-1252 (`CrÃ©dito`), as it was meant."""
    if "Ã" in words:
        with suppress(UnicodeError):
            return words.encode("cp1252").decode("utf-8")
    return words


def plain_text(words: str) -> str:
    """A text in lower case and without accents, for comparison."""
    folded = unicodedata.normalize("NFKD", mended(words))
    return "".join(char for char in folded if not unicodedata.combining(char)).casefold()


def why_moved(words: str, table: Kinds) -> CashKind:
    """The kind of the first pattern that a text has; `other` where none does."""
    plain = plain_text(words)
    return next((kind for pattern, kind in table if pattern.search(plain)), CashKind.OTHER)


def signed(kind: CashKind, amount: Decimal) -> CashKind:
    """A deposit of less than nothing is a withdrawal, and the other way round; any other kind keeps its name."""
    if kind not in (CashKind.DEPOSIT, CashKind.WITHDRAWAL):
        return kind
    return CashKind.DEPOSIT if amount >= 0 else CashKind.WITHDRAWAL


def in_utc(options: Options) -> Options:
    """The options for a file whose times are documented to be UTC, whatever zone the person's are in."""
    return replace(options, timezone=ZoneInfo("UTC"))


def paid_apart(outcome: Imported, row: Row, amount: Decimal, currency: str, moment: Moment) -> Imported:
    """A fill with a cost in a currency of its own, which is not added to the trade's: a cash movement beside it."""
    if not amount:
        return outcome
    told = outcome.fills[0].fingerprint
    fee = cash(row, CashKind.FEE, -amount, currency, moment, description=COST_OF_AN_EXECUTION, told=told)
    return outcome._replace(also=(*outcome.also, fee.movement))
