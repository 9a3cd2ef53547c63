"""Numbers as brokers write them."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradesense.brokers.numbers import NotANumber, NumberStyle, evidence, is_empty, parse_number

POINT, COMMA = NumberStyle.POINT, NumberStyle.COMMA

decimals = st.decimals(min_value=-(10**12), max_value=10**12, places=4, allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("123.45", "123.45"),
        ("-0.5", "-0.5"),
        ("1,234.56", "1234.56"),
        ("1,234,567", "1234567"),
        ("(75.90)", "-75.90"),
        ("($75.90) ", "-75.90"),
        ("$(400.00)", "-400.00"),
        ("$48.10 ", "48.10"),
        ("-$1,200.00", "-1200.00"),
        ("€-3", "-3"),
        ("-€597.49846", "-597.49846"),
        ("EUR 12.50", "12.50"),
        ("12.50 USD", "12.50"),
        ("CA$3.10", "3.10"),
        ("1 234.5", "1234.5"),
        ("1\u00a0234.5", "1234.5"),
        ("1\u202f234\u202f567", "1234567"),
        ("1'234.50", "1234.50"),
        ("1’234.50", "1234.50"),
        ("3.6E-05", "0.000036"),
        ("1e3", "1000"),
        ("12-", "-12"),
        ("−4.5", "-4.5"),
        ("+7", "7"),
        ("-(5)", "5"),
        (".5", "0.5"),
        ("5.", "5"),
        ('="42"', "42"),
        ("  8  ", "8"),
        ("0.000000000000000001", "1E-18"),
    ],
)
def test_a_number_with_a_decimal_point(text: str, value: str) -> None:
    assert parse_number(text) == Decimal(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("123,45", "123.45"),
        ("1.234,56", "1234.56"),
        ("-1.234.567,8", "-1234567.8"),
        ("1 234,5", "1234.5"),
        ("1'234,5", "1234.5"),
        ("(75,90)", "-75.90"),
        ("12,50 €", "12.50"),
        ("1.000", "1000"),
        ("7", "7"),
        (",5", "0.5"),
    ],
)
def test_a_number_with_a_decimal_comma(text: str, value: str) -> None:
    assert parse_number(text, COMMA) == Decimal(value)


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "abc", "-", "--", "5%", "1,23", "1,2345", "12.34.56", "1.234,56", "12 34", "1 2", "(5", "5)", "--5",
        "-5-", "(-5)", "NaN", "Infinity", "1_000", "\uff11\uff12", "١٢٣", "²", "0x10", "1e1000", "MNQM6",
        "2026-01-02", "10:30", "1e",
        ".", ",", "'", "$", "USD", "1e16", "1" * 27, "0." + "0" * 24 + "1", "1" * 200,
    ],
)  # fmt: skip
def test_what_is_no_number_under_a_decimal_point_is_refused(text: str) -> None:
    with pytest.raises(NotANumber):
        parse_number(text)


def test_a_percentage_is_called_one() -> None:
    with pytest.raises(NotANumber, match="'5%' is a percentage"):
        parse_number("5%")


def test_a_missing_number_is_called_missing() -> None:
    with pytest.raises(NotANumber, match="missing"):
        parse_number("  ")


def test_the_message_shows_the_beginning_of_a_long_cell() -> None:
    with pytest.raises(NotANumber) as refusal:
        parse_number("x" * 5000)
    assert len(str(refusal.value)) < 100


@pytest.mark.parametrize("text", ["1,234.56", "1.5"])
def test_a_point_that_should_be_a_comma_is_refused_and_not_reinterpreted(text: str) -> None:
    with pytest.raises(NotANumber, match="decimal mark ','"):
        parse_number(text, COMMA)


@pytest.mark.parametrize(
    ("text", "proof"),
    [
        ("1,234.56", POINT),
        ("1.234,56", COMMA),
        ("12.5", POINT),
        ("12,5", COMMA),
        ("0.125", POINT),
        ("0,125", COMMA),
        ("1234.567", POINT),
        ("1,234,567", POINT),
        ("1.234.567", COMMA),
        ("1'234.567", POINT),
        ("1.234e5", POINT),
        ("1,234", None),
        ("1.234", None),
        ("1234", None),
        ("$1,234", None),
        ("abc", None),
        ("1,2,3", None),
        ("", None),
    ],
)
def test_what_a_number_proves_about_its_style(text: str, proof: NumberStyle | None) -> None:
    assert evidence(text) is proof


@pytest.mark.parametrize("text", ["", "  ", "-", "--", "N/A", "null"])
def test_dashes_and_nothing_are_empty(text: str) -> None:
    assert is_empty(text)


def test_a_zero_is_not_empty() -> None:
    assert not is_empty("0")


@given(value=decimals)
def test_every_way_to_write_a_number_reads_back(value: Decimal) -> None:
    european = f"{value:,}".translate(str.maketrans(",.", ".,"))
    assert parse_number(f"{value}") == value
    assert parse_number(f"{value:,}") == value
    assert parse_number(f"{value:,}".replace(",", "'")) == value
    assert parse_number(f"{value:,}".replace(",", " ")) == value
    assert parse_number(f"({abs(value):,})") == -abs(value)
    assert parse_number(f"$ {value:,}") == value
    assert parse_number(european, COMMA) == value


@given(value=decimals)
def test_what_a_number_proves_is_the_style_it_was_written_in(value: Decimal) -> None:
    assert evidence(f"{value:,}") is POINT
    assert evidence(f"{value:,}".translate(str.maketrans(",.", ".,"))) is COMMA


@given(text=st.text(max_size=40), style=st.sampled_from(NumberStyle))
def test_any_text_is_a_bounded_number_or_none(text: str, style: NumberStyle) -> None:
    try:
        value = parse_number(text, style)
    except NotANumber:
        return
    assert value.is_finite()
    assert abs(value) < 10**15
