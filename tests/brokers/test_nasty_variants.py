"""Every format's fixture in disguise: the same result, or an error that says what is wrong."""

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.brokers import disguises
from tests.brokers.cases import CASES, Case
from tradesense.brokers import registry
from tradesense.brokers.contract import NeedsInput, Unreadable
from tradesense.brokers.documents import Document, Kind
from tradesense.brokers.formats import HeaderFormat
from tradesense.brokers.reading import Reading

Result = dict[str, Any]

TEXTS = [case for case in CASES if case.fixture.endswith(".csv")]
TABLES = [case for case in CASES if isinstance(registry.find(case.format)[0], HeaderFormat) and case.shuffles]

each_case = pytest.mark.parametrize("case", CASES, ids=str)
each_text = pytest.mark.parametrize("case", TEXTS, ids=str)
each_table = pytest.mark.parametrize("case", TABLES, ids=str)
each_recoded = pytest.mark.parametrize(
    "case", [case for case in CASES if disguises.kind(case) in (Kind.TEXT, Kind.HTML)], ids=str
)
each_markup = pytest.mark.parametrize(
    "case", [case for case in CASES if disguises.kind(case) in (Kind.XML, Kind.HTML)], ids=str
)
each_without_dollars = pytest.mark.parametrize(
    "case", [case for case in TABLES if "$" not in case.path.read_text(encoding="utf-8-sig")], ids=str
)


def read(path: Path, case: Case) -> tuple[str, Reading]:
    """Read a file as a person's upload: whose format it is must be found out."""
    reading, _ = registry.read_file(Document.open(path), None, case.options)
    return f"{reading.broker}/{reading.format}", reading


def result(path: Path, case: Case) -> Result:
    name, reading = read(path, case)
    with reading:
        return {
            "format": name,
            "fills": [
                (
                    entry.identity,
                    entry.sequence,
                    entry.fill.instrument.key,
                    entry.fill.instrument.multiplier,
                    entry.fill.side,
                    entry.fill.quantity,
                    entry.fill.price,
                    entry.fill.at,
                    entry.fill.commission,
                    entry.fill.fees,
                    entry.fill.account,
                )
                for entry in reading.fills()
            ],
            "cash": [(entry.identity, entry.movement.kind, entry.movement.amount) for entry in reading.movements()],
            "ignored": dict(reading.ignored),
            "errors": [(error.column, error.message) for error in reading.errors],
            "rows": reading.rows,
        }


@pytest.fixture
def upload(tmp_path: Path) -> Callable[[bytes], Path]:
    def write(content: bytes) -> Path:
        path = tmp_path / "export.csv"
        path.write_bytes(content)
        return path

    return write


def test_every_format_has_a_fixture() -> None:
    assert {case.format for case in CASES} == {f"{one.broker}/{one.name}" for one in registry.formats()}


@each_case
def test_the_fixture_itself_is_read_whole(case: Case) -> None:
    found = result(case.path, case)
    assert found["format"] == case.format
    assert found["errors"] == []
    assert found["rows"] == case.rows
    assert len(found["fills"]) == case.executions
    assert len({fill[0] for fill in found["fills"]}) == case.executions


@each_case
def test_every_line_is_accounted_for_once(case: Case) -> None:
    document = Document.open(case.path)
    one, sheet = registry.choose(document, None, case.options)
    lines = [outcome.line for outcome in one.read(sheet, case.options)]
    assert lines == sorted(set(lines))
    if isinstance(one, HeaderFormat):
        header = one.layout.find_header(sheet.head)
        assert header is not None
        assert lines == [line for line, _ in sheet.rows() if line > header[0]]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@each_recoded
def test_another_encoding(case: Case, encoding: str, upload: Callable[[bytes], Path]) -> None:
    text = case.path.read_text(encoding="utf-8-sig")
    assert result(upload(text.encode(encoding)), case) == result(case.path, case)


@pytest.mark.parametrize("end", ["\r\n", "\r"])
@each_text
def test_other_line_ends(case: Case, end: str, upload: Callable[[bytes], Path]) -> None:
    text = case.path.read_text(encoding="utf-8-sig").replace("\n", end)
    assert result(upload(text.encode()), case) == result(case.path, case)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@each_text
def test_another_delimiter(case: Case, delimiter: str, upload: Callable[[bytes], Path]) -> None:
    content = disguises.written(disguises.sheet(case).rows, delimiter)
    assert result(upload(content), case) == result(case.path, case)


@each_text
def test_blank_lines_and_surrounding_spaces(case: Case, upload: Callable[[bytes], Path]) -> None:
    rows = disguises.sheet(case).rows
    spaced = [[f" {cell} " if cell else cell for cell in cells] for cells in rows]
    blank = [[""] * len(rows[-1]), ["  "] * len(rows[-1])]
    assert result(upload(disguises.written(spaced + blank) + b"\n\n"), case) == result(case.path, case)


@each_text
def test_no_line_end_after_the_last_row(case: Case, upload: Callable[[bytes], Path]) -> None:
    assert result(upload(case.path.read_bytes().rstrip(b"\r\n")), case) == result(case.path, case)


@each_table
def test_shuffled_columns(case: Case, upload: Callable[[bytes], Path]) -> None:
    assert result(upload(disguises.written(disguises.shuffled(case))), case) == result(case.path, case)


@each_table
def test_thousands_separators(case: Case, upload: Callable[[bytes], Path]) -> None:
    rows = disguises.numbers_as(case, disguises.grouped)
    assert result(upload(disguises.written(rows)), case) == result(case.path, case)


@each_without_dollars
def test_decimal_commas(case: Case, upload: Callable[[bytes], Path]) -> None:
    rows = disguises.numbers_as(case, disguises.european)
    assert result(upload(disguises.written(rows, ";")), case) == result(case.path, case)


@pytest.mark.parametrize(
    "rename", [str.upper, str.lower, lambda name: name.replace(" ", "_"), lambda name: f" {name} "]
)
@each_table
def test_headers_spelt_otherwise(case: Case, rename: Callable[[str], str], upload: Callable[[bytes], Path]) -> None:
    rows = disguises.renamed(case, rename)
    assert result(upload(disguises.written(rows)), case) == result(case.path, case)


@each_table
def test_a_column_more(case: Case, upload: Callable[[bytes], Path]) -> None:
    rows = [["note", *cells] for cells in disguises.sheet(case).rows]
    assert result(upload(disguises.written(rows)), case) == result(case.path, case)


@each_table
def test_a_sheet_of_a_workbook(case: Case, tmp_path: Path) -> None:
    path = tmp_path / "export.xlsx"
    disguises.workbook(disguises.sheet(case).rows, path)
    assert result(path, case) == result(case.path, case)


@each_table
def test_a_column_that_is_missing_is_asked_for_or_named(case: Case, upload: Callable[[bytes], Path]) -> None:
    sheet = disguises.sheet(case)
    for index in sheet.required:
        name = sheet.rows[sheet.header][index]
        rows = disguises.renamed(case, lambda cell, name=name: "Zzz" if cell == name else cell)  # type: ignore[misc]
        path = upload(disguises.written(rows))
        try:
            found = result(path, case)
        except (NeedsInput, Unreadable):
            continue
        else:
            assert found["fills"] == result(case.path, case)["fills"]


@each_table
def test_a_forced_format_names_the_column_that_it_lacks(case: Case, upload: Callable[[bytes], Path]) -> None:
    sheet = disguises.sheet(case)
    width = len(sheet.rows[sheet.header])
    path = upload(disguises.written([[f"c{index}" for index in range(width)], *sheet.rows[sheet.header + 1 :]]))
    with pytest.raises(Unreadable, match="lacks a column for"):
        registry.read_file(Document.open(path), case.format, case.options)


@each_table
def test_a_cell_that_is_no_number_fails_its_row_under_the_columns_own_name(
    case: Case, upload: Callable[[bytes], Path]
) -> None:
    sheet = disguises.sheet(case)
    for index in set(sheet.numbers) & set(sheet.required):
        rows = [list(cells) for cells in sheet.rows]
        rows[-1][index] = "abc"
        errors = result(upload(disguises.written(rows)), case)["errors"]
        assert [column for column, _ in errors] == [sheet.rows[sheet.header][index].strip()]
        assert "abc" in errors[0][1]


@each_text
def test_a_truncated_last_line_is_never_eaten_silently(case: Case, upload: Callable[[bytes], Path]) -> None:
    whole = case.path.read_bytes().rstrip(b"\r\n")
    last = whole.rsplit(b"\n", 1)[1]
    cells = next(csv.reader(io.StringIO(last.decode()), delimiter=Document.open(case.path).delimiter))
    edges = {place + step for place, byte in enumerate(last) if byte in b",;" for step in (0, 1, 2)}
    for kept in sorted(edge for edge in edges | {1} if edge < len(last) - len(cells[-1]) - 1):
        path = upload(whole[: len(whole) - len(last) + kept])
        try:
            _, reading = read(path, case)
        except (NeedsInput, Unreadable):
            continue
        with reading:
            assert reading.error_count == 1, f"after {kept} bytes of the last line"
            assert reading.rows == case.rows


@each_markup
def test_a_truncated_file_of_markup_is_refused(case: Case, upload: Callable[[bytes], Path]) -> None:
    content = case.path.read_bytes()
    with pytest.raises((Unreadable, NeedsInput)):
        read(upload(content[: len(content) * 3 // 5]), case)[1].close()


@each_case
def test_an_empty_file_and_a_picture_are_refused(case: Case, upload: Callable[[bytes], Path]) -> None:
    for content, word in ((b"", "empty"), (b"\n\r\n  ", "empty"), (b"\xef\xbb\xbf", "empty"), (disguises.PNG, "PNG")):
        with pytest.raises(Unreadable, match=word):
            registry.read_file(Document.open(upload(content)), case.format, case.options)
