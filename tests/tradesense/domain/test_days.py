"""The calendar has every realisation on its own day, in the user's zone, to the last digit."""

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tradesense.domain.books import EURO, MONDAY, STOCK, closed, ledger, ledgers, stock, trade
from tradesense.domain.days import Day, View, calendar, on_day
from tradesense.domain.ledger import Book, Ledger, MixedCurrencies
from tradesense.domain.money import ZERO, exact
from tradesense.domain.trades import Trade

UTC_ZONE = ZoneInfo("UTC")
zones = st.sampled_from(["UTC", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"]).map(ZoneInfo)


@given(ledgers(), zones)
def test_the_calendar_equals_a_loop_over_all_exits(
    case: tuple[Ledger, list[tuple[Book, Trade]]], zone: ZoneInfo
) -> None:
    joined, trades = case
    expected: dict[date, tuple[Decimal, Decimal]] = defaultdict(lambda: (ZERO, ZERO))
    with exact():
        for _, one in trades:
            for leg in one.realisations:
                day = leg.at.astimezone(zone).date()
                expected[day] = (expected[day][0] + leg.gross, expected[day][1] + leg.costs)
        view = View(joined, zone)
        days = calendar(view)
        assert {day.day: (day.gross, day.costs) for day in days} == expected
        assert all(day.net == day.gross - day.costs for day in days)
    assert [day.day for day in days] == sorted(expected)
    assert sum(day.trades for day in days) == len(joined.closed)
    assert [on_day(view, day.day) for day in days] == days


def test_a_day_counts_the_trades_that_closed_on_it() -> None:
    joined = stock(
        [
            trade((MONDAY, "5", "1")),
            trade((MONDAY, "5", "9"), number=1),
            trade((MONDAY, "1", "1"), number=2),
            trade((MONDAY, "7", "0"), number=3, is_open=True),
        ]
    )
    (day,) = calendar(View(joined, UTC_ZONE))
    assert day.as_json() == {
        "day": "2026-03-02",
        "net_pnl": "7",
        "gross_pnl": "18",
        "costs": "11",
        "trades": 3,
        "wins": 1,
        "losses": 1,
        "win_rate": 1 / 3,
    }


def test_an_evening_exit_belongs_to_the_users_day() -> None:
    late = stock([trade((datetime(2026, 3, 3, 3, tzinfo=UTC), "1", "0"))])
    assert [day.day for day in calendar(View(late, ZoneInfo("America/New_York")))] == [date(2026, 3, 2)]
    assert [day.day for day in calendar(View(late, UTC_ZONE))] == [date(2026, 3, 3)]


def test_a_day_on_which_nothing_closed_has_no_win_rate() -> None:
    (day,) = calendar(View(stock([trade((MONDAY, "7", "0"), is_open=True)]), UTC_ZONE))
    assert day.as_json()["win_rate"] is None


@pytest.mark.parametrize("away", [-1, 1])
def test_a_day_outside_the_calendar_is_all_zeros(away: int) -> None:
    day = (MONDAY + timedelta(days=away)).date()
    assert on_day(View(stock(closed("4")), UTC_ZONE), day) == Day(day, ZERO, ZERO, ZERO, 0, 0, 0)
    assert on_day(View(stock([]), UTC_ZONE), day) == Day(day, ZERO, ZERO, ZERO, 0, 0, 0)


def test_days_of_several_currencies_are_never_added_up() -> None:
    with pytest.raises(MixedCurrencies):
        calendar(View(ledger((STOCK, closed("1")), (EURO, closed("1"))), UTC_ZONE))
