"""Wall times to UTC, in a named zone, at a cost of a dictionary look-up per row."""

from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001  (a wall time)
_EPOCH_UTC: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY: Final = timedelta(days=1)
_CACHED_DAYS: Final = 4096
_GENERIC: Final = {"ET": "EST", "CT": "CST", "MT": "MST", "PT": "PST", "CEST": "CET", "CDST": "CET"}


class WallClock:
    """Turns the wall times of one zone into UTC.

    A time that occurs twice is the first of the two (fold 0); one that the clock skips is moved forward by what was
    skipped. `doubtful` counts both, and `example` is the first of them.
    """

    def __init__(self, zone: ZoneInfo) -> None:
        self.zone = zone
        self.doubtful = 0
        self.example: datetime | None = None
        self._starts: dict[date, datetime | None] = {}

    def utc(self, wall: datetime) -> datetime:
        """The instant of a naive wall time, aware, in UTC."""
        day = wall.date()
        try:
            start = self._starts[day]
        except KeyError:
            start = self._learn(day)
        if start is not None:
            return _EPOCH_UTC + (wall - start)
        return self._exactly(wall)

    def knows(self, abbreviation: str, wall: datetime) -> bool:
        """Whether the zone's clocks go by this abbreviation in that year, in any season (`EST`, `EDT`, `ET`)."""
        wanted = _GENERIC.get(abbreviation, abbreviation)
        names = {wall.replace(month=month, day=1, tzinfo=self.zone).tzname() for month in (1, 7)}
        return wanted in names or abbreviation in names

    def _learn(self, day: date) -> datetime | None:
        """The wall clock's 1970-01-01T00:00Z at a day of one offset; None for a day on which the clocks change."""
        midnight = datetime.combine(day, datetime.min.time())
        hours = [midnight + timedelta(hours=hour) for hour in range(-1, 26)]
        offsets = {time.replace(tzinfo=self.zone, fold=fold).utcoffset() for time in hours for fold in (0, 1)}
        offset = offsets.pop()
        if len(self._starts) >= _CACHED_DAYS:
            self._starts.clear()
        self._starts[day] = start = None if offsets or offset is None else _EPOCH + offset
        return start

    def _exactly(self, wall: datetime) -> datetime:
        local = wall.replace(tzinfo=self.zone, fold=0)
        if local.utcoffset() != local.replace(fold=1).utcoffset():
            self.doubtful += 1
            self.example = self.example or wall
        return local.astimezone(UTC)
