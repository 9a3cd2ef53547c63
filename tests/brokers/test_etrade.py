"""E*TRADE's transactions, in both layouts."""

from decimal import Decimal

import pytest

from tests.brokers.cases import FIXTURES
from tests.brokers.importing import read_path, trades
from tests.brokers.uploads import Upload, detected, upload
from tradesense.domain.executions import ExecutionKind, Side
from tradesense.domain.instruments import AssetClass
from tradesense.domain.money import ZERO

NAME = "etrade/transactions"
HEADER = "TransactionDate,TransactionType,SecurityType,Symbol,Quantity,Amount,Price,Commission,Description\n"
LATER = (
    "Activity/Trade Date,Transaction Date,Settlement Date,Activity Type,Description,Symbol,Cusip,Quantity #,Price $,"
    "Amount $,Commission,Category,Note\n"
)
CALL = "ACME Feb 20 '26 $15 Call"


def rows(*lines: str) -> Upload:
    return upload(NAME, HEADER + "\n".join(f"02/20/26,{line}" for line in lines) + "\n")


def test_the_layout_is_read_whole() -> None:
    path = FIXTURES / "etrade.csv"
    found = upload(NAME, path, timezone="America/New_York")
    assert (found.rows, found.imported, found.errors, found.warnings) == (7, 5, [], [])
    assert found.ignored == {"dividend": 1, "deposit": 1}
    assert found.costs() == {"USD": Decimal("1.33")}
    assert detected(path) == NAME


def test_prices_and_costs_make_the_cash_exactly() -> None:
    with read_path(FIXTURES / "etrade.csv") as reading:
        found = trades(reading)
    assert [trade.net for trade in found["ACME 2026-02-20 15 C"]] == [Decimal("158.69")]
    assert [trade.net for trade in found["ACME"]] == [Decimal("19.98")]


def test_the_later_layout_tells_the_same() -> None:
    path_like = LATER + (
        "02/20/26,02/20/26,02/23/26,Bought,ACME CORP,ACME,004200001,3,10.00,-30.01,0.00,,\n"
        "02/20/26,02/20/26,02/23/26,Sold Short,CALL ACME   02/20/26    15.000,--,,-2,0.80,158.69,1.30,,\n"
        "02/20/26,02/20/26,,Option Expired,CALL ACME   02/20/26    15.000,--,,2,0.00,0.00,0.00,,\n"
        "02/20/26,02/20/26,,Transfer,ACH DEPOSIT,--,,--,--,500.00,--,,\n"
        "For your information only,,,,,,,,,,,,\n"
    )
    found = upload(NAME, path_like)
    assert detected(path_like) == NAME
    assert [(fill.instrument.symbol, fill.commission, fill.fees) for fill in found.fills] == [
        ("ACME", ZERO, Decimal("0.01")),
        ("ACME 2026-02-20 15 C", Decimal("1.30"), Decimal("0.01")),
        ("ACME 2026-02-20 15 C", ZERO, ZERO),
    ]
    assert found.fills[2].kind is ExecutionKind.EXPIRY
    assert found.ignored == {"deposit": 1, "footer": 1}


def test_options_that_cease_close_at_0() -> None:
    found = rows(f"Option Assignment,OPTN,{CALL},2,0,0,0,{CALL}", f"Option Exercise,OPTN,{CALL},-1,0,0,0,{CALL}")
    assert [(fill.kind, fill.side, fill.price) for fill in found.fills] == [
        (ExecutionKind.ASSIGNMENT, Side.BUY, ZERO),
        (ExecutionKind.EXERCISE, Side.SELL, ZERO),
    ]
    assert {fill.instrument.asset_class for fill in found.fills} == {AssetClass.OPTION}


def test_a_dividend_with_shares_is_a_purchase() -> None:
    found = rows(
        "Dividend,MF,FUND,1.5,-15.00,0,0,SOME FUND REINVEST PRICE $ 10.00",
        "Qualified Dividend,MF,FUND,2,-15.00,0,0,SOME FUND DIVIDEND REINVESTMENT",
    )
    assert [(fill.side, fill.price) for fill in found.fills] == [
        (Side.BUY, Decimal(10)),
        (Side.BUY, Decimal("7.5")),
    ]


def test_a_split_says_its_ratio_or_is_told_by_the_shares_held() -> None:
    found = upload(
        NAME,
        HEADER
        + "02/20/26,Stock Split,EQ,ACME,50,0,0,0,ACME CORP SPLIT RATIO  6:1\n"
        + "02/20/26,Stock Split,EQ,OTHR,30,0,0,0,OTHER CORP\n"
        + "02/02/26,Bought,EQ,OTHR,10,-100.00,10.00,0,OTHER CORP\n",
    )
    assert [(fill.kind, fill.quantity, fill.price) for fill in found.fills[:2]] == [
        (ExecutionKind.SPLIT, Decimal(6), Decimal(1)),
        (ExecutionKind.SPLIT, Decimal(40), Decimal(10)),
    ]


def test_transfers_of_shares_are_not_guessed() -> None:
    found = rows("Transfer,EQ,ACME,5,0,0,0,ACAT", "Journal,EQ,ACME,-5,0,0,0,OUT")
    assert found.ignored == {"transfer in without a cost": 1, "journal": 1}


def test_money_moves_by_its_type() -> None:
    found = rows(
        "Interest Income,,,0,1.25,0,0,EXTENDED INSURANCE SWEEP",
        "Service Fee,,,0,-5,0,0,FEE",
        "Tax Withholding,,,0,-0.50,0,0,TAX",
        "Online Transfer,,,0,-100,0,0,OUT",
        "Adjustment,,,0,3,0,0,SOMETHING",
        "Adjustment,,,0,0,0,0,NOTHING",
    )
    assert {kind: amount for (kind, _), amount in found.moved().items()} == {
        "interest": Decimal("1.25"),
        "fee": Decimal(-5),
        "tax": Decimal("-0.50"),
        "withdrawal": Decimal(-100),
        "other": Decimal(3),
    }
    assert found.ignored["no amount"] == 1


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("Abracadabra,EQ,ACME,5,50,0,0,ACME CORP", "nothing that is known"),
        ("Bought,EQ,--,5,50,10,0,ACME CORP", "symbol is missing"),
        ("Stock Split,EQ,ACME,50,0,0,0,SPLIT RATIO 6:0", "0 shares"),
        ("Dividend,MF,FUND,2,-15.00,0,0,REINVEST PRICE $ 1.0.0", "does not read as a number"),
    ],
)
def test_rows_that_cannot_be_read_say_why(row: str, message: str) -> None:
    assert message in rows(row).error
