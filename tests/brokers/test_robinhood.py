"""Robinhood's account activity."""

from decimal import Decimal

import pytest

from tests.brokers.cases import FIXTURES
from tests.brokers.importing import read_path, trades
from tests.brokers.uploads import Upload, detected, upload
from tradesense.domain.executions import ExecutionKind, Side
from tradesense.domain.instruments import AssetClass
from tradesense.domain.money import ZERO

NAME = "robinhood/activity"
HEADER = "Activity Date,Process Date,Settle Date,Instrument,Description,Trans Code,Quantity,Price,Amount\n"


def rows(*lines: str) -> Upload:
    return upload(NAME, HEADER + "\n".join(f"2/20/2026,2/20/2026,2/20/2026,{line}" for line in lines) + "\n")


def test_the_layout_is_read_whole() -> None:
    path = FIXTURES / "robinhood.csv"
    found = upload(NAME, path, timezone="America/New_York")
    assert (found.rows, found.imported, found.errors, found.warnings) == (8, 4, [], [])
    assert found.ignored == {"dividend": 1, "deposit": 1, "fee": 1, "footer": 1}
    assert found.moved() == {
        ("dividend", "USD"): Decimal("10.00"),
        ("deposit", "USD"): Decimal("2000.00"),
        ("fee", "USD"): Decimal("-5.00"),
    }
    assert found.costs() == {"USD": Decimal("0.09")}
    assert detected(path) == NAME


def test_prices_and_costs_make_the_cash_exactly() -> None:
    with read_path(FIXTURES / "robinhood.csv") as reading:
        found = trades(reading)
    assert [trade.net for trade in found["ACME 2026-02-20 15 C"]] == [Decimal("-160.08")]
    (shares,) = found["ACME"]
    assert (shares.open_quantity, shares.net) == (Decimal(60), Decimal("19.99"))


def test_amounts_in_parentheses_are_paid() -> None:
    found = rows('ACME,Acme Corp,Buy,3,"$1,000.00","($3,000.12)"', 'ACME,Acme Corp,Sell,3,"$1,000.00","$2,999.90"')
    assert [fill.fees for fill in found.fills] == [Decimal("0.12"), Decimal("0.10")]


def test_an_amount_far_from_the_trade_is_warned_of() -> None:
    assert "quantity × price" in rows("ACME,Acme Corp,Buy,3,$10.00,($300.00)").warnings[0].message


def test_options_that_cease_close_at_0() -> None:
    told = "Option Expiration for ACME 2/20/2026 Call $15.00"
    found = rows(
        f"ACME,{told},OEXP,2S,,",
        f"ACME,{told},OEXP,2,,",
        "ACME,ACME 2/20/2026 Put $15.00,OASGN,1,,",
        "ACME,ACME 2/20/2026 Put $14.00,OEXER,1S,,",
    )
    assert [(fill.kind, fill.side, fill.price) for fill in found.fills] == [
        (ExecutionKind.EXPIRY, Side.SELL, ZERO),
        (ExecutionKind.EXPIRY, Side.BUY, ZERO),
        (ExecutionKind.ASSIGNMENT, Side.BUY, ZERO),
        (ExecutionKind.EXERCISE, Side.SELL, ZERO),
    ]
    assert {fill.instrument.asset_class for fill in found.fills} == {AssetClass.OPTION}


def test_added_shares_split_those_that_are_held() -> None:
    found = upload(
        NAME,
        HEADER
        + "2/20/2026,,,ACME,Acme Corp,SPL,30,,\n"
        + "2/3/2026,,,ACME,Acme Corp,Sell,5,$12.00,$60.00\n"
        + "2/2/2026,,,ACME,Acme Corp,Buy,15,$10.00,($150.00)\n",
    )
    split = found.fills[0]
    assert (split.kind, split.quantity, split.price) == (ExecutionKind.SPLIT, Decimal(40), Decimal(10))


def test_a_reverse_split_has_two_rows() -> None:
    found = rows("ACME,Acme Corp,SPR,10,,", "ACME,Acme Corp,SPR,100S,,")
    assert (found.fill.kind, found.fill.quantity, found.fill.price) == (ExecutionKind.SPLIT, Decimal(10), Decimal(100))
    assert found.ignored == {"split counterpart": 1}


def test_a_cancelled_trade_and_its_cancellation_are_ignored() -> None:
    found = rows(
        "ACME,Acme Corp,BCXL,3,$10.00,$30.00",
        "ACME,Acme Corp,Buy,3,$10.00,($30.00)",
        "ACME,Acme Corp,Buy,4,$10.00,($40.00)",
    )
    assert found.ignored == {"cancelled": 2}
    assert found.fill.quantity == 4


def test_what_comes_for_none_costs_nothing_and_a_transfer_in_is_not_guessed() -> None:
    found = rows(
        "ACME,Acme Corp,REC,1,,",
        "ACME,Acme Corp,SOFF,2,,",
        "ACME,Acme Corp,ACATO,3,,",
        "ACME,Acme Corp,JNLS,1S,,",
        "ACME,Acme Corp,ACATI,5,,",
    )
    assert [(fill.kind, fill.side, fill.price) for fill in found.fills] == [
        (ExecutionKind.TRANSFER, Side.BUY, ZERO),
        (ExecutionKind.TRANSFER, Side.BUY, ZERO),
        (ExecutionKind.TRANSFER, Side.SELL, ZERO),
        (ExecutionKind.TRANSFER, Side.SELL, ZERO),
    ]
    assert found.ignored == {"transfer in without a cost": 1}


def test_shares_that_a_merger_pays_for_are_sold_and_unknown_codes_are_named() -> None:
    found = rows("ACME,Acme Corp,MRGS,4S,,$48.00", "ACME,Acme Corp,ZZZ,4,,")
    assert (found.fill.kind, found.fill.side, found.fill.price) == (ExecutionKind.TRADE, Side.SELL, Decimal(12))
    assert found.ignored == {"code ZZZ": 1}


def test_every_other_code_is_cash() -> None:
    found = rows(
        ",Interest Payment,INT,,,$1.25",
        ",Margin Interest,MINT,,,($2.00)",
        "ACME,Tax,DTAX,,,($0.50)",
        ",Withdrawal,ACH,,,($100.00)",
        ",Something,XYZ,,,$3.00",
        ",Nothing,XYZ,,,",
    )
    assert {kind: amount for (kind, _), amount in found.moved().items()} == {
        "interest": Decimal("-0.75"),
        "tax": Decimal("-0.50"),
        "withdrawal": Decimal(-100),
        "other": Decimal(3),
    }
    assert found.ignored["no amount"] == 1


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("ACME,Acme Corp,Buy,x,$10.00,($30.00)", "is not a number"),
        ("ACME,Acme Corp,Buy,3,,($30.00)", "missing"),
        (",Acme Corp,Buy,3,$10.00,($30.00)", "cell is empty"),
        ("ACME,Acme Corp,,3,$10.00,($30.00)", "cell is empty"),
    ],
)
def test_rows_that_cannot_be_read_say_why(row: str, message: str) -> None:
    assert message in rows(row).error
