"""The command where what it says cannot be written."""

import sys
from pathlib import Path

import pytest

from tradesense.cli import main

FILE = "datetime,symbol,side,quantity,price\n2026-01-05 10:00:00,AAPL,buy,1,1\n"


@pytest.mark.parametrize("arguments", [["--version"], ["report"], ["report", "--json"]], ids=" ".join)
def test_a_full_disk_is_told_in_a_line(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if "report" in arguments:
        file = tmp_path / "fills.csv"
        file.write_text(FILE)
        arguments = [*arguments, str(file), "--timezone", "UTC"]
    monkeypatch.setattr(sys, "argv", ["tradesense", *arguments])
    with Path("/dev/full").open("w") as full, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", full)
        with pytest.raises(SystemExit) as ended:
            main()
    assert ended.value.code == 1
    assert capsys.readouterr().err.endswith("tradesense: No space left on device\n")


def test_whoever_has_closed_the_output_wants_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["tradesense", "--version"])
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", None)
        with pytest.raises(SystemExit) as ended:
            main()
    assert ended.value.code == 0
