"""Windows of the calendar: when the day, week, month or year of a moment begins and ends somewhere."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from keel.ratelimit.contract import SECOND_US, Unit

_MICROSECOND: Final = timedelta(microseconds=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DECEMBER: Final = 12


class Window(NamedTuple):
    """From `start` up to `end`, which no longer belongs to it, in µs since 1970."""

    start: int
    end: int


NOWHERE: Final = Window(0, 0)


def window(unit: Unit, zone: str, at_us: int) -> Window:
    """The window that a moment lies in. A day on which clocks are changed is 23 or 25 hours; weeks begin on Monday."""
    place = ZoneInfo(zone)
    day = datetime.fromtimestamp(at_us // SECOND_US, place).date()
    first, following = _dates(unit, day)
    return Window(_midnight(first, place), _midnight(following, place))


def _dates(unit: Unit, day: date) -> tuple[date, date]:
    if unit is Unit.DAY:
        return day, day + timedelta(days=1)
    if unit is Unit.WEEK:
        monday = day - timedelta(days=day.weekday())
        return monday, monday + timedelta(days=7)
    if unit is Unit.YEAR:
        return day.replace(month=1, day=1), day.replace(year=day.year + 1, month=1, day=1)
    over = day.month == _DECEMBER
    following = day.replace(year=day.year + over, month=1 if over else day.month + 1, day=1)
    return day.replace(day=1), following


def _midnight(day: date, place: ZoneInfo) -> int:
    """Where there is no midnight this is the moment at which clocks jump over it; of two it is the first."""
    return (datetime.combine(day, time.min, place).astimezone(UTC) - _EPOCH) // _MICROSECOND
