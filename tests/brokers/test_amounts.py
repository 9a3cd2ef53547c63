"""What statements say of money beyond one number."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradesense.brokers.amounts import (
    booked_cost,
    disagreement,
    half_unit,
    in_major_units,
    kinds,
    mended,
    plain_text,
    reciprocal,
    rounding_of,
    signed,
    why_moved,
)
from tradesense.brokers.contract import CashKind
from tradesense.domain.executions import Side
from tradesense.domain.money import exact

cents = st.decimals(Decimal("0.01"), Decimal(10**6), places=2)
units = st.decimals(Decimal("0.0001"), Decimal(10**6), places=4)


@pytest.mark.parametrize("pence", ["GBX", "GBp", "gbx"])
def test_pence_become_pounds(pence: str) -> None:
    assert in_major_units(Decimal(49650), pence) == (Decimal("496.50"), "GBP")


def test_other_currencies_stay_as_they_are() -> None:
    assert in_major_units(Decimal(5), "gbp") == (Decimal(5), "GBP")
    assert in_major_units(Decimal(500), "ZAc") == (Decimal(5), "ZAR")


@given(quantity=units, price=cents, cost=cents)
def test_a_booked_cost_is_what_makes_the_booking_of_either_side(
    quantity: Decimal, price: Decimal, cost: Decimal
) -> None:
    with exact():
        paid, received = quantity * price + cost, quantity * price - cost
    assert booked_cost(Side.BUY, quantity, price, -paid) == cost
    if received >= 0:
        assert booked_cost(Side.SELL, quantity, price, received) == cost


@given(quantity=units, price=cents, cost=cents)
def test_a_booking_rounded_to_cents_agrees_and_one_that_is_off_does_not(
    quantity: Decimal, price: Decimal, cost: Decimal
) -> None:
    booked = round(quantity * price + cost, 2)
    off = booked + 2 * rounding_of(quantity, price, booked) + Decimal("0.01")
    assert disagreement(Side.BUY, quantity, price, cost, -booked) is None
    assert disagreement(Side.BUY, quantity, price, cost, -off) is not None


def test_a_missing_booking_is_no_disagreement() -> None:
    assert disagreement(Side.BUY, Decimal(1), Decimal(5), Decimal(0), Decimal(0)) is None


@pytest.mark.parametrize(("value", "half"), [("5", "0.005"), ("5.1", "0.005"), ("5.123", "0.0005"), ("1E+3", "0.005")])
def test_half_a_unit_is_that_of_the_last_decimal_and_no_more_than_half_a_cent(value: str, half: str) -> None:
    assert half_unit(Decimal(value)) == Decimal(half)


def test_a_rate_that_is_none_has_no_reciprocal() -> None:
    assert reciprocal(Decimal("1.25")) == Decimal("0.8")
    assert reciprocal(Decimal(0)) is None
    assert reciprocal(None) is None


def test_words_read_in_the_wrong_encoding_are_mended() -> None:
    assert mended("CrÃ©dito de divisa") == "Crédito de divisa"
    assert mended("SÃO PAULO") == "SÃO PAULO"
    assert plain_text("CrÃ©dito") == "credito"


def test_the_first_pattern_that_matches_says_why_money_moved() -> None:
    table = kinds((CashKind.TAX, "dividend tax"), (CashKind.DIVIDEND, "dividend"))
    assert [why_moved(words, table) for words in ("Dividend Tax", "DIVIDEND", "Gift")] == [
        CashKind.TAX,
        CashKind.DIVIDEND,
        CashKind.OTHER,
    ]
    assert signed(CashKind.DEPOSIT, Decimal(-1)) is CashKind.WITHDRAWAL
    assert signed(CashKind.WITHDRAWAL, Decimal(1)) is CashKind.DEPOSIT
    assert signed(CashKind.FEE, Decimal(1)) is CashKind.FEE
