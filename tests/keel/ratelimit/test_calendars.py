"""Windows of the calendar."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keel.ratelimit.calendars import window
from keel.ratelimit.contract import Unit

HOUR_US = 3600 * 1_000_000
ZONES = ["UTC", "Europe/Berlin", "America/Sao_Paulo", "Asia/Beirut", "Asia/Kathmandu", "Pacific/Apia", "America/Havana"]


def us(text: str, zone: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC).timestamp()) * 1_000_000


@pytest.mark.parametrize(
    ("unit", "zone", "at", "start", "end"),
    [
        (Unit.DAY, "America/New_York", "2026-03-05T23:59:59", "2026-03-05T00:00", "2026-03-06T00:00"),
        (Unit.WEEK, "Europe/Berlin", "2026-03-01T12:00", "2026-02-23T00:00", "2026-03-02T00:00"),
        (Unit.MONTH, "UTC", "2026-12-31T23:59:59", "2026-12-01T00:00", "2027-01-01T00:00"),
        (Unit.MONTH, "UTC", "2026-02-01T00:00", "2026-02-01T00:00", "2026-03-01T00:00"),
        (Unit.YEAR, "Asia/Tokyo", "2026-01-01T00:00", "2026-01-01T00:00", "2027-01-01T00:00"),
    ],
)
def test_a_window_begins_and_ends_where_people_there_say(unit: Unit, zone: str, at: str, start: str, end: str) -> None:
    assert window(unit, zone, us(at, zone)) == (us(start, zone), us(end, zone))


def test_days_on_which_clocks_are_changed_are_shorter_and_longer() -> None:
    spring = window(Unit.DAY, "Europe/Berlin", us("2026-03-29T12:00", "Europe/Berlin"))
    autumn = window(Unit.DAY, "Europe/Berlin", us("2026-10-25T12:00", "Europe/Berlin"))
    assert (spring.end - spring.start, autumn.end - autumn.start) == (23 * HOUR_US, 25 * HOUR_US)


@given(
    unit=st.sampled_from(Unit),
    zone=st.sampled_from(ZONES),
    at=st.integers(us("1990-01-01T00:00", "UTC"), us("2037-01-01T00:00", "UTC")),
)
def test_windows_hold_their_moment_and_follow_each_other_without_a_gap(unit: Unit, zone: str, at: int) -> None:
    found = window(unit, zone, at)
    assert found.start <= at < found.end
    assert window(unit, zone, found.start) == found
    assert window(unit, zone, found.end - 1) == found
    assert window(unit, zone, found.end).start == found.end
