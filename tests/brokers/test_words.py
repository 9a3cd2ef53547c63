"""Options, numbers and costs that a file tells by words or by cash alone."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from tests.brokers.cases import NEW_YORK
from tradesense.brokers.cancellations import Cancellations, Entry
from tradesense.brokers.cash_costs import cash_cost
from tradesense.brokers.figures import figure
from tradesense.brokers.fills import fill
from tradesense.brokers.instruments import Instruments, bounded
from tradesense.brokers.option_texts import OptionParts, read_option
from tradesense.brokers.tables import RowError
from tradesense.brokers.times import Moment
from tradesense.domain.executions import ExecutionKind, Side
from tradesense.domain.instruments import AssetClass, Instrument, Right

STOCK = Instruments(NEW_YORK).stock("ACME")


@pytest.mark.parametrize(
    ("words", "strike", "right"),
    [
        ("ACME 02/20/2026 15.00 C", "15", Right.CALL),
        ("acme  2/20/2026  Call $15.00", "15", Right.CALL),
        ("ACME 02/20/26 Put 1,500.50", "1500.50", Right.PUT),
        ("ACME 20FEB26 15 P", "15", Right.PUT),
        ("ACME Feb 20 '26 $15 Call", "15", Right.CALL),
        ("CALL ACME   02/20/26    15.000", "15", Right.CALL),
        ("PUT (ACME) ACME CORP FEB 20 26 $.5 (100 SHS)", "0.5", Right.PUT),
        ("ACME  260220C00015000", "15", Right.CALL),
        ("ACME260220P00015500", "15.5", Right.PUT),
        ("-ACME260220C15", "15", Right.CALL),
    ],
)
def test_options_in_every_spelling(words: str, strike: str, right: Right) -> None:
    assert read_option(words) == OptionParts("ACME", date(2026, 2, 20), Decimal(strike), right)


@pytest.mark.parametrize("words", ["", "ACME", "ACME CORP", "ACME 02/30/2026 15.00 C", "ACME 20FOO26 15 P", "CALL ME"])
def test_words_that_name_no_option(words: str) -> None:
    assert read_option(words) is None


@pytest.mark.parametrize(
    ("side", "amount", "cost"),
    [
        (Side.BUY, "-101.50", "1.50"),
        (Side.BUY, "101.50", "1.50"),
        (Side.SELL, "98.50", "1.50"),
        (Side.SELL, "100.01", "-0.01"),
        (Side.SELL, None, "0"),
    ],
)
def test_costs_are_what_the_cash_has_beyond_the_trade(side: Side, amount: str | None, cost: str) -> None:
    found = cash_cost(STOCK, side, Decimal(10), Decimal(10), Decimal(amount) if amount else None)
    assert found == (Decimal(cost), None)


def test_costs_of_more_than_a_tenth_are_doubted() -> None:
    found = cash_cost(STOCK, Side.BUY, Decimal(10), Decimal(10), Decimal(-200))
    assert found.warning == "the amount is -200, but quantity × price × multiplier is 100"


def test_each_cancellation_takes_one_trade_back() -> None:
    found = Cancellations(
        [
            Entry(1, "a", cancels=False),
            Entry(2, "a", cancels=True),
            Entry(3, "a", cancels=False),
            Entry(4, "b", cancels=True),
        ]
    )
    assert [line for line in range(1, 6) if line in found] == [1, 2, 4]


def test_a_figure_that_is_none_fails() -> None:
    assert figure("1,234.5") == Decimal("1234.5")
    with pytest.raises(RowError, match="is not a number"):
        figure("one")


@pytest.mark.parametrize("multiplier", ["0", "-1", "123456789", "1e9", "0.0000000123456789"])
def test_a_multiplier_out_of_bounds_fails(multiplier: str) -> None:
    with pytest.raises(RowError, match="multiplier"):
        bounded(Instrument("X", AssetClass.CFD, "USD", "X", Decimal(multiplier)))


@pytest.mark.parametrize("multiplier", ["1", "0.01", "100.0000000000", "100000", "1E+5"])
def test_a_multiplier_in_bounds_stays(multiplier: str) -> None:
    instrument = Instrument("X", AssetClass.CFD, "USD", "X", Decimal(multiplier))
    assert bounded(instrument) is instrument


def test_a_split_of_no_shares_fails() -> None:
    moment = Moment(datetime(2026, 2, 20, tzinfo=UTC), datetime(2026, 2, 20), "2026-02-20")  # noqa: DTZ001
    with pytest.raises(RowError, match="0 shares"):
        fill(STOCK, Side.BUY, Decimal(10), Decimal(0), moment, kind=ExecutionKind.SPLIT)
