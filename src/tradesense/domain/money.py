"""Exact decimal arithmetic: one context in which nothing is ever rounded unseen."""

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import (
    ROUND_DOWN,
    ROUND_HALF_EVEN,
    Context,
    Decimal,
    DivisionByZero,
    Inexact,
    InvalidOperation,
    Overflow,
    localcontext,
)
from typing import Final

ZERO: Final = Decimal(0)
ONE: Final = Decimal(1)

SHARE_QUANTUM: Final = Decimal("1e-12")
"""A pro rata share is cut to this; the last share takes the remainder, so no share is ever lost."""

MAX_SIGNIFICANT_DIGITS: Final = 26
MAX_MAGNITUDE: Final = Decimal("1e15")
MAX_DECIMALS: Final = 24
"""Bounds of one number in a file. price x quantity x multiplier then fits the 60 digits of the exact context,
and so does the sum of two million of them (26 + 20 + 6 digits, and 7 for the sum)."""

_EXACT: Final = Context(
    prec=60,
    rounding=ROUND_HALF_EVEN,
    traps=[Inexact, InvalidOperation, DivisionByZero, Overflow],
)
_ROUNDING: Final = Context(prec=60, rounding=ROUND_HALF_EVEN, traps=[InvalidOperation, DivisionByZero, Overflow])


@contextmanager
def exact() -> Iterator[None]:
    """Run decimal operators in the exact context: a result that would need rounding raises `decimal.Inexact`."""
    with localcontext(_EXACT):
        yield


def share(total: Decimal, part: Decimal, whole: Decimal) -> Decimal:
    """`total x part / whole`, cut towards zero to 1e-12; the caller gives the last share what remains."""
    if not total:
        return ZERO
    cut = _ROUNDING.divide(_ROUNDING.multiply(total, part), whole).quantize(SHARE_QUANTUM, ROUND_DOWN, _ROUNDING)
    return cut.normalize(_ROUNDING)


def quotient(value: Decimal, quantity: Decimal) -> Decimal | None:
    """`value / quantity`, or None where that is no finite decimal of at most 60 digits."""
    try:
        return _EXACT.divide(value, quantity)
    except Inexact:
        return None


def scaled(total: Decimal, part: Decimal, whole: Decimal) -> Decimal:
    """`total x part / whole`, exact where `part / whole` is a finite decimal, else cut like a share.

    For one `part` and `whole` it never falls as `total` rises.
    """
    ratio = quotient(part, whole)
    return share(total, part, whole) if ratio is None else _EXACT.multiply(total, ratio)


def average(value: Decimal, quantity: Decimal) -> Decimal:
    """`value / quantity` for display, rounded half-even to 12 decimals and without trailing zeros."""
    return plain(_ROUNDING.divide(value, quantity).quantize(SHARE_QUANTUM, context=_ROUNDING))


def plain(value: Decimal) -> Decimal:
    """The same number without trailing zeros and without an exponent: `1E+3` becomes `1000`, `-0` becomes `0`."""
    if not value:
        return ZERO
    normal = value.normalize(_ROUNDING)
    exponent = normal.as_tuple().exponent
    return normal.quantize(ONE, context=_ROUNDING) if isinstance(exponent, int) and exponent > 0 else normal


def text(value: Decimal) -> str:
    """The canonical text of a number, as the database and the API carry it; quick where `str` almost gives it."""
    written = str(value)
    if written.isdigit():
        return written
    if "E" in written or written.startswith("-0"):
        return format(plain(value), "f")
    return written.rstrip("0").rstrip(".") if "." in written else written
