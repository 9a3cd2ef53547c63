from decimal import Decimal, Inexact, localcontext
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradesense.domain.money import SHARE_QUANTUM, average, exact, plain, quotient, scaled, share, text

AMOUNTS = st.decimals("-1E9", "1E9", places=6)
PARTS = st.decimals("0.0001", "1E6", places=4)


def test_exact_arithmetic_refuses_to_round() -> None:
    with exact(), pytest.raises(Inexact):
        assert Decimal(1) / 3
    with exact():
        assert Decimal("0.1") + Decimal("0.2") == Decimal("0.3")


@given(AMOUNTS, PARTS, PARTS)
def test_a_share_is_cut_towards_zero_to_the_quantum(total: Decimal, part: Decimal, rest: Decimal) -> None:
    whole = part + rest
    true = Fraction(total) * Fraction(part) / Fraction(whole)
    cut = Fraction(share(total, part, whole))
    assert abs(cut) <= abs(true)
    assert abs(true - cut) < Fraction(SHARE_QUANTUM)


@pytest.mark.parametrize(
    ("total", "part", "expected"), [("1", "1", "0.333333333333"), ("-1", "1", "-0.333333333333"), ("1.50", "1", "0.5")]
)
def test_a_share_has_no_trailing_zeros(total: str, part: str, expected: str) -> None:
    assert str(share(Decimal(total), Decimal(part), Decimal(3))) == expected


def test_scaling_is_exact_where_the_ratio_ends() -> None:
    assert scaled(Decimal("1E-18"), Decimal(3), Decimal(2)) == Decimal("1.5E-18")
    assert scaled(Decimal(100), Decimal(1), Decimal(3)) == Decimal("33.333333333333")


@given(st.lists(st.decimals("0", "10", places=15), min_size=2), st.integers(1, 9), st.integers(1, 9))
def test_scaling_never_falls_as_the_total_rises(totals: list[Decimal], part: int, whole: int) -> None:
    results = [scaled(total, Decimal(part), Decimal(whole)) for total in sorted(totals)]
    assert results == sorted(results)


def test_a_quotient_without_end_is_none() -> None:
    assert quotient(Decimal(1), Decimal(8)) == Decimal("0.125")
    assert quotient(Decimal(1), Decimal(3)) is None


@pytest.mark.parametrize(
    ("value", "quantity", "expected"), [("10", "3", "3.333333333333"), ("20", "3", "6.666666666667"), ("30", "3", "10")]
)
def test_an_average_is_rounded_to_twelve_decimals(value: str, quantity: str, expected: str) -> None:
    assert text(average(Decimal(value), Decimal(quantity))) == expected


@pytest.mark.parametrize(
    ("number", "expected"),
    [("1E+3", "1000"), ("1.500", "1.5"), ("-0.00", "0"), ("0E-12", "0"), ("1E-12", "0.000000000001"), ("-7", "-7")],
)
def test_the_canonical_text_has_neither_exponent_nor_trailing_zeros(number: str, expected: str) -> None:
    assert text(Decimal(number)) == expected
    assert str(plain(Decimal(number))) in {expected, str(Decimal(expected))}


@given(st.decimals(allow_nan=False, allow_infinity=False, places=None))
def test_the_canonical_text_is_that_of_the_plain_number(value: Decimal) -> None:
    if len(value.as_tuple().digits) <= 60 and abs(value.adjusted()) < 40:
        assert text(value) == format(plain(value), "f")


@given(AMOUNTS, PARTS)
def test_the_surrounding_context_changes_nothing(amount: Decimal, part: Decimal) -> None:
    expected = (share(amount, part, Decimal(7)), average(amount, part), plain(amount), text(amount))
    with localcontext(prec=2):
        assert (share(amount, part, Decimal(7)), average(amount, part), plain(amount), text(amount)) == expected
