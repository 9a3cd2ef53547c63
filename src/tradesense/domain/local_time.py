"""Instants as a clock on the wall shows them: µs since 1970 in UTC become µs since 1970 of a zone's own time."""

from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from tradesense.domain.columns import Ints

SECOND: Final = 1_000_000
HOUR: Final = 3600 * SECOND
DAY: Final = 24 * HOUR

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_ORDINAL: Final = date(1970, 1, 1).toordinal()
_THURSDAY: Final = 3
_STRIDE: Final = 3 * 24 * 3600
"""Seconds between two looks at a zone's offset. The shortest time for which any zone of tzdata 2026 has left an offset
before it came back to it is 6.96 days (parts of Brazil, October 2000), so no change is overlooked."""


def local(at: Ints, zone: ZoneInfo) -> Ints:
    """The local time, in µs since 1970, of instants in µs since 1970 UTC."""
    if not len(at):
        return at
    starts, offsets = _offsets(zone, int(at.min()) // SECOND, int(at.max()) // SECOND)
    place: Ints | int = np.searchsorted(starts, at, side="right") if len(starts) else 0
    moved: Ints = at + offsets[place]
    return moved


def microseconds(at: datetime) -> int:
    """µs since 1970 UTC of an aware time."""
    since = at - _EPOCH
    return (since.days * 86_400 + since.seconds) * SECOND + since.microseconds  # a third of what dividing takes


def instant(at: int) -> datetime:
    """The aware time of µs since 1970 UTC."""
    return _EPOCH + timedelta(microseconds=at)


def day_number(day: date) -> int:
    """Days since 1970-01-01."""
    return day.toordinal() - _EPOCH_ORDINAL


def day_of(number: int) -> date:
    """The day that lies so many days after 1970-01-01."""
    return date.fromordinal(number + _EPOCH_ORDINAL)


def weekdays(days: Ints) -> Ints:
    """0 for Monday to 6 for Sunday, of days since 1970-01-01."""
    return (days + _THURSDAY) % 7


def months(days: Ints) -> Ints:
    """Months since 1970-01, of days since 1970-01-01."""
    return days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)


def _offsets(zone: ZoneInfo, first: int, last: int) -> tuple[Ints, Ints]:
    """The zone's offsets from `first` to `last` (seconds), in µs, and the instants at which all but the first begin."""
    starts: list[int] = []
    offsets = [_offset(zone, first)]
    for left in range(first, last, _STRIDE):
        right = min(left + _STRIDE, last)
        found = _offset(zone, right)
        if found != offsets[-1]:
            starts.append(_change(zone, left, right) * SECOND)
            offsets.append(found)
    return np.array(starts, np.int64), np.array(offsets, np.int64)


def _change(zone: ZoneInfo, left: int, right: int) -> int:
    """The second, after `left` and up to `right`, from which the offset is that of `right`."""
    new = _offset(zone, right)
    while right - left > 1:
        middle = (left + right) // 2
        left, right = (left, middle) if _offset(zone, middle) == new else (middle, right)
    return right


def _offset(zone: ZoneInfo, at: int) -> int:
    offset = (_EPOCH + timedelta(seconds=at)).astimezone(zone).utcoffset() or timedelta()
    return offset // timedelta(microseconds=1)
