"""Local time in numpy equals zoneinfo's own."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo, available_timezones

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tradesense.domain.local_time import day_number, day_of, instant, local, microseconds, months, weekdays

zones = st.sampled_from(sorted(available_timezones() - {"localtime", "Factory"})).map(ZoneInfo)
seconds = st.integers(0, 4_000_000_000)


def as_zoneinfo_says(at: int, zone: ZoneInfo) -> int:
    return microseconds(instant(at).astimezone(zone).replace(tzinfo=UTC))


@given(st.lists(st.integers(0, 4_000_000_000_000_000), max_size=8), zones)
def test_local_time_equals_zoneinfo(instants: list[int], zone: ZoneInfo) -> None:
    assert local(np.array(instants, np.int64), zone).tolist() == [as_zoneinfo_says(at, zone) for at in instants]


def test_the_hour_changes_at_the_very_microsecond() -> None:
    zone = ZoneInfo("America/New_York")
    change = microseconds(datetime(2026, 3, 8, 7, tzinfo=UTC))
    instants = np.array([change - 1, change, microseconds(datetime(2026, 11, 1, 6, tzinfo=UTC))], np.int64)
    assert [instant(at).strftime("%H:%M:%S.%f") for at in local(instants, zone).tolist()] == [
        "01:59:59.999999",
        "03:00:00.000000",
        "01:00:00.000000",
    ]


def test_a_week_between_two_changes_is_not_overlooked() -> None:
    zone = ZoneInfo("America/Noronha")
    instants = [microseconds(datetime(2000, 10, day, 12, tzinfo=UTC)) for day in (1, 9, 14, 20)]
    assert local(np.array(instants), zone).tolist() == [as_zoneinfo_says(at, zone) for at in instants]


@given(st.dates(date(1950, 1, 1), date(2100, 1, 1)))
def test_days_since_1970_know_their_weekday_and_month(day: date) -> None:
    number = np.array([day_number(day)])
    assert day_of(day_number(day)) == day
    assert weekdays(number).tolist() == [day.weekday()]
    assert months(number).tolist() == [(day.year - 1970) * 12 + day.month - 1]
