"""Dates and times as brokers write them."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradesense.brokers.contract import DateOrder, NeedsInput
from tradesense.brokers.times import (
    Moment,
    NotATime,
    OrderEvidence,
    TimeReader,
    date_evidence,
    looks_like_a_date,
)
from tradesense.brokers.zones import WallClock

NEW_YORK, BERLIN, GREENWICH = ZoneInfo("America/New_York"), ZoneInfo("Europe/Berlin"), ZoneInfo("UTC")
MONTH, DAY, YEAR = DateOrder.MONTH_FIRST, DateOrder.DAY_FIRST, DateOrder.YEAR_FIRST


def read(text: str, order: DateOrder | None = None, zone: ZoneInfo = GREENWICH, day: date | None = None) -> Moment:
    return TimeReader(order, WallClock(zone), day).moment(text)


@pytest.mark.parametrize(
    ("text", "order", "wall"),
    [
        ("2026-01-02", None, "2026-01-02 00:00:00"),
        ("2026-01-02 03:04", None, "2026-01-02 03:04:00"),
        ("2026-01-02 03:04:05", None, "2026-01-02 03:04:05"),
        ("2026-01-02T03:04:05", None, "2026-01-02 03:04:05"),
        ("2026-01-02, 03:04:05", None, "2026-01-02 03:04:05"),
        ("2026-01-02;030405", None, "2026-01-02 03:04:05"),
        ("20260102", None, "2026-01-02 00:00:00"),
        ("20260102;030405", None, "2026-01-02 03:04:05"),
        ("20260102 03:04:05", None, "2026-01-02 03:04:05"),
        ("2026/01/02 03:04:05", None, "2026-01-02 03:04:05"),
        ("2026.01.02 03:04:05", None, "2026-01-02 03:04:05"),
        ("2026-01-02 03:04:05.123456", None, "2026-01-02 03:04:05.123456"),
        ("2026-01-02 03:04:05.1234567", None, "2026-01-02 03:04:05.123456"),
        ("2026-01-02 03:04:05,5", None, "2026-01-02 03:04:05.500000"),
        ("01/02/2026 03:04:05", MONTH, "2026-01-02 03:04:05"),
        ("01/02/2026 03:04:05", DAY, "2026-02-01 03:04:05"),
        ("01.02.2026 03:04", DAY, "2026-02-01 03:04:00"),
        ("01-02-2026", DAY, "2026-02-01 00:00:00"),
        ("1/2/26", MONTH, "2026-01-02 00:00:00"),
        ("1/2/99", MONTH, "1999-01-02 00:00:00"),
        ("7/2/2026 9:12", MONTH, "2026-07-02 09:12:00"),
        ("7/2/2026 9:12:05 PM", MONTH, "2026-07-02 21:12:05"),
        ("7/2/2026 12:12 AM", MONTH, "2026-07-02 00:12:00"),
        ("7/2/2026 12:12 p.m.", MONTH, "2026-07-02 12:12:00"),
        ("7/2/2026, 9:12 am", MONTH, "2026-07-02 09:12:00"),
        ("26/01/02", YEAR, "2026-01-02 00:00:00"),
        ("99/01/02", None, "1999-01-02 00:00:00"),
        ("02-Apr-2025", None, "2025-04-02 00:00:00"),
        ("2 April 2025 10:11", None, "2025-04-02 10:11:00"),
        ("Apr 2, 2025 10:11 PM", None, "2025-04-02 22:11:00"),
        ("April 2nd 2025", None, "2025-04-02 00:00:00"),
        ("Wed, 2 Apr 2025", None, "2025-04-02 00:00:00"),
        ("2025-Apr-02", None, "2025-04-02 00:00:00"),
        ("02 avr. 2025", None, "2025-04-02 00:00:00"),
        ("2. März 2025", None, "2025-03-02 00:00:00"),
        ("2 mrt 2025", None, "2025-03-02 00:00:00"),
        ("2 de marzo de 2025", None, "2025-03-02 00:00:00"),
        ("2 gennaio 2025", None, "2025-01-02 00:00:00"),
        ("2 fevereiro 2025", None, "2025-02-02 00:00:00"),
        ("2 août 2025", None, "2025-08-02 00:00:00"),
        ("02.04.2025 um 10:11 Uhr", DAY, "2025-04-02 10:11:00"),
    ],
)
def test_a_wall_time(text: str, order: DateOrder | None, wall: str) -> None:
    moment = read(text, order)
    assert str(moment.wall) == wall
    assert moment.at == moment.wall.replace(tzinfo=UTC)
    assert moment.text == text


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-02 10:00:00 UTC",
        "2026-01-02 10:00:00 GMT",
        "2026-01-02T10:00:00Z",
        "2026-01-02T10:00:00.000Z",
        "2026-01-02 12:00:00 +02:00",
        "2026-01-02 12:00:00+0200",
        "2026-01-02 12:00:00 GMT+2",
        "2026-01-02 12:00:00 (UTC+02:00)",
        "01/02/2026 05:00:00 -05:00",
        "2026-01-02 04:30:00 -05:30",
    ],
)
def test_a_zone_in_the_text_comes_before_the_clocks_own(text: str) -> None:
    moment = read(text, MONTH, BERLIN)
    assert moment.at == datetime(2026, 1, 2, 10, tzinfo=UTC)
    assert moment.wall.tzinfo is None


@pytest.mark.parametrize("name", ["EST", "EDT", "ET", "est"])
def test_a_zones_own_abbreviations_are_understood(name: str) -> None:
    assert read(f"2026-01-02 10:00:00 {name}", None, NEW_YORK).at == datetime(2026, 1, 2, 15, tzinfo=UTC)


@pytest.mark.parametrize("name", ["EST", "CST", "IST", "XYZ"])
def test_a_zones_name_that_the_clock_does_not_go_by_is_asked_for(name: str) -> None:
    with pytest.raises(NeedsInput) as asked:
        read(f"2026-01-02 10:00:00 {name}", None, BERLIN)
    assert asked.value.questions[0].field == "timezone"
    assert name in asked.value.questions[0].why


@pytest.mark.parametrize(
    "text",
    [
        "", "abc", "2026-13-01", "2026-02-30", "32/01/2026", "13/13/2026", "00/00/2026", "2026-01-02 25:00",
        "1969-12-31", "2100-01-01", "0001-01-01", "9999-12-31", "2026-01-02 10:60", "13:00 AM",
        "2026-01-02 13:00 PM", "2 Foo 2025",
        "2026-01-02 10:00 +99:00", "2026-01-02 10:00 +10:99", "12", "1.5", "2026-01-02 10:00:00 extra words",
        "20261301", "2026-W01-1", "2026-01", "1/2", "1/2/123", "123/1/2",
        "x" * 10_000, "31 June 2025", "24:00:00", "0099-01-01 00:00:00",
    ],
)  # fmt: skip
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(NotATime):
        read(text, MONTH)


def test_an_ambiguous_date_is_not_guessed_when_the_column_does_not_tell() -> None:
    with pytest.raises(NotATime, match="month or day first"):
        read("01/02/2026 10:00:00")


def test_a_time_of_day_takes_the_day_that_was_named() -> None:
    assert read("09:31:05", day=date(2026, 3, 2), zone=NEW_YORK).at == datetime(2026, 3, 2, 14, 31, 5, tzinfo=UTC)
    with pytest.raises(NotATime):
        read("09:31:05")


@pytest.mark.parametrize(
    ("text", "proof"),
    [
        ("13/02/2026", DAY),
        ("02/13/2026", MONTH),
        ("2026-01-02", YEAR),
        ("1.2.2026", None),
        ("31.12.26", DAY),
        ("99/01/02", YEAR),
        ("09:31", None),
        ("2 Apr 2026", None),
    ],
)
def test_what_a_date_proves_about_its_order(text: str, proof: DateOrder | None) -> None:
    assert date_evidence(text) is proof


def order_of(texts: list[str], expected: DateOrder | None = None) -> DateOrder | None:
    proof = OrderEvidence("Date", expected)
    for text in texts:
        if proof.see(text):
            break
    return proof.order()


def test_one_day_over_twelve_decides_the_column() -> None:
    assert order_of(["01/02/2026", "02/02/2026", "13/02/2026"]) is DAY
    assert order_of(["01/02/2026", "02/02/2026", "02/13/2026"]) is MONTH


def test_the_column_comes_before_the_documented_order() -> None:
    assert order_of(["01/02/2026", "13/02/2026"], MONTH) is DAY


def test_the_documented_order_decides_where_the_column_does_not() -> None:
    assert order_of(["01/02/2026"], MONTH) is MONTH


def test_one_broken_date_does_not_turn_a_documented_column_round() -> None:
    assert order_of(["13/02/2026", "02/14/2026", "01/02/2026"], MONTH) is MONTH


def test_a_column_that_nothing_decides_is_asked_for_with_examples() -> None:
    with pytest.raises(NeedsInput) as asked:
        order_of(["7/2/2026 9:12", "7/3/2026 9:12"])
    (question,) = asked.value.questions
    assert question.field == "date_order"
    assert question.options == ("mdy", "dmy")
    assert "7/2/2026 9:12" in question.why


def test_a_column_with_both_orders_is_asked_for() -> None:
    with pytest.raises(NeedsInput, match="others with the day first"):
        order_of(["13/02/2026", "02/14/2026"])


def test_a_column_of_plain_dates_needs_no_order() -> None:
    assert order_of(["2026-01-02", "2 Apr 2026", ""]) is None


@pytest.mark.parametrize("text", ["2026-01-02", "1/2/26 10:00", "2 Apr 2026", "20260102"])
def test_dates_look_like_dates(text: str) -> None:
    assert looks_like_a_date(text)


@pytest.mark.parametrize("text", ["AAPL", "12.5", "1,234", "buy", "", "1" * 100])
def test_other_cells_do_not(text: str) -> None:
    assert not looks_like_a_date(text)


walls = st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1)).map(lambda wall: wall.replace(microsecond=0))  # noqa: DTZ001
zones = st.sampled_from(["America/New_York", "Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe", "UTC"]).map(
    ZoneInfo
)


@given(wall=walls, zone=zones)
def test_every_spelling_of_a_wall_time_is_the_same_instant(wall: datetime, zone: ZoneInfo) -> None:
    clock = WallClock(zone)
    expected = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    month, day = TimeReader(MONTH, clock), TimeReader(DAY, clock)
    for moment in (
        month.moment(f"{wall:%Y-%m-%d %H:%M:%S}"),
        month.moment(f"{wall:%Y-%m-%dT%H:%M:%S}"),
        month.moment(f"{wall:%m/%d/%Y %H:%M:%S}"),
        month.moment(f"{wall.month}/{wall.day}/{wall.year} {wall:%I:%M:%S %p}"),
        month.moment(f"{wall:%Y%m%d;%H%M%S}"),
        month.moment(f"{wall:%d-%b-%Y %H:%M:%S}"),
        day.moment(f"{wall:%d.%m.%Y %H:%M:%S}"),
        day.moment(f"{wall:%d/%m/%Y %H:%M:%S}"),
    ):
        assert moment.at == expected
        assert moment.wall == wall


def test_a_time_that_occurs_twice_is_the_first_and_is_noticed() -> None:
    clock = WallClock(NEW_YORK)
    assert clock.utc(datetime(2026, 11, 1, 1, 30)) == datetime(2026, 11, 1, 5, 30, tzinfo=UTC)  # noqa: DTZ001
    assert (clock.doubtful, clock.example) == (1, datetime(2026, 11, 1, 1, 30))  # noqa: DTZ001


def test_a_time_that_the_clock_skips_moves_forward_and_is_noticed() -> None:
    clock = WallClock(NEW_YORK)
    assert clock.utc(datetime(2026, 3, 8, 2, 30)) == datetime(2026, 3, 8, 7, 30, tzinfo=UTC)  # noqa: DTZ001
    assert clock.utc(datetime(2026, 3, 8, 3, 30)) == datetime(2026, 3, 8, 7, 30, tzinfo=UTC)  # noqa: DTZ001
    assert clock.doubtful == 1


def test_the_clocks_memory_of_days_is_bounded() -> None:
    clock = WallClock(GREENWICH)
    start = datetime(1980, 1, 1)  # noqa: DTZ001
    for days in range(5000):
        clock.utc(start + timedelta(days=days))
    assert len(clock._starts) <= 4096


@given(text=st.text(max_size=70), order=st.sampled_from([*DateOrder, None]))
def test_any_text_is_a_time_or_none_or_a_question(text: str, order: DateOrder | None) -> None:
    try:
        moment = read(text, order)
    except (NotATime, NeedsInput):
        return
    assert 1969 <= moment.at.year <= 2100
