"""Numbers as brokers write them, to `Decimal`: separators, currencies, parentheses, and nothing guessed.

Whether `1,234` is a thousand or one and a bit is decided once per column: by the column's other values, else by the
file's other columns, else by the format's documented style, else the comma groups and the point is decimal (in a file
whose cells are separated by semicolons a lone comma is decimal).
"""

import re
from collections.abc import Callable
from decimal import Decimal
from enum import Enum
from functools import lru_cache, partial
from typing import Final

from tradesense.domain.money import MAX_DECIMALS, MAX_MAGNITUDE, MAX_SIGNIFICANT_DIGITS


class NumberStyle(Enum):
    """Which character is the decimal one; the other one groups thousands."""

    POINT = "."
    COMMA = ","


class NotANumber(ValueError):
    """A cell that should be a number is none; the message says why."""


_FAST_POINT: Final = re.compile(r"-?[0-9]{1,14}(?:\.[0-9]{1,11})?").fullmatch
_POINT: Final = NumberStyle.POINT
_SHOWN: Final = 40
_REMEMBERED: Final = 1024
_EMPTY: Final = frozenset({"", "-", "--", "---", "–", "—", "N/A", "n/a", "NA", "null", "None", "nan", "NaN"})
_SPACES: Final = re.compile(r"[\s\u2060\ufeff]+")
_GROUPING_SPACE: Final = re.compile(r"(?<=[0-9])\s(?=[0-9])")
_CURRENCY: Final = re.compile(
    r"(?:US|CA?|AU?|NZ|HK|SG?|MX|R)?\$|[€£¥₹₽₿₩₺฿₫₪₴]|(?<![A-Za-z0-9])(?:"
    r"USD|EUR|GBP|GBX|CHF|JPY|CAD|AUD|NZD|SEK|NOK|DKK|ISK|PLN|CZK|HUF|RON|BGN|TRY|ILS|ZAR|INR|CNY|CNH|HKD|SGD|TWD"
    r"|KRW|THB|IDR|MYR|PHP|BRL|MXN|CLP|COP|ARS|AED|SAR|RUB|UAH|USDT|USDC|BUSD|BTC|ETH|kr\.?|zł|Fr\.?|Kč|Ft"
    r")(?![A-Za-z])"
)
_MINUSES: Final = str.maketrans(
    {"−": "-", "–": "-", "\u2010": "-", "\u2011": "-", "’": "'", "‘": "'", "`": "'", "\u00b4": "'"}
)
_BODY: Final = re.compile(r"[0-9][0-9.,']*|[.,][0-9]+")
_SIGNED: Final = re.compile(r"(?P<sign>[+-]?)(?P<body>[0-9.,']+)(?P<exponent>[eE][+-]?[0-9]{1,3})?(?P<trailing>-?)")
_GROUPED: Final = {
    separator: re.compile(rf"[0-9]{{1,3}}(?:{re.escape(separator)}[0-9]{{3}})+").fullmatch for separator in ",.'"
}


def is_empty(text: str) -> bool:
    """Whether a cell says that there is no number: empty, dashes, `N/A`."""
    return text.strip() in _EMPTY


def parse_number(text: str, style: NumberStyle = NumberStyle.POINT) -> Decimal:
    """Read a number; raises `NotANumber` for anything else, percentages and numbers out of bounds included.

    Understands `1,234.56`, `1.234,56` (by style), `1 234.5`, `1'234.50`, `(75.90)`, `$(400.00)`, `-$3`, `€-3`, `12-`,
    `3.6E-05`, `USD 5`, with any spaces around.
    """
    if style is _POINT and _FAST_POINT(text):
        return Decimal(text)
    sign, body, exponent = _dissect(text)
    return _bounded(text, sign + _digits(text, body, style) + exponent)


def number_reader(style: NumberStyle) -> Callable[[str], Decimal]:
    """`parse_number` in one style, for a column; its latest numbers are remembered, as quantities and fees recur."""
    return lru_cache(maxsize=_REMEMBERED)(partial(parse_number, style=style))


def evidence(text: str) -> NumberStyle | None:
    """The style that a cell proves by itself; None when it would read under both, or is no number."""
    if text.isdigit():
        return None
    try:
        _, body, exponent = _dissect(text)
    except NotANumber:
        return None
    points, commas = body.count("."), body.count(",")
    if points and commas:
        return NumberStyle.POINT if body.rfind(".") > body.rfind(",") else NumberStyle.COMMA
    if not points and not commas:
        return None
    mark, other = (".", NumberStyle.COMMA) if points else (",", NumberStyle.POINT)
    if points + commas > 1:
        return other if _GROUPED[mark](body) else None
    return None if _GROUPED[mark](body) and not body.startswith("0") and not exponent else NumberStyle(mark)


def _dissect(text: str) -> tuple[str, str, str]:
    """Cut a cell into sign, digits with separators, and exponent; currency and parentheses fall away.

    A space between digits groups them, as an apostrophe does.
    """
    rest = _SPACES.sub("", _GROUPING_SPACE.sub("'", _CURRENCY.sub("", text.translate(_MINUSES))))
    negative = False
    if rest.startswith('="') and rest.endswith('"'):
        rest = rest[2:-1]
    if rest[:1] in ("-", "+") and rest[1:2] == "(":
        negative, rest = rest[0] == "-", rest[1:]
    if rest.startswith("(") and rest.endswith(")"):
        negative, rest = not negative, rest[1:-1]
    found = _SIGNED.fullmatch(rest)
    if found is None or not _BODY.fullmatch(found["body"]):
        raise NotANumber(_complaint(text))
    if found["sign"] and (found["trailing"] or negative):
        raise NotANumber(f"{_shown(text)} has two signs")
    minus = negative or found["sign"] == "-" or found["trailing"] == "-"
    return "-" if minus else "", found["body"], found["exponent"] or ""


def _complaint(text: str) -> str:
    if not text.strip():
        return "a number is missing"
    if "%" in text:
        return f"{_shown(text)} is a percentage where a number is needed"
    return f"{_shown(text)} is not a number"


def _digits(text: str, body: str, style: NumberStyle) -> str:
    """Take the grouping out, if it groups in threes, and write the decimal mark as a point."""
    mark = style.value
    group = "," if style is NumberStyle.POINT else "."
    whole, point, fraction = body.partition(mark)
    if mark in fraction or group in fraction or "'" in fraction:
        raise NotANumber(f"{_shown(text)} does not read as a number with the decimal mark {mark!r} of its column")
    for separator in (group, "'"):
        if separator in whole:
            if not _GROUPED[separator](whole):
                raise NotANumber(
                    f"{_shown(text)} does not read as a number with the decimal mark {mark!r} of its column"
                )
            whole = whole.replace(separator, "")
    return f"{whole}.{fraction}" if point and fraction else whole


def _bounded(text: str, number: str) -> Decimal:
    value = Decimal(number)
    _, digits, exponent = value.as_tuple()
    if abs(value) >= MAX_MAGNITUDE or len(digits) > MAX_SIGNIFICANT_DIGITS or -int(exponent) > MAX_DECIMALS:
        raise NotANumber(
            f"{_shown(text)} is out of bounds: up to {MAX_SIGNIFICANT_DIGITS} digits, "
            f"{MAX_DECIMALS} of them decimals, below {MAX_MAGNITUDE:f}"
        )
    return value


def _shown(text: str) -> str:
    text = text.strip()
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "…")
