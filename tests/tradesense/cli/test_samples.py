"""`tradesense report` on real exports: what each row became, and figures that are known from elsewhere."""

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import BROKER_SAMPLES
from tests.tradesense.cli.conftest import Run

SAMPLES = sorted(path.relative_to(BROKER_SAMPLES).as_posix() for path in BROKER_SAMPLES.glob("*/*"))
ANSWERS = {"das/trades.csv": ["--date", "2026-03-02"]}


def report(run: Run, samples: Path, sample: str, *options: str) -> dict[str, Any]:
    ran = run("report", samples / sample, "--json", "--timezone", "America/New_York", *options)
    assert ran.code == 0, ran.err
    told: dict[str, Any] = ran.json
    return told


@pytest.mark.parametrize("sample", SAMPLES)
def test_every_row_of_a_real_export_is_accounted_for(run: Run, broker_samples: Path, sample: str) -> None:
    answers = ANSWERS.get(sample, [])
    told = report(run, broker_samples, sample, "--skip-errors", "--rows", *answers)
    ignored = sum(each["count"] for each in told["ignored"])
    assert told["imported"] > 0
    assert told["rows"] == told["imported"] + told["duplicates"] + ignored + told["error_count"]
    assert told["rows"] == len(told["outcomes"])
    again = run("report", *[broker_samples / sample] * 2, "--json", "--skip-errors", *answers).json
    assert again["executions"] == told["executions"]


def test_a_tradovate_order_file_makes_what_its_fills_make(run: Run, broker_samples: Path) -> None:
    told = report(run, broker_samples, "tradovate/orders.csv")
    assert (told["executions"], told["statistics"]["gross_pnl"]) == (12, "1944.5")


def test_a_tradovate_performance_file_makes_its_two_results(run: Run, broker_samples: Path) -> None:
    told = report(run, broker_samples, "tradovate/performance.csv")
    assert [trade["gross_pnl"] for trade in told["trades"]] == ["-400", "1200"]


def test_the_cash_and_costs_of_a_thinkorswim_statement_add_up(run: Run, broker_samples: Path) -> None:
    told = report(run, broker_samples, "thinkorswim/account-statement.csv")
    dollars = told["by_currency"]["USD"]
    assert (told["executions"], dollars["cash"], dollars["costs_paid"]) == (103, "660", "354.06")
    assert [trade["open_quantity"] for trade in told["trades"] if trade["status"] == "open"] == ["2"]


def test_an_ibkr_result_agrees_with_the_files_own_to_the_last_digit(run: Run, broker_samples: Path) -> None:
    (trade,) = report(run, broker_samples, "ibkr/activity-fees.csv")["trades"]
    assert (trade["symbol"], trade["net_pnl"]) == ("VT", "9.98187326")


def test_a_short_whose_stated_profit_has_the_wrong_sign_is_pointed_out(run: Run, broker_samples: Path) -> None:
    warnings = report(run, broker_samples, "topstepx/trades.csv")["warnings"]
    assert any("-400" in warning and "397.32" in warning for warning in warnings)
