"""Options spelt out in words: `AAPL 01/19/2024 150.00 C`, `PUT (AAPL) APPLE INC JAN 19 24 $150 (100 SHS)`."""

import re
from datetime import date
from decimal import Decimal
from typing import Final, NamedTuple

from tradesense.brokers.months import MONTHS
from tradesense.domain.contracts import option
from tradesense.domain.instruments import Right

_CENTURY: Final = 100
_ROOT: Final = r"(?P<root>[A-Z][A-Z0-9./]*)"
_STRIKE: Final = r"\$?(?P<strike>(?:\d[\d,]*)?\.?\d+)"
_SLASHED: Final = r"(?P<month>\d{1,2})/(?P<day>\d{1,2})/(?P<year>\d{4}|\d{2})"
_NAMED: Final = r"(?P<name>[A-Z]{3}) ?(?P<day>\d{1,2}),? '?(?P<year>\d{4}|\d{2})"
_SPELLINGS: Final = tuple(
    re.compile(pattern)
    for pattern in (
        rf"{_ROOT} {_SLASHED} {_STRIKE} (?P<right>C|P|CALL|PUT)",  # Schwab
        rf"{_ROOT} {_SLASHED} (?P<right>CALL|PUT) {_STRIKE}",  # Robinhood, tastytrade
        rf"{_ROOT} (?P<day>\d{{1,2}})(?P<name>[A-Z]{{3}})(?P<year>\d{{2}}) {_STRIKE} (?P<right>[CP])",  # IBKR
        rf"{_ROOT} {_NAMED} {_STRIKE} (?P<right>CALL|PUT)",  # E*TRADE until 2024
        rf"(?P<right>CALL|PUT) {_ROOT} {_SLASHED} {_STRIKE}(?: .*)?",  # E*TRADE since 2025
        rf"(?P<right>CALL|PUT) \({_ROOT}\) .*?{_NAMED} {_STRIKE}(?: .*)?",  # Fidelity
    )
)


class OptionParts(NamedTuple):
    """What makes an option: its underlying's name, last day, strike and right."""

    root: str
    expiry: date
    strike: Decimal
    right: Right


def read_option(words: str) -> OptionParts | None:
    """The equity or index option that words name in one of the known spellings, an OCC symbol included; else None."""
    words = " ".join(words.upper().split())
    for pattern in _SPELLINGS:
        found = pattern.fullmatch(words)
        if found is not None:
            return _parts(found.groupdict())
    listed = option(words)
    if listed is None or listed.expiry is None or listed.strike is None or listed.right is None:
        return None
    return OptionParts(listed.root, listed.expiry, listed.strike, listed.right)


def _parts(told: dict[str, str]) -> OptionParts | None:
    month = MONTHS.get(told["name"].lower(), 0) if "name" in told else int(told["month"])
    year = int(told["year"])
    try:
        expiry = date(year if year >= _CENTURY else 2000 + year, month, int(told["day"]))
    except ValueError:
        return None
    right = Right.CALL if told["right"].startswith("C") else Right.PUT
    return OptionParts(told["root"], expiry, Decimal(told["strike"].replace(",", "")), right)
