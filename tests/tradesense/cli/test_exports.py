"""A broker's file opened and read, row by row."""

from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tradesense.brokers.contract import Cash, CashKind, CashMovement, Failed, Ignored, NeedsInput, Options
from tradesense.brokers.registry import UnknownBroker
from tradesense.cli.exports import read_export, tell
from tradesense.domain.local_time import instant

OPTIONS = Options(ZoneInfo("UTC"))
HEADER = "datetime,symbol,side,quantity,price\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "file.csv"
    path.write_text(text)
    return path


def test_every_row_is_told_where_it_is_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path, HEADER + "2026-01-05 15:00,AAPL,buy,1000,250.5\n2026-01-05 15:00,AAPL,buy,many,250.5\n")
    export = read_export(path, "auto", OPTIONS, tell=True)
    export.reading.close()
    assert [(told.line, told.outcome) for told in export.told] == [(2, "imported"), (3, "error")]
    assert export.told[0].detail == "buy 1,000 AAPL at 250.5"
    assert export.told[1].detail.startswith("quantity: ")
    assert export.reading.rows == 2


def test_rows_are_not_told_unasked(tmp_path: Path) -> None:
    path = write(tmp_path, HEADER + "2026-01-05 15:00,AAPL,buy,1000,250.5\n")
    export = read_export(path, "generic", OPTIONS)
    export.reading.close()
    assert export.told == []


def test_a_file_that_nobody_knows_needs_a_mapping(tmp_path: Path) -> None:
    with pytest.raises(NeedsInput) as asked:
        read_export(write(tmp_path, "when,what,how many,for\n2026-01-05,AAPL,3,4\n"), "auto", OPTIONS)
    assert [question.field for question in asked.value.questions] == ["mapping"]


def test_a_broker_that_nobody_knows_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UnknownBroker, match="nobody"):
        read_export(write(tmp_path, HEADER), "nobody", OPTIONS)


def test_cash_and_ignored_rows_are_told_with_their_reason() -> None:
    movement = CashMovement(CashKind.DIVIDEND, Decimal("1234.5"), "EUR", instant(0), "1970-01-01", "x")
    assert tell(Cash(7, movement)) == (7, "cash", "dividend 1,234.5 EUR")
    assert tell(Ignored(8, "cancelled")) == (8, "ignored", "cancelled")
    assert tell(Failed(9, None, "truncated")) == (9, "error", "truncated")
