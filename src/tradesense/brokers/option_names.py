"""Options as Tradervue names them: `JAN 12 125 CALL` for a monthly one, `APR26 13 375 PUT` for a day."""

import re
from datetime import date, timedelta
from decimal import Decimal
from typing import Final, NamedTuple

from tradesense.brokers.months import MONTHS
from tradesense.domain.instruments import Right

_FRIDAY: Final = 4
_WEEK: Final = 7
_NAME: Final = re.compile(
    r"(?P<month>[A-Z]{3})\s?(?P<day>\d{1,2})?\s+(?P<year>\d{2}|\d{4})\s+(?P<strike>\d+(?:\.\d+)?)\s+(?P<right>CALL|PUT|C|P)"
)


class OptionName(NamedTuple):
    """What an option's name says, without its underlying."""

    expiry: date
    strike: Decimal
    right: Right


def read_option_name(name: str) -> OptionName | None:
    """Read a name of month, day or none, year, strike and right; a month alone means its third Friday."""
    found = _NAME.fullmatch(name.strip().upper())
    month = MONTHS.get(found["month"].lower()) if found else None
    if found is None or month is None:
        return None
    year = int(found["year"]) + (2000 if len(found["year"]) == len("12") else 0)
    try:
        expiry = date(year, month, int(found["day"])) if found["day"] else third_friday(year, month)
    except ValueError:
        return None
    return OptionName(expiry, Decimal(found["strike"]), Right.CALL if found["right"][0] == "C" else Right.PUT)


def third_friday(year: int, month: int) -> date:
    """The day on which monthly options expire."""
    first = date(year, month, 1)
    return first + timedelta(days=(_FRIDAY - first.weekday()) % _WEEK + 2 * _WEEK)
