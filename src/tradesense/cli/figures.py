"""Numbers as a person reads them: money with thousands separators, shares in percent, times in their largest units."""

from decimal import Decimal
from typing import Final

from rich.text import Text

NOTHING: Final = "—"
_CENT: Final = Decimal("0.01")
_MINUTE: Final = 60
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR


def money(value: Decimal | str, *, signed: bool = False) -> str:
    """`1234.5` as `1,234.50`; what is smaller than a cent keeps four significant digits."""
    amount = Decimal(value)
    sign = "+" if signed else ""
    if amount and abs(amount) < _CENT:
        return f"{amount:{sign}.4g}"
    return f"{amount:{sign},.2f}"


def exact(value: Decimal | str) -> str:
    """A price or a quantity with all its digits and thousands separators."""
    return f"{Decimal(value):,f}"


def gain(value: Decimal | str) -> Text:
    """Money with its sign, green or red; nothing has neither."""
    amount = Decimal(value)
    style = "green" if amount > 0 else "red" if amount < 0 else ""
    return Text(money(amount, signed=bool(amount)), style, justify="right")


def percent(value: float) -> str:
    """`0.4167` as `41.7 %`."""
    return f"{value * 100:,.1f} %"


def ratio(value: float) -> str:
    """Two decimals, thousands separated."""
    return f"{value:,.2f}"


def duration(seconds: float) -> str:
    """The two largest units: `3 d 4 h`, `2 h 05 min`, `11 min 18 s`, `24 s`."""
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE:02} s"
    if whole < _DAY:
        return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE:02} min"
    return f"{whole // _DAY:,} d {whole % _DAY // _HOUR} h"
