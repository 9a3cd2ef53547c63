"""The charts of the terminal."""

from datetime import date, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from tradesense.cli.drawing import calendar, curve

BLANK = chr(0x2800)


def test_a_rising_line_goes_from_the_bottom_left_to_the_top_right() -> None:
    lines = curve([0.0, 1.0, 2.0, 3.0], width=2, height=1)
    assert lines == ["⡠⠊"]


def test_a_jump_is_drawn_as_a_stroke_without_gaps() -> None:
    upper, lower = curve([0.0, 1.0], width=1, height=2)
    assert (upper, lower) == ("⢸", "⡸")


def test_a_flat_line_runs_through_the_middle() -> None:
    assert curve([5.0, 5.0, 5.0], width=3, height=2) == ["⣀⣀⣀", BLANK * 3]


@given(
    st.lists(st.floats(-1e12, 1e12), min_size=1, max_size=300),
    st.integers(min_value=1, max_value=60),
    st.integers(min_value=1, max_value=12),
)
def test_a_curve_always_fills_its_frame_and_every_column(values: list[float], width: int, height: int) -> None:
    lines = curve(values, width, height)
    assert [len(line) for line in lines] == [width] * height
    assert all(any(line[column] != BLANK for line in lines) for column in range(width))


def test_a_month_has_a_cell_for_each_day_and_its_total() -> None:
    days = {date(2026, 2, 3): Decimal("100.5"), date(2026, 2, 4): Decimal(-40), date(2026, 2, 5): Decimal(0)}
    (month,) = calendar(days)
    assert month.first == date(2026, 2, 1)
    assert month.cells.plain == " ·■□··  ·····  ·····  ·····".ljust(28)
    assert month.total == Decimal("60.5")


def test_a_month_without_trades_between_two_others_has_its_row() -> None:
    months = list(calendar({date(2025, 12, 31): Decimal(1), date(2026, 2, 2): Decimal(-1)}))
    assert [month.first for month in months] == [date(2025, 12, 1), date(2026, 1, 1), date(2026, 2, 1)]
    assert [month.total for month in months] == [1, 0, -1]


def test_a_calendar_without_days_has_no_rows() -> None:
    assert list(calendar({})) == []


def test_the_colour_grows_with_the_amount() -> None:
    first = date(2026, 3, 2)
    days = {first + timedelta(days=n): Decimal(amount) for n, amount in enumerate((10, 50, 100, -100, -10))}
    (month,) = calendar(days)
    styles = [str(span.style) for span in month.cells.spans if span.style != "dim"]
    assert styles == ["green4", "green3", "bold green1", "bold bright_red", "red3"]


@given(st.dictionaries(st.dates(date(1990, 1, 1), date(2030, 1, 1)), st.decimals(-9999, 9999, places=2), max_size=40))
def test_the_months_add_up_to_the_days(days: dict[date, Decimal]) -> None:
    assert sum(month.total for month in calendar(days)) == sum(days.values())
