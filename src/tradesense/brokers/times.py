"""Dates and times as brokers write them: the day's order is settled once per column, then every row is read by it.

What decides whether 01/02 is in January or in February: a part over 12 anywhere in the column; else the person's
answer; else the order that the format is documented to have; else the person is asked.
"""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Final, NamedTuple

from tradesense.brokers.contract import DateOrder, NeedsInput, Question
from tradesense.brokers.months import MONTHS
from tradesense.brokers.zones import WallClock

FIRST_YEAR: Final = 1970
LAST_YEAR: Final = 2099
_PIVOT: Final = 70
_MONTHS_IN_YEAR: Final = 12
_EXAMPLES: Final = 3
_LONGEST: Final = 64
_YEAR_DIGITS: Final = 4
_LAST_DAY: Final = 31
_LAST_HOUR_OFFSET: Final = 14
_LAST_MINUTE: Final = 59
_OCLOCK: Final = frozenset({"UHR", "H", "HRS"})
_ISO_LENGTHS: Final = (10, 16, 19)
_SLASHED_LENGTHS: Final = (10, 16, 19)


class NotATime(ValueError):
    """A cell that should be a date or a time is none; the message says why."""


class Moment(NamedTuple):
    """An instant: aware UTC, the naive wall time that the file wrote, and the file's own text."""

    at: datetime
    wall: datetime
    text: str


_TIME: Final = (
    r"(?P<hour>\d{1,2})(?::(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,](?P<fraction>\d{1,9}))?)?)?\s*"
    r"(?P<half>[AaPp]\.?\s?[Mm]\.?)?"
)
_ZONE: Final = r"\s*[\(\[]?(?P<zone>[A-Za-z]{1,5}(?=[^A-Za-z]|$))?\s*(?P<offset>[+-]\d{1,2}(?::?\d{2})?)?[\)\]]?"
_DATE: Final = (
    r"(?P<a>\d{4}|\d{1,2})(?P<sep>[-/.])\s?(?P<b>\d{1,2})(?P=sep)\s?(?P<c>\d{4}|\d{2})"
    r"|(?P<packed>(?:19|20)\d{6})"
    r"|(?P<day>\d{1,2})(?:st|nd|rd|th|\.|º)?[-/ .]*(?:de )?(?P<month>[^\W\d_]{3,})[-/. ,]*(?:de )?"
    r"(?P<year>\d{4}|'?\d{2})"
    r"|(?P<month2>[^\W\d_]{3,})\.?[-/ ]*(?P<day2>\d{1,2})(?:st|nd|rd|th)?,?[-/ ]*(?P<year2>\d{4})"
    r"|(?P<year3>\d{4})[-/ ](?P<month3>[^\W\d_]{3,})[-/ ](?P<day3>\d{1,2})"
)
_WEEKDAY: Final = r"(?:[^\W\d_]{2,}\.?,\s*)?"
_WHOLE: Final = re.compile(
    rf"{_WEEKDAY}(?:{_DATE})(?:(?:\s*[T,;@]\s*|\s+(?:at |um |- )?)(?:{_TIME}|(?P<run>\d{{6}}))(?:{_ZONE}))?\s*"
)
_CLOCK: Final = re.compile(rf"(?:{_TIME}|(?P<run>\d{{6}}))(?:{_ZONE})")
_NUMERIC: Final = re.compile(r"\s*(\d{1,4})([-/.])\s?(\d{1,2})\2\s?(\d{1,4})(?!\d)")


def date_evidence(text: str) -> DateOrder | None:
    """The order of day and month that a cell proves by itself: a year first, or a part over 12."""
    found = _NUMERIC.match(text)
    if found is None:
        return None
    first, second = found[1], int(found[3])
    if len(first) == _YEAR_DIGITS or int(first) > _LAST_DAY:
        return DateOrder.YEAR_FIRST
    if int(first) > _MONTHS_IN_YEAR:
        return DateOrder.DAY_FIRST
    return DateOrder.MONTH_FIRST if second > _MONTHS_IN_YEAR else None


def needs_order(text: str) -> bool:
    """Whether a cell has a date that reads in two ways unless the order is known."""
    found = _NUMERIC.match(text)
    return found is not None and len(found[1]) < _YEAR_DIGITS and date_evidence(text) is None


def looks_like_a_date(text: str) -> bool:
    """Whether a cell reads as a date, with or without a time."""
    text = text.strip()
    return len(text) <= _LONGEST and _WHOLE.fullmatch(text) is not None


class OrderEvidence:
    """Collects what a column proves about its date order, until that is enough."""

    def __init__(self, column: str, expected: DateOrder | None) -> None:
        self._column = column
        self._expected = expected
        self._seen: set[DateOrder] = set()
        self._open: list[str] = []
        self._last = ""

    def see(self, text: str) -> bool:
        """Take a cell in; True when no further one can change the outcome."""
        start = text[:10]
        if start == self._last:
            return False
        self._last = start
        proof = date_evidence(text)
        if proof is not None:
            self._seen.add(proof)
            return proof in (self._expected, DateOrder.YEAR_FIRST)
        if len(self._open) < _EXAMPLES and needs_order(text):
            self._open.append(text)
        return False

    def order(self) -> DateOrder | None:
        """The order to read the column by; None where it needs none. Raises `NeedsInput` where nothing tells."""
        proven = self._seen - {DateOrder.YEAR_FIRST}
        if self._expected is not None and (self._expected in proven or not proven):
            return self._expected
        if len(proven) == 1:
            return proven.pop()
        if not proven and not self._open:
            return None
        why = (
            f"{self._column} has {', '.join(self._open)}, which may be month or day first"
            if not proven
            else f"{self._column} has dates with the month first and others with the day first"
        )
        raise NeedsInput(Question("date_order", why, (DateOrder.MONTH_FIRST.value, DateOrder.DAY_FIRST.value)))


class TimeReader:
    """Reads the times of one column, by one order and one zone's clock."""

    def __init__(self, order: DateOrder | None, clock: WallClock, day: date | None = None) -> None:
        self._order = order
        self._clock = clock
        self._day = day
        self._month_first = order is DateOrder.MONTH_FIRST
        self._day_first = order is DateOrder.DAY_FIRST

    def moment(self, text: str) -> Moment:
        """Read a date, with or without a time (midnight then) and a zone.

        Raises `NotATime` for what is none, `NeedsInput` for a zone name that the clock's zone does not go by.
        """
        wall = self._quick(text)
        if wall is not None:
            return Moment(self._clock.utc(wall), wall, text)
        return self._slow(text.strip(), text)

    def _quick(self, text: str) -> datetime | None:
        """The commonest spellings, by slices: `2026-01-02 03:04:05` and `01/02/2026 03:04:05`; None for others."""
        size = len(text)
        try:
            if text[4:5] == "-" and text[7:8] == "-" and size in _ISO_LENGTHS:
                return _sane(datetime.fromisoformat(text))
            if size in _SLASHED_LENGTHS and text[2] == text[5] and text[2] in "/.-" and text[10:11] in ("", " "):
                if self._month_first:
                    return _sane(datetime.fromisoformat(f"{text[6:10]}-{text[:2]}-{text[3:5]}{text[10:]}"))
                if self._day_first:
                    return _sane(datetime.fromisoformat(f"{text[6:10]}-{text[3:5]}-{text[:2]}{text[10:]}"))
        except ValueError:
            return None
        return None

    def _slow(self, text: str, source: str) -> Moment:
        found = _WHOLE.fullmatch(text) if len(text) <= _LONGEST else None
        if found is None:
            return self._undated(text, source)
        wall = _combined(self._date(found, text), found, text)
        return self._placed(wall, found, text, source)

    def _undated(self, text: str, source: str) -> Moment:
        """A time of day on the day that the person named."""
        found = _CLOCK.fullmatch(text) if len(text) <= _LONGEST else None
        if found is None or self._day is None:
            raise NotATime(f"{_shown(text)} is not a date" if text else "a date is missing")
        return self._placed(_combined(self._day, found, text), found, text, source)

    def _placed(self, wall: datetime, found: re.Match[str], text: str, source: str) -> Moment:
        offset = _offset(found["zone"], found["offset"], text)
        if offset is not None:
            return Moment((wall - offset).replace(tzinfo=UTC), wall, source)
        name = found["zone"]
        if name and name.upper() not in _OCLOCK and not self._clock.knows(name.upper(), wall):
            raise NeedsInput(
                Question(
                    "timezone",
                    f"the times carry {name!r}, which is no name of {self._clock.zone.key}'s time; "
                    "say which zone is meant",
                )
            )
        return Moment(self._clock.utc(wall), wall, source)

    def _date(self, found: re.Match[str], text: str) -> date:
        if found["packed"]:
            packed = found["packed"]
            return _date(int(packed[:4]), int(packed[4:6]), int(packed[6:]), text)
        if found["a"]:
            return self._numeric(found["a"], found["b"], found["c"], text)
        suffix = next(suffix for suffix in ("", "2", "3") if found["month" + suffix])
        name = found["month" + suffix]
        month = MONTHS.get(name.lower())
        if month is None:
            raise NotATime(f"{_shown(text)}: {name!r} is no month")
        return _date(_year(found["year" + suffix]), month, int(found["day" + suffix]), text)

    def _numeric(self, first: str, second: str, third: str, text: str) -> date:
        if len(first) == _YEAR_DIGITS or self._order is DateOrder.YEAR_FIRST or int(first) > _LAST_DAY:
            return _date(_year(first), int(second), int(third), text)
        if self._month_first:
            return _date(_year(third), int(first), int(second), text)
        if self._day_first:
            return _date(_year(third), int(second), int(first), text)
        raise NotATime(f"{_shown(text)} may be month or day first, and the column does not tell")


def _year(text: str) -> int:
    year = int(text.lstrip("'"))
    if len(text) == _YEAR_DIGITS:
        return year
    return year + (1900 if year >= _PIVOT else 2000)


def _date(year: int, month: int, day: int, text: str) -> date:
    try:
        found = date(year, month, day)
    except ValueError as error:
        raise NotATime(f"{_shown(text)} is not a date: {error}") from error
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise NotATime(f"{_shown(text)} is outside {FIRST_YEAR} to {LAST_YEAR}")
    return found


def _sane(wall: datetime) -> datetime | None:
    """A wall time within bounds; one that carries an offset (`2026-03-02T10+01`) is read the slow way."""
    return wall if wall.tzinfo is None and FIRST_YEAR <= wall.year <= LAST_YEAR else None


def _combined(day: date, found: re.Match[str], text: str) -> datetime:
    run = found["run"]
    if run:
        hour, minute, second, fraction, half = int(run[:2]), int(run[2:4]), int(run[4:]), "", None
    else:
        hour, minute, second = int(found["hour"] or 0), int(found["minute"] or 0), int(found["second"] or 0)
        fraction, half = found["fraction"] or "", found["half"]
    if half:
        if not 1 <= hour <= _MONTHS_IN_YEAR:
            raise NotATime(f"{_shown(text)} has no hour between 1 and 12 before AM or PM")
        hour = hour % 12 + (12 if half[0] in "Pp" else 0)
    try:
        return datetime(day.year, day.month, day.day, hour, minute, second, int(fraction.ljust(6, "0")[:6] or 0))  # noqa: DTZ001
    except ValueError as error:
        raise NotATime(f"{_shown(text)} is not a time: {error}") from error


def _offset(zone: str | None, offset: str | None, text: str) -> timedelta | None:
    """The offset that a time carries; None when it carries none or only a zone's name."""
    if offset:
        sign = -1 if offset[0] == "-" else 1
        digits = offset[1:].replace(":", "")
        hours, minutes = divmod(int(digits), 100) if len(digits) > len("14") else (int(digits), 0)
        if hours > _LAST_HOUR_OFFSET or minutes > _LAST_MINUTE:
            raise NotATime(f"{_shown(text)} has no such offset from UTC")
        return sign * timedelta(hours=hours, minutes=minutes)
    return timedelta(0) if zone and zone.upper() in ("UTC", "GMT", "Z") else None


def _shown(text: str) -> str:
    return repr(text if len(text) <= _LONGEST else text[:_LONGEST] + "…")
