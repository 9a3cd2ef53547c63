"""`tradesense import` and `tradesense demo`: files into a user's accounts, by the way that uploads take."""

from pathlib import Path

import pytest

from tests.tradesense.cli.conftest import Run

HEADER = "datetime,symbol,side,quantity,price,commission,fees,multiplier,currency,account,id\n"
ROUND_TRIP = "2026-01-05 15:00,MESH6,buy,2,6000,1,0.5,5,USD,A,1\n2026-01-06 15:30,MESH6,sell,2,6010,1,0.5,5,USD,A,2\n"
EMAIL = "trader@example.com"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "fills.csv"
    path.write_text(HEADER + ROUND_TRIP)
    return path


@pytest.fixture
def trader(run: Run) -> str:
    run("user", "create", EMAIL, stdin="correct horse battery staple\n")
    return EMAIL


def test_a_file_is_imported_once_however_often_it_comes(run: Run, file: Path, trader: str) -> None:
    ran = run("import", file, file, "--email", trader)
    assert ran.code == 0
    assert "2 imported as 2 executions, 0 duplicates" in ran.out
    assert "0 imported as 0 executions, 2 duplicates" in ran.out
    again = run("import", file, "--email", trader, "--json").json
    assert (again["rows"], again["imported"], again["duplicates"]) == (2, 0, 2)


def test_a_row_in_error_refuses_the_file_unless_it_is_skipped(run: Run, file: Path, trader: str) -> None:
    file.write_text(HEADER + ROUND_TRIP + "2026-01-07 15:00,MESH6,buy,many,6000,1,0.5,5,USD,A,3\n")
    refused = run("import", file, "--email", trader)
    assert refused.code == 1
    assert "line 4, quantity: " in refused.err
    assert run("import", file, "--email", trader, "--skip-errors").code == 0


def test_an_unknown_file_asks_for_a_mapping_which_can_be_given(run: Run, tmp_path: Path, trader: str) -> None:
    path = tmp_path / "own.csv"
    path.write_text("when,what,how many,for\n2026-01-05 10:00,AAPL,3,200\n2026-01-05 11:00,AAPL,-3,210\n")
    asked = run("import", path, "--email", trader)
    assert asked.code == 2
    assert "--mapping FIELD=COLUMN" in asked.err
    pairs = ("datetime=when", "symbol=what", "quantity=how many", "price=for")
    assert run("import", path, "--email", trader, *(f"--mapping={pair}" for pair in pairs)).code == 0


def test_an_unknown_user_or_broker_is_refused(run: Run, file: Path, trader: str) -> None:
    assert "nobody@example.com" in run("import", file, "--email", "nobody@example.com").err
    ran = run("import", file, "--email", trader, "--broker", "nobody")
    assert ran.code == 1
    assert "nobody" in ran.err


def test_the_demo_user_can_log_in_and_exists_once(run: Run) -> None:
    ran = run("demo", "--days", "30")
    assert ran.code == 0
    assert "demo@example.com, password " in ran.out
    assert "registered" in run("demo").err
