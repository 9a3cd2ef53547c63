"""Webull's orders."""

from datetime import date
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.brokers.cases import FIXTURES, NEW_YORK
from tests.brokers.importing import read_path, trades
from tests.brokers.uploads import Upload, detected, upload
from tradesense.brokers.contract import NeedsInput, Options
from tradesense.domain.executions import Side
from tradesense.domain.instruments import Right

NAME = "webull/orders"
HEADER = "Name,Symbol,Side,Status,Filled,Total Qty,Price,Avg Price,Time-in-Force,Placed Time,Filled Time\n"
BOUGHT = "Acme Corp,ACME,Buy,Filled,3,3,@12.50,12.5,GTC,07/02/2026 09:30:00 EDT,07/02/2026 09:31:12 EDT"


def rows(*lines: str) -> Upload:
    return upload(NAME, HEADER + "\n".join(lines) + "\n", timezone="America/New_York")


def test_the_layout_is_read_whole() -> None:
    path = FIXTURES / "webull.csv"
    found = upload(NAME, path, timezone="America/New_York")
    assert (found.rows, found.imported, found.ignored, found.errors) == (4, 3, {"cancelled": 1}, [])
    assert {fill.identity for fill in found.fills} == {None}
    assert detected(path) == NAME
    option = found.fills[1].instrument
    assert (option.root, option.expiry, option.strike, option.right) == (
        "ACME",
        date(2026, 2, 20),
        Decimal(15),
        Right.CALL,
    )


def test_results_have_no_costs_for_the_file_has_none() -> None:
    with read_path(FIXTURES / "webull.csv", options=NEW_YORK) as reading:
        (trade,) = trades(reading)["ACME"]
    assert trade.net == Decimal("41.00")


def test_summer_and_winter_are_new_yorks() -> None:
    winter = BOUGHT.replace("07/02", "02/02").replace("EDT", "EST")
    assert [str(fill.at) for fill in rows(BOUGHT, winter).fills] == [
        "2026-07-02 13:31:12+00:00",
        "2026-02-02 14:31:12+00:00",
    ]


def test_another_zone_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    path.write_text(HEADER + BOUGHT + "\n")
    with pytest.raises(NeedsInput), read_path(path, NAME, Options(ZoneInfo("Europe/Zurich"))):
        pass


def test_what_was_filled_of_an_order_counts() -> None:
    found = rows(
        BOUGHT.replace("Filled,3,3", "Partial Filled,2,3"),
        BOUGHT.replace("Buy,Filled,3,3", "Short,Cancelled,1,3"),
        BOUGHT.replace("Filled,3,3", "Failed,0,3"),
        BOUGHT.replace("Filled,3,3", "Pending,,3"),
    )
    assert [(fill.side, fill.quantity) for fill in found.fills] == [
        (Side.BUY, Decimal(2)),
        (Side.SELL, Decimal(1)),
    ]
    assert found.ignored == {"failed": 1, "pending": 1}


def test_a_row_without_a_price_says_so() -> None:
    assert "missing" in rows(BOUGHT.replace("12.5,GTC", ",GTC")).error
