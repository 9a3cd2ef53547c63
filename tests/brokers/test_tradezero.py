"""TradeZero's trades."""

from decimal import Decimal

from tests.brokers.cases import FIXTURES
from tests.brokers.importing import read_path, trades
from tests.brokers.uploads import Upload, detected, upload
from tradesense.domain.executions import Side
from tradesense.domain.instruments import AssetClass

NAME = "tradezero/trades"
HEADER = (
    "Account,T/D,S/D,Currency,Type,Side,Symbol,Qty,Price,Exec Time,Comm,SEC,TAF,NSCC,Nasdaq,ECN Remove,ECN Add,"
    "Gross Proceeds,Net Proceeds,Clr Broker,Liq,Note\n"
)


def rows(*lines: str) -> Upload:
    return upload(NAME, HEADER + "\n".join(f"TZ1,02/02/2026,02/03/2026,USD,2,{line}" for line in lines) + "\n")


def test_the_layout_is_read_whole() -> None:
    path = FIXTURES / "tradezero.csv"
    found = upload(NAME, path, timezone="America/New_York")
    assert (found.rows, found.imported, found.ignored, found.errors) == (4, 4, {}, [])
    assert [fill.side for fill in found.fills] == [Side.BUY, Side.SELL, Side.SELL, Side.BUY]
    assert [fill.commission + fill.fees for fill in found.fills] == [
        Decimal("1.33"),
        Decimal("0.85"),
        Decimal("1.04"),
        Decimal("1.02"),
    ]
    assert {fill.account for fill in found.fills} == {"TZ000001"}
    assert str(found.fills[0].at) == "2026-02-02 14:31:12+00:00"
    assert detected(path) == NAME


def test_results_are_the_net_proceeds() -> None:
    with read_path(FIXTURES / "tradezero.csv") as reading:
        found = trades(reading)
    assert [trade.net for trade in found["ACME"]] == [Decimal("1290.15") - Decimal("1251.33")]
    assert [trade.net for trade in found["ZETA"]] == [Decimal("411.46") - Decimal("401.02")]


def test_costs_that_the_file_counts_negative_are_turned_round() -> None:
    found = rows("S,ACME,100,12.91,10:00:07,-0.99,-0.01,-0.01,0,0,0,0.2,1291.00,1290.19,,,")
    assert (found.fill.commission, found.fill.fees) == (Decimal("0.99"), Decimal("-0.18"))


def test_costs_alone_are_taken_as_they_stand() -> None:
    found = rows("B,ACME,1,12.91,10:00:07,0.99,0,0,0,0,0,0,,,,,")
    assert found.costs() == {"USD": Decimal("0.99")}


def test_options_go_by_occs_symbols() -> None:
    found = rows("B,ACME260220C00015000,2,0.80,10:00:07,1,0,0,0,0,0,0,-160,-161,,,")
    assert (found.fill.instrument.asset_class, found.fill.instrument.multiplier) == (AssetClass.OPTION, Decimal(100))


def test_a_side_that_is_none_is_an_error() -> None:
    assert "'X'" in rows("X,ACME,1,12.91,10:00:07,0,0,0,0,0,0,0,0,0,,,").error
