"""`tradesense report`: files to statistics, with no server and no database."""

import os
from datetime import date
from pathlib import Path

import pytest

from tests.tradesense.cli.conftest import Run
from tradesense.cli.demo_trades import demo_csv

HEADER = "datetime,symbol,side,quantity,price,commission,fees,multiplier,currency,account,id\n"
ROUND_TRIP = "2026-01-05 15:00,MESH6,buy,2,6000,1,0.5,5,USD,A,1\n2026-01-06 15:30,MESH6,sell,2,6010,1,0.5,5,USD,A,2\n"
EUROS = "2026-01-05 15:00,SAP,buy,3,200.5,2,,1,EUR,A,9\n"
BROKEN = "2026-01-07 15:00,MESH6,buy,many,6000,1,0.5,5,USD,A,3\n"

KEYS = {
    "broker",
    "rows",
    "imported",
    "executions",
    "duplicates",
    "ignored",
    "errors",
    "warnings",
    "questions",
    "trades",
    "statistics",
    "by_currency",
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "fills.csv"
    path.write_text(HEADER + ROUND_TRIP)
    return path


def test_the_command_itself_prints_tables_and_charts(run_command: Run, file: Path) -> None:
    ran = run_command("report", file, "--timezone", "America/New_York", "--balance", "10000")
    assert (ran.code, ran.err) == (0, "")
    for expected in (
        "generic/executions",
        "+97.00",
        "Equity, USD",
        "10,097.00",
        "Jan 2026",
        "MESH6",
        "2026-01-05 15:00",
    ):
        assert expected in ran.out


@pytest.mark.parametrize("option", ["--trades=1", "--json"])
def test_a_terminal_without_the_characters_is_no_obstacle(
    run_command: Run, environment: dict[str, str | None], tmp_path: Path, option: str
) -> None:
    environment["PYTHONIOENCODING"] = "ascii"
    path = tmp_path / "öl.csv"
    path.write_text(HEADER + ROUND_TRIP)
    ran = run_command("report", path, option)
    assert ran.code == 0, ran.err
    assert ("?l.csv ? generic" if option == "--trades=1" else '"file": "öl.csv"') in ran.out


def test_the_json_has_the_documented_keys(run: Run, file: Path) -> None:
    report = run("report", file, "--json", "--timezone", "UTC").json
    assert report.keys() >= KEYS
    assert (report["broker"], report["rows"], report["imported"], report["executions"]) == ("generic", 2, 2, 2)
    assert report["statistics"]["net_pnl"] == "97"
    assert report["by_currency"]["USD"]["cash"] == "100"
    assert report["by_currency"]["USD"]["costs_paid"] == "3"
    (trade,) = report["trades"]
    assert trade["entry_price"] == "6000"
    assert trade["net_pnl"] == "97"
    assert trade["opened_at"] == "2026-01-05T15:00:00Z"
    assert (report["warnings"], report["errors"], report["questions"]) == ([], [], [])


def test_a_balance_makes_returns_of_profits(run: Run, file: Path) -> None:
    statistics = run("report", file, "--json", "--timezone", "UTC", "--balance", "USD=10,000").json["statistics"]
    assert statistics["equity"] == "10097"
    assert statistics["cagr"] > 0


def test_utc_stands_in_for_a_missing_zone_and_the_report_says_so(run: Run, file: Path) -> None:
    assert "--timezone" in run("report", file, "--json").json["warnings"][0]
    assert "--timezone" in run("report", file).err


def test_times_that_say_their_zone_need_no_warning(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "zoned.csv"
    path.write_text(HEADER + ROUND_TRIP.replace("15:00,", "15:00:00Z,").replace("15:30,", "15:30:00+01:00,"))
    assert run("report", path, "--json").json["warnings"] == []


def test_a_row_in_error_fails_the_report_and_is_named(run: Run, file: Path) -> None:
    file.write_text(HEADER + ROUND_TRIP + BROKEN)
    ran = run("report", file)
    assert ran.code == 1
    assert "line 4, quantity: " in ran.err
    assert "--skip-errors" in ran.err
    report = run("report", file, "--json").json
    assert report["trades"] == []
    assert (report["rows"], report["imported"], report["error_count"]) == (3, 2, 1)


def test_rows_in_error_can_be_skipped(run: Run, file: Path) -> None:
    file.write_text(HEADER + ROUND_TRIP + BROKEN)
    ran = run("report", file, "--json", "--skip-errors")
    assert ran.code == 0
    assert len(ran.json["trades"]) == 1


def test_the_same_file_twice_adds_nothing(run: Run, file: Path) -> None:
    report = run("report", file, file, "--json").json
    assert (report["rows"], report["imported"], report["duplicates"], report["executions"]) == (4, 2, 2, 2)
    assert [each["duplicates"] for each in report["files"]] == [0, 2]
    assert report["statistics"]["net_pnl"] == "97"


def test_every_row_can_be_told(run: Run, file: Path) -> None:
    outcomes = run("report", file, file, "--json", "--rows").json["files"][1]["outcomes"]
    assert [(told["line"], told["outcome"]) for told in outcomes] == [(2, "duplicate"), (3, "duplicate")]
    assert "buy 2 MESH6 at 6,000" in run("report", file, "--rows").out


def test_currencies_are_never_added_up(run: Run, file: Path) -> None:
    file.write_text(HEADER + ROUND_TRIP + EUROS)
    report = run("report", file, "--json", "--balance", "USD=1000").json
    assert report["statistics"]["net_pnl"] is None
    assert report["statistics"]["reasons"]["net_pnl"] == "mixed currencies"
    assert report["by_currency"]["USD"]["net_pnl"] == "97"
    assert report["by_currency"]["EUR"]["cash"] == "-601.5"
    shown = run("report", file)
    assert "Cumulative net P&L, USD" in shown.out
    assert "open" in shown.out


def test_a_balance_of_unclear_currency_is_asked_for(run: Run, file: Path) -> None:
    file.write_text(HEADER + ROUND_TRIP + EUROS)
    ran = run("report", file, "--balance", "1000")
    assert ran.code == 2
    assert "--balance CURRENCY=AMOUNT" in ran.err


def test_an_unknown_file_asks_for_a_mapping_which_can_be_given(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    path.write_text("when,what,how many,for\n2026-01-05 10:00,AAPL,3,200\n2026-01-05 11:00,AAPL,-3,210\n")
    ran = run("report", path)
    assert ran.code == 2
    assert "--mapping FIELD=COLUMN" in ran.err
    assert run("report", path, "--json").json["questions"][0]["field"] == "mapping"
    pairs = ("datetime=when", "symbol=what", "quantity=how many", "price=for")
    mapped = run("report", path, "--json", "--currency", "USD", *(f"--mapping={pair}" for pair in pairs))
    assert mapped.json["statistics"]["net_pnl"] == "30"


def test_a_missing_file_a_picture_and_an_unknown_broker_are_refused(run: Run, file: Path, tmp_path: Path) -> None:
    picture = tmp_path / "picture.csv"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    for ran in (
        run("report", tmp_path / "none.csv"),
        run("report", picture),
        run("report", file, "--broker", "nobody"),
    ):
        assert ran.code == 1
        assert ran.err
    assert run("report", tmp_path / "none.csv", "--json").json["errors"][0]["line"] is None


def test_a_pipe_is_refused_as_it_cannot_be_read_twice(run: Run, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    ran = run("report", pipe)
    assert ran.code == 1
    assert "save what it gives to a file" in ran.err


@pytest.mark.parametrize(
    "option",
    [
        "--timezone=Nowhere/City",
        "--timezone=America",
        "--date=yesterday",
        "--mapping=nonsense",
        "--balance=much",
        "--balance=NaN",
        "--balance=1e400",
    ],
)
def test_an_option_that_makes_no_sense_is_refused_with_an_example(run: Run, file: Path, option: str) -> None:
    ran = run("report", file, option)
    assert ran.code == 2
    assert option.split("=")[1] in ran.err


def test_the_demo_file_gives_a_plausible_report(run: Run, tmp_path: Path) -> None:

    path = tmp_path / "demo.csv"
    path.write_bytes(demo_csv(date(2026, 11, 20), days=60))
    report = run("report", path, "--timezone", "America/New_York", "--json", "--balance", "25000").json
    assert report["statistics"]["open_trades"] == 1
    assert 0.3 < report["statistics"]["win_rate"] < 0.7
    ran = run("report", path, "--trades", "3")
    assert "the latest 3 of" in ran.out


ORDERS = """orderId,Account,Order ID,B/S,Contract,avgPrice,filledQty,Fill Time,Status,Filled Qty,Avg Fill Price,Currency
1,ACC,1, Buy,MNQM6,28531.75,5,06/10/2026 16:00:05, Filled,5,28531.75,USD
2,ACC,2, Sell,MNQM6,28491.75,5,06/10/2026 16:00:29, Filled,5,28491.75,USD
3,ACC,3, Buy,MNQM6,28500.00,1,06/11/2026 16:00:05, Filled,1,28500.00,USD
4,ACC,4, Sell,MNQM6,28510.00,1,06/11/2026 16:10:29, Filled,1,28510.00,USD
"""
PERFORMANCE = """symbol,buyFillId,sellFillId,qty,buyPrice,sellPrice,pnl,boughtTimestamp,soldTimestamp,duration
MNQM6,7,8,5,28531.75,28491.75,$(400.00),06/10/2026 16:00:05,06/10/2026 16:00:29,24sec
"""


def test_two_formats_of_one_broker_are_noticed_as_suspected_duplicates(run: Run, tmp_path: Path) -> None:
    orders, performance = tmp_path / "orders.csv", tmp_path / "performance.csv"
    orders.write_text(ORDERS)
    performance.write_text(PERFORMANCE)
    ran = run("report", orders, performance)
    assert ran.code == 2
    assert "2 of the 2 fills" in ran.err
    assert "--duplicates, one of skip, import" in ran.err
    skipped = run("report", orders, performance, "--duplicates", "skip", "--json").json
    assert (skipped["statistics"]["net_pnl"], skipped["imported"], skipped["duplicates"]) == ("-380", 4, 1)
    imported = run("report", orders, performance, "--duplicates", "import", "--json").json
    assert imported["statistics"]["net_pnl"] == "-780"


def test_a_stated_profit_that_the_fills_do_not_give_is_a_warning_that_names_both(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "performance.csv"
    path.write_text(
        "symbol,buyFillId,sellFillId,qty,buyPrice,sellPrice,pnl,boughtTimestamp,soldTimestamp,duration\n"
        "MNQM6,7,8,5,28531.75,28491.75,$400.00,06/10/2026 16:00:05,06/10/2026 16:00:29,24sec\n"
    )
    (warning,) = run("report", path, "--json", "--timezone", "UTC").json["warnings"]
    assert "400" in warning
    assert "-400" in warning
