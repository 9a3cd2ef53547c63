"""tastytrade's transactions, and those of tastyworks."""

from datetime import date
from decimal import Decimal

import pytest

from tests.brokers.cases import FIXTURES
from tests.brokers.importing import read_path, trades
from tests.brokers.uploads import Upload, detected, upload
from tradesense.domain.executions import ExecutionKind, Side
from tradesense.domain.instruments import AssetClass, Right
from tradesense.domain.money import ZERO

NAME = "tastytrade/transactions"
HEADER = (
    "Date,Type,Sub Type,Action,Symbol,Instrument Type,Description,Value,Quantity,Average Price,Commissions,Fees,"
    "Multiplier,Root Symbol,Underlying Symbol,Expiration Date,Strike Price,Call or Put,Order #,Currency\n"
)
OPTION = "ACME  260220C00015000,Equity Option"
PARTS = "100,ACME,ACME,2/20/26,15,CALL"
FUTURE_OPTION = "./MESH6EXG6  260227P5000,Future Option"
FUTURE_PARTS = "1,./MESH6EXG6,/MESH6,2/27/26,5000,PUT"


def rows(*lines: str) -> Upload:
    return upload(NAME, HEADER + "\n".join(f"2026-02-20T16:00:00-0500,{line}" for line in lines) + "\n")


@pytest.mark.parametrize("name", ["tastytrade", "tastyworks"])
def test_a_layout_is_read_whole(name: str) -> None:
    path = FIXTURES / f"{name}.csv"
    found = upload("tastytrade/transactions" if name == "tastytrade" else "tastytrade/tastyworks", path)
    assert (found.errors, found.warnings) == ([], [])
    assert found.ignored == ({"dividend": 1, "deposit": 1} if name == "tastytrade" else {"deposit": 1})
    assert found.imported == (5 if name == "tastytrade" else 3)
    assert found.costs() == {"USD": Decimal("3.96" if name == "tastytrade" else "1.22")}
    assert found.fills[0].kind is ExecutionKind.EXPIRY
    assert detected(path).endswith("transactions" if name == "tastytrade" else "tastyworks")


def test_results_of_a_future_and_of_an_option_that_expired() -> None:
    with read_path(FIXTURES / "tastytrade.csv") as reading:
        found = trades(reading)
    assert [trade.net for trade in found["/MESH6"]] == [Decimal("47.26")]
    assert [trade.net for trade in found["ACME 2026-02-20 15 C"]] == [Decimal("78.86")]


def test_times_carry_their_own_offset() -> None:
    (first, *_) = upload(NAME, FIXTURES / "tastytrade.csv", timezone="Asia/Tokyo").fills
    assert str(first.at) == "2026-02-20 21:00:00+00:00"


def test_a_share_costs_its_value_where_that_is_exact() -> None:
    found = rows(
        "Trade,Buy to Open,BUY_TO_OPEN,ACME,Equity,Bought 8 ACME @ 12.51,-100.04,8,-12.51,--,0.00,,,,,,,1,USD",
        "Trade,Buy to Open,BUY_TO_OPEN,ACME,Equity,Bought 3 ACME @ 33.33,-100.00,3,-33.33,--,0.00,,,,,,,2,USD",
        "Trade,Buy to Open,BUY_TO_OPEN,ACME,Equity,Bought 3 ACME,-100.00,3,,--,0.00,,,,,,,3,USD",
        f"Trade,Buy to Open,BUY_TO_OPEN,{OPTION},Bought 1 call,-80.00,1,-80.00,--,0.00,{PARTS},3,USD",
    )
    assert [fill.price for fill in found.fills] == [
        Decimal("12.505"),
        Decimal("33.33"),
        Decimal("33.333333333333"),
        Decimal("0.8"),
    ]


def test_an_option_on_a_future_has_its_futures_multiplier() -> None:
    found = rows(
        f"Trade,Sell to Open,SELL_TO_OPEN,{FUTURE_OPTION},Sold 1 /MESH6 EXG6 02/27/26 Put 5000.00 @ 3.85,"
        f"19.25,1,19.25,-0.75,-0.57,{FUTURE_PARTS},1,USD"
    )
    option = found.fill.instrument
    assert (option.asset_class, option.root, option.underlying) == (AssetClass.OPTION, "MESH6EXG6", "MESH6")
    assert (option.multiplier, option.strike, option.right) == (Decimal(5), Decimal(5000), Right.PUT)
    assert (option.expiry, found.fill.price) == (date(2026, 2, 27), Decimal("3.85"))


def test_the_multiplier_of_an_unknown_future_is_what_the_value_shows() -> None:
    told = "Sold 2 /ZZZH6 EXG6 02/27/26 Put 5000.00 @ 4.00"
    symbol, parts = "./ZZZH6EXG6  260227P5000,Future Option", "1,./ZZZH6EXG6,/ZZZH6,2/27/26,5000,PUT"
    found = rows(
        f"Trade,Sell to Open,SELL_TO_OPEN,{symbol},{told},200.00,2,100.00,0,0,{parts},1,USD",
        f"Receive Deliver,Expiration,BUY_TO_CLOSE,{symbol},Removal of option,0.00,2,0.00,0,0,{parts},,USD",
    )
    assert found.fill.instrument.multiplier == 25
    assert "give one for it" in found.error


def test_an_assignment_closes_the_option_at_0_and_its_shares_have_a_row() -> None:
    found = rows(
        f"Receive Deliver,Assignment,,{OPTION},Removal of option due to assignment,0.00,1,0.00,--,0.00,{PARTS},,USD",
        "Receive Deliver,Sell to Open,SELL_TO_OPEN,ACME,Equity,Sell to Open 100 ACME @ 15.00,1500.00,100,15.00,--,"
        "-5.00,,,,,,,,USD",
        f"Receive Deliver,Exercise,SELL_TO_CLOSE,{OPTION},Removal of option due to exercise,0.00,1,0.00,--,0.00,"
        f"{PARTS},,USD",
    )
    assert [(fill.kind, fill.side, fill.price) for fill in found.fills] == [
        (ExecutionKind.ASSIGNMENT, Side.BUY, ZERO),
        (ExecutionKind.TRADE, Side.SELL, Decimal(15)),
        (ExecutionKind.EXERCISE, Side.SELL, ZERO),
    ]
    assert found.costs() == {"USD": Decimal("5.00")}


def test_options_settled_in_cash_trade_at_what_was_paid() -> None:
    found = rows(
        f"Receive Deliver,Cash Settled Assignment,,{OPTION},Cash settled,-250.00,1,,--,0.00,{PARTS},,USD",
        f"Receive Deliver,Cash Settled Exercise,,{OPTION},Cash settled,250.00,2,,--,0.00,{PARTS},,USD",
    )
    assert [(fill.side, fill.price) for fill in found.fills] == [
        (Side.BUY, Decimal("2.5")),
        (Side.SELL, Decimal("1.25")),
    ]


def test_the_halves_of_a_split_are_one() -> None:
    found = rows(
        "Receive Deliver,Reverse Split,BUY_TO_OPEN,ACME,Equity,Open 10.0 ACME,-50,10,-5,--,0,,,,,,,,USD",
        "Receive Deliver,Reverse Split,SELL_TO_CLOSE,ACME,Equity,Close 100.0 ACME,50,100,0.5,--,0,,,,,,,,USD",
    )
    assert (found.fill.kind, found.fill.quantity, found.fill.price) == (ExecutionKind.SPLIT, Decimal(10), Decimal(100))
    assert found.ignored == {"split counterpart": 1}


def test_shares_without_a_price_come_at_0_or_not_at_all() -> None:
    found = rows(
        "Receive Deliver,Dividend,BUY_TO_OPEN,ACME,Equity,Received 0.5 Long ACME,0.00,0.5,0.00,--,0.00,,,,,,,,USD",
        "Receive Deliver,ACAT,BUY_TO_OPEN,ACME,Equity,ACAT in,0.00,5,0.00,--,0.00,,,,,,,,USD",
        "Receive Deliver,ACAT,SELL_TO_CLOSE,ACME,Equity,ACAT out,0.00,5,0.00,--,0.00,,,,,,,,USD",
        "Receive Deliver,Symbol Change,BUY_TO_OPEN,NEWS,Equity,Symbol change,10.00,5,2.00,--,0.00,,,,,,,,USD",
    )
    assert [(fill.kind, fill.side, fill.price) for fill in found.fills] == [
        (ExecutionKind.TRANSFER, Side.BUY, ZERO),
        (ExecutionKind.TRANSFER, Side.SELL, ZERO),
    ]
    assert found.ignored == {"transfer in without a cost": 1, "symbol change": 1}


def test_coins_and_currencies_are_told_by_the_class() -> None:
    found = rows(
        "Trade,Buy,BUY_TO_OPEN,BTC/USD,Cryptocurrency,Bought 0.01 BTC/USD @ 60000.00,-600,0.01,-60000,-6,0,,,,,,,1,USD",
    )
    assert (found.fill.instrument.asset_class, found.fill.instrument.root) == (AssetClass.CRYPTO, "BTC")
    assert (found.fill.price, found.costs()) == (Decimal(60000), {"USD": Decimal(6)})


def test_money_moves_by_its_sub_type() -> None:
    def money(sub: str, value: str) -> str:
        return f"Money Movement,{sub},,,,{sub},{value},0,,--,0.00,,,,,,,,USD"

    found = rows(
        money("Deposit", "500"),
        money("Withdrawal", "-100"),
        money("Credit Interest", "1.5"),
        money("Balance Adjustment", "-0.02"),
        money("Fee", "-15"),
        money("Dividend", "7"),
        money("Foreign Tax Withholding", "-1"),
        money("Mark to Market", "12.5"),
        money("Promotion", "50"),
        money("Deposit", "0"),
    )
    assert {kind: amount for (kind, _), amount in found.moved().items()} == {
        "deposit": Decimal(500),
        "withdrawal": Decimal(-100),
        "interest": Decimal("1.5"),
        "fee": Decimal("-15.02"),
        "dividend": Decimal(7),
        "tax": Decimal(-1),
        "other": Decimal(50),
    }
    assert found.ignored["mark to market"] == 1
    assert found.ignored["no amount"] == 1


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("Gift,Buy,BUY,ACME,Equity,Bought 1 ACME @ 5.00,-5,1,-5,--,0,,,,,,,1,USD", "no kind of transaction"),
        ("Trade,Hold,,ACME,Equity,Held 1 ACME @ 5.00,-5,1,-5,--,0,,,,,,,1,USD", "neither a purchase nor a sale"),
        ("Trade,Buy,BUY,ACME,Equity,Bought 0 ACME @ 5.00,-5,0,-5,--,0,,,,,,,1,USD", "quantity is 0"),
        ("Trade,Buy,BUY,/MESH6,Future,Bought 1 /MESH6,0,1,0,--,0,,,,,,,1,USD", "price is missing"),
        ("Trade,Buy,BUY,/MESH6,Future,Bought 1 /MESH6 @ 5..5,0,1,0,--,0,,,,,,,1,USD", "does not read as a number"),
    ],
)
def test_rows_that_cannot_be_read_say_why(row: str, message: str) -> None:
    assert message in rows(row).error
