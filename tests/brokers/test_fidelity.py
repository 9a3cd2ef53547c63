"""Fidelity's account history."""

from decimal import Decimal

import pytest

from tests.brokers.cases import FIXTURES
from tests.brokers.uploads import Upload, detected, upload
from tradesense.domain.executions import ExecutionKind, Side
from tradesense.domain.instruments import AssetClass
from tradesense.domain.money import ZERO

NAME = "fidelity/history"
HEADER = (
    "Run Date,Action,Symbol,Description,Type,Price ($),Quantity,Commission ($),Fees ($),Accrued Interest ($),"
    "Amount ($),Cash Balance ($),Settlement Date\n"
)
ALL_ACCOUNTS = (
    "Run Date,Account,Account Number,Action,Symbol,Description,Type,Exchange Quantity,Exchange Currency,Quantity,"
    "Currency,Price,Exchange Rate,Commission,Fees,Accrued Interest,Amount,Settlement Date\n"
)


def rows(*lines: str) -> Upload:
    return upload(NAME, HEADER + "\n".join(f"02/20/2026,{line}" for line in lines) + "\n")


def test_the_layout_is_read_whole() -> None:
    path = FIXTURES / "fidelity.csv"
    found = upload(NAME, path, timezone="America/New_York")
    assert (found.rows, found.imported, found.errors, found.warnings) == (8, 4, [], [])
    assert found.ignored == {"dividend": 1, "cash sweep": 1, "deposit": 1, "footer": 1}
    assert found.costs() == {"USD": Decimal("0.68")}
    assert detected(path) == NAME


def test_the_layout_of_all_accounts() -> None:
    found = upload(
        NAME,
        ALL_ACCOUNTS
        + "02/20/2026,Individual,X01,YOU BOUGHT ACME CORP (ACME) (Cash),ACME,ACME CORP,Cash,0,,3,USD,10,0,,0.05,,"
        + "-30.05,02/21/2026\n"
        + "02/20/2026,Individual,X01,YOU SOLD ACME CORP (ACME) (Cash),ACME,ACME CORP,Cash,0,,USD,12,-3,0,,0.05,,"
        + "35.95,02/21/2026\n",
    )
    assert [(fill.side, fill.quantity, fill.price) for fill in found.fills] == [
        (Side.BUY, Decimal(3), Decimal(10)),
        (Side.SELL, Decimal(3), Decimal(12)),
    ]
    assert {(fill.account, fill.instrument.currency) for fill in found.fills} == {("X01", "USD")}
    assert found.warnings == []


def test_options_are_known_by_their_symbols_or_descriptions() -> None:
    told = "CALL (ACME) ACME CORP FEB 20 26 $15 (100 SHS)"
    found = rows(
        f"YOU SOLD OPENING TRANSACTION {told},-ACME260220C15,{told},Margin,0.8,-1,0.65,0.02,,79.33,,",
        f"YOU SOLD OPENING TRANSACTION {told},-91234567A,{told},Margin,0.8,-1,0.65,0.02,,79.33,,",
    )
    assert len({fill.instrument for fill in found.fills}) == 1
    assert found.fills[0].instrument.asset_class is AssetClass.OPTION
    assert found.warnings == []


def test_options_that_cease_close_at_0() -> None:
    told = "CALL (ACME) ACME CORP FEB 20 26 $15 (100 SHS)"
    found = rows(
        f"EXPIRED {told},-ACME260220C15,{told},Margin,,1,,,,0.00,,",
        f"ASSIGNED as of Feb-20-2026 {told},-ACME260220C15,{told},Margin,,1,,,,0.00,,",
        f"EXERCISED as of Feb-20-2026 {told},-ACME260220C15,{told},Margin,,-1,,,,0.00,,",
    )
    assert [(fill.kind, fill.side, fill.price) for fill in found.fills] == [
        (ExecutionKind.EXPIRY, Side.BUY, ZERO),
        (ExecutionKind.ASSIGNMENT, Side.BUY, ZERO),
        (ExecutionKind.EXERCISE, Side.SELL, ZERO),
    ]


def test_reinvestments_are_purchases_unless_they_are_the_accounts_cash() -> None:
    found = rows(
        "REINVESTMENT SOME FUND (FUND) (Cash),FUND,SOME FUND,Cash,12.5,2,,,,-25,,",
        "REINVESTMENT CASH CORE (SPAXX) (Cash),SPAXX,CASH CORE,Cash,1,10,,,,-10,,",
        "REINVESTMENT CASH CORE (SPAXX) (Cash),SPAXX,CASH CORE,Cash,,10,,,,-10,,",
        "REDEMPTION FROM CORE ACCOUNT (SPAXX),SPAXX,CASH CORE,Cash,1,-10,,,,10,,",
    )
    assert (found.fill.instrument.symbol, found.fill.side) == ("FUND", Side.BUY)
    assert found.ignored == {"cash sweep": 3}


def test_both_rows_of_a_reverse_split_are_one() -> None:
    found = rows(
        "REVERSE SPLIT R/S FROM 004200001#REOR M001 ACME CORP NEW (ACME),ACME,ACME CORP COM NEW,Cash,,10,,,,,,",
        "REVERSE SPLIT R/S TO 004200002#REOR M001 ACME CORP (004200001),004200001,ACME CORP COM,Cash,,-100,,,,,,",
    )
    assert (found.fill.kind, found.fill.quantity, found.fill.price) == (ExecutionKind.SPLIT, Decimal(10), Decimal(100))
    assert found.ignored == {"split counterpart": 1}


def test_distributed_shares_cost_nothing_and_transferred_ones_are_not_guessed() -> None:
    found = rows(
        "DISTRIBUTION NEWCO INC (NEWCO) (Cash),NEWCO,NEWCO INC,Cash,,5,,,,,,",
        "TRANSFER OF ASSETS ACAT RECEIVE ACME CORP,ACME,ACME CORP,Cash,,7,,,,,,",
        "TRANSFER OF ASSETS ACAT DELIVER ACME CORP,ACME,ACME CORP,Cash,,-7,,,,,,",
    )
    assert [(fill.kind, fill.side, fill.price) for fill in found.fills] == [
        (ExecutionKind.TRANSFER, Side.BUY, ZERO),
        (ExecutionKind.TRANSFER, Side.SELL, ZERO),
    ]
    assert found.ignored == {"transfer in without a cost": 1}


def test_a_cancelled_trade_and_its_cancellation_are_ignored() -> None:
    found = rows(
        "BUY CANCEL CXL DESCRIPTION CANCELLED TRADE ACME CORP (ACME) (Cash),ACME,ACME CORP,Cash,10,-3,,,,30,,",
        "YOU BOUGHT ACME CORP (ACME) (Cash),ACME,ACME CORP,Cash,10,3,,,,-30,,",
        "YOU BOUGHT ACME CORP (ACME) (Cash),ACME,ACME CORP,Cash,10,4,,,,-40,,",
    )
    assert found.ignored == {"cancelled": 2}
    assert found.fill.quantity == 4


def test_money_moves_by_the_beginning_of_its_sentence() -> None:
    found = rows(
        "INTEREST EARNED CASH CORE,SPAXX,CASH CORE,Cash,,0.000,,,,1.25,,",
        "FOREIGN TAX PAID ACME CORP,ACME,ACME CORP,Cash,,0.000,,,,-0.50,,",
        "FEE CHARGED ACME CORP,ACME,ACME CORP,Cash,,0.000,,,,-0.20,,",
        "Electronic Funds Transfer Paid (Cash), ,No Description,Cash,,0.000,,,,-100,,",
        "CONTRIBUTION ELIGIBLE CR PREMIUM, ,No Description,Cash,,0.000,,,,9,,",
        "SOMETHING ELSE, ,No Description,Cash,,0.000,,,,3,,",
        "NAME CHANGED,ACME,ACME CORP,Cash,,0.000,,,,,,",
    )
    assert {kind: amount for (kind, _), amount in found.moved().items()} == {
        "interest": Decimal("1.25"),
        "tax": Decimal("-0.50"),
        "fee": Decimal("-0.20"),
        "withdrawal": Decimal(-100),
        "deposit": Decimal(9),
        "other": Decimal(3),
    }
    assert found.ignored["no amount"] == 1


def test_an_amount_far_from_the_trade_is_warned_of() -> None:
    found = rows("YOU BOUGHT ACME CORP (ACME) (Cash),ACME,ACME CORP,Cash,10,3,,,,-300,,")
    assert "quantity × price" in found.warnings[0].message


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("YOU BOUGHT ACME CORP,ACME,ACME CORP,Cash,,3,,,,-30,,", "price is missing"),
        ("YOU BOUGHT ACME CORP,ACME,ACME CORP,Cash,10,x,,,,-30,,", "is not a number"),
        ("ABRACADABRA ACME CORP,ACME,ACME CORP,Cash,10,3,,,,-30,,", "nothing that is known"),
        (",ACME,ACME CORP,Cash,10,3,,,,-30,,", "action is missing"),
    ],
)
def test_rows_that_cannot_be_read_say_why(row: str, message: str) -> None:
    assert message in rows(row).error
