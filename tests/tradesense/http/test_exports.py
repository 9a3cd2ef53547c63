import csv
import io
import json
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from openpyxl import load_workbook

from tradesense.http.exports import Format, Row, export

ROWS: Sequence[Row] = [
    {"symbol": "MNQM6", "net": Decimal("-2.50"), "at": datetime(2026, 3, 2, 14, 30, tzinfo=UTC), "tags": ["a", "b"]},
    {"symbol": "=HYPERLINK(1)", "net": Decimal(3), "at": None, "tags": ["@me"]},
]
COLUMNS = list(ROWS[0])


async def _parts(*parts: Sequence[Row]) -> AsyncIterator[Sequence[Row]]:
    for part in parts:
        yield part


async def _file(kind: Format, *parts: Sequence[Row]) -> bytes:
    answer = await export(_parts(*parts), COLUMNS, kind, "trades")
    assert answer.headers["content-disposition"] == f'attachment; filename="trades.{kind}"'
    chunks = [chunk async for chunk in answer.body_iterator]
    content = b"".join(chunk for chunk in chunks if isinstance(chunk, bytes))
    assert int(answer.headers["content-length"]) == len(content)
    return content


async def test_csv_has_a_header_exact_numbers_and_no_formula() -> None:
    rows = list(csv.reader(io.StringIO((await _file(Format.CSV, ROWS[:1], ROWS[1:])).decode())))
    assert rows == [
        ["symbol", "net", "at", "tags"],
        ["MNQM6", "-2.5", "2026-03-02T14:30:00Z", "a; b"],
        ["'=HYPERLINK(1)", "3", "", "'@me"],
    ]


async def test_xlsx_has_numbers_as_numbers_and_no_formula() -> None:
    sheet: Any = load_workbook(io.BytesIO(await _file(Format.XLSX, ROWS))).active
    assert [[cell.value for cell in row] for row in sheet] == [
        ["symbol", "net", "at", "tags"],
        ["MNQM6", -2.5, "2026-03-02T14:30:00Z", "a; b"],
        ["'=HYPERLINK(1)", 3, None, "'@me"],
    ]
    assert sheet["A3"].data_type == "s"


async def test_json_has_money_as_strings_and_text_as_it_is() -> None:
    assert json.loads(await _file(Format.JSON, ROWS)) == {
        "items": [
            {"symbol": "MNQM6", "net": "-2.5", "at": "2026-03-02T14:30:00Z", "tags": ["a", "b"]},
            {"symbol": "=HYPERLINK(1)", "net": "3", "at": None, "tags": ["@me"]},
        ]
    }


@pytest.mark.parametrize("kind", Format)
async def test_a_table_without_rows_is_a_whole_file_all_the_same(kind: Format) -> None:
    content = await _file(kind)
    if kind is Format.JSON:
        assert json.loads(content) == {"items": []}
    elif kind is Format.CSV:
        assert content == b"symbol,net,at,tags\r\n"
    else:
        sheet: Any = load_workbook(io.BytesIO(content)).active
        assert sheet.max_row == 1


async def test_control_characters_that_xlsx_cannot_hold_become_spaces() -> None:
    sheet: Any = load_workbook(io.BytesIO(await _file(Format.XLSX, [{**ROWS[0], "symbol": "a\x01b"}]))).active
    assert sheet["A2"].value == "a b"


async def test_an_error_while_the_file_is_made_is_an_error_and_not_half_a_file() -> None:
    async def broken() -> AsyncIterator[Sequence[Row]]:
        yield ROWS
        raise RuntimeError("the database is gone")

    with pytest.raises(RuntimeError, match="gone"):
        await export(broken(), COLUMNS, Format.CSV, "trades")
