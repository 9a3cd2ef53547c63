"""Limits as people write them: `10/s burst 20`, `5000/day`, `20/5min sliding window`, `3 at once for 30s`."""

import re
from functools import lru_cache
from typing import Final

from keel.ratelimit.contract import SECOND_US, UTC, Algorithm, Limit, Unit

_UNITS: Final = {
    "ms": 1_000,
    "s": SECOND_US,
    "sec": SECOND_US,
    "second": SECOND_US,
    "m": 60 * SECOND_US,
    "min": 60 * SECOND_US,
    "minute": 60 * SECOND_US,
    "h": 3600 * SECOND_US,
    "hour": 3600 * SECOND_US,
    "d": 86_400 * SECOND_US,
    "day": 86_400 * SECOND_US,
    "w": 7 * 86_400 * SECOND_US,
    "week": 7 * 86_400 * SECOND_US,
}
_CALENDAR: Final = {"month": (Unit.MONTH, 30), "year": (Unit.YEAR, 365)}
_DAY_US: Final = _UNITS["day"]
_RATE: Final = re.compile(
    r"(?P<count>[0-9][0-9_,]*)\s*(?:/|\bper\b)\s*(?P<many>[0-9]+)?\s*(?P<unit>[a-z]+)"
    r"(?:\s+burst\s+(?P<burst>[0-9][0-9_,]*))?"
    r"(?:\s+(?P<algorithm>gcra|token[ _]bucket|sliding[ _]window|fixed[ _]window))?"
    r"(?:\s+in\s+(?P<zone>\S+))?",
    re.IGNORECASE,
)
_AT_ONCE: Final = re.compile(
    r"(?P<count>[0-9][0-9_,]*)\s+at\s+once(?:\s+for\s+(?P<many>[0-9]+)?\s*(?P<unit>[a-z]+))?", re.IGNORECASE
)
LEASE_US: Final = 60 * SECOND_US
"""How long a lease of a concurrency lasts unless it is said."""


class QuotaMalformed(ValueError):
    """The text is no limit."""

    def __init__(self, text: str, why: str = "write 10/s, 100/min burst 50, 5000/day, 3 at once") -> None:
        super().__init__(f"{text!r} is no limit: {why}")


@lru_cache(maxsize=1024)
def parse(text: str, name: str = "default") -> Limit:
    """The limit that a text describes, under `name`; raises QuotaMalformed.

    `COUNT/[N]UNIT [burst N] [gcra|token bucket|sliding window|fixed window] [in ZONE]`, with units from `ms` to `year`.
    GCRA is meant unless it is said otherwise, or is about months, years or a time zone: those are fixed windows of the
    calendar. `COUNT at once [for [N]UNIT]` is a concurrency with its lease, one minute unless given.
    """
    try:
        if (found := _AT_ONCE.fullmatch(text.strip())) is not None:
            return _at_once(found, name)
        if (found := _RATE.fullmatch(text.strip())) is not None:
            return _rate(found, name)
    except (ValueError, KeyError) as error:
        raise QuotaMalformed(text, str(error)) from None
    raise QuotaMalformed(text)


def _at_once(found: re.Match[str], name: str) -> Limit:
    lease_us = _period(found) if found["unit"] else LEASE_US
    return Limit(_number(found["count"]), lease_us, Algorithm.CONCURRENCY, name=name)


def _rate(found: re.Match[str], name: str) -> Limit:
    count, unit = _number(found["count"]), _singular(found["unit"])
    burst = _number(found["burst"]) if found["burst"] else None
    said = found["algorithm"]
    algorithm = Algorithm(said.lower().replace(" ", "_")) if said else None
    zone = found["zone"]
    if unit in _CALENDAR or zone or (algorithm is Algorithm.FIXED_WINDOW and unit in {"d", "day", "w", "week"}):
        if found["many"] not in {None, "1"}:
            raise ValueError("a window of the calendar is one day, week, month or year")
        window, period_us = _window(unit)
        fixed = algorithm or Algorithm.FIXED_WINDOW
        return Limit(count, period_us, fixed, burst, name, window, zone or UTC)
    return Limit(count, _period(found), algorithm or Algorithm.GCRA, burst, name)


def _window(unit: str) -> tuple[Unit, int]:
    if unit in _CALENDAR:
        window, days = _CALENDAR[unit]
        return window, days * _DAY_US
    if _UNITS.get(unit, 0) < _DAY_US:
        raise ValueError("a time zone is for days, weeks, months and years")
    return Unit({"d": "day", "w": "week"}.get(unit, unit)), _UNITS[unit]


def _period(found: re.Match[str]) -> int:
    unit = _singular(found["unit"])
    if unit not in _UNITS:
        raise ValueError(f"{found['unit']} is no unit of time")
    return int(found["many"] or 1) * _UNITS[unit]


def _singular(unit: str) -> str:
    word = unit.lower()
    return word[:-1] if len(word) > 2 and word.endswith("s") else word  # noqa: PLR2004 - "ms" and "s" are none


def _number(text: str) -> int:
    return int(text.replace(",", "").replace("_", ""))
