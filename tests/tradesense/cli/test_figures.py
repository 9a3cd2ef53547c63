"""Numbers as a person reads them."""

import pytest

from tradesense.cli.figures import duration, exact, gain, money, percent, ratio


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("1944.5", "1,944.50"),
        ("-0.005", "-0.005"),
        ("0", "0.00"),
        ("0.0000123456", "0.00001235"),
        ("9.98187326", "9.98"),
    ],
)
def test_money_has_cents_and_what_is_smaller_keeps_its_digits(value: str, shown: str) -> None:
    assert money(value) == shown


def test_a_price_keeps_all_its_digits() -> None:
    assert exact("28531.75") == "28,531.75"
    assert exact("0.000000012") == "0.000000012"


@pytest.mark.parametrize(
    ("value", "shown", "style"), [("3", "+3.00", "green"), ("-3", "-3.00", "red"), ("0", "0.00", "")]
)
def test_a_gain_is_green_and_a_loss_red(value: str, shown: str, style: str) -> None:
    assert (gain(value).plain, gain(value).style) == (shown, style)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(24, "24 s"), (678, "11 min 18 s"), (7500, "2 h 05 min"), (273_700, "3 d 4 h"), (59.7, "1 min 00 s")],
)
def test_a_duration_shows_its_two_largest_units(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


def test_ratios_and_shares() -> None:
    assert percent(0.41666) == "41.7 %"
    assert ratio(1234.567) == "1,234.57"
