"""The same export as other programs leave it: encodings, delimiters, number styles, orders of columns."""

import csv
import io
import random
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import openpyxl

from tests.brokers.cases import Case
from tradesense.brokers import registry
from tradesense.brokers.documents import Document, Kind
from tradesense.brokers.formats import HeaderFormat
from tradesense.brokers.numbers import NotANumber, parse_number
from tradesense.brokers.tables import FieldType

Rows = list[list[str]]
PNG: Final = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00"


class Sheet(NamedTuple):
    """A fixture as rows, with the places of its header, of its columns of numbers, and of those that it needs."""

    rows: Rows
    header: int
    numbers: tuple[int, ...]
    required: tuple[int, ...]


def kind(case: Case) -> Kind:
    return Document.open(case.path).kind


def sheet(case: Case) -> Sheet:
    document = Document.open(case.path)
    text = case.path.read_text(encoding="utf-8-sig")
    rows = list(csv.reader(io.StringIO(text), delimiter=document.delimiter))
    (one,) = registry.find(case.format)
    if not isinstance(one, HeaderFormat):
        return Sheet(rows, 0, (), ())
    header = next(index for index, cells in enumerate(rows) if one.layout.locate(cells) is not None)
    places = one.layout.locate(rows[header])
    assert places is not None
    fields = {field.name: field for field in one.layout.fields}
    numbers = tuple(index for name, index in places.items() if fields[name].type is FieldType.NUMBER)
    required = tuple(index for name, index in places.items() if not fields[name].optional)
    return Sheet(rows, header, numbers, required)


def written(rows: Rows, delimiter: str = ",", end: str = "\n") -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter, lineterminator=end).writerows(rows)
    return out.getvalue().encode()


def numbers_as(case: Case, style: Callable[[str], str]) -> Rows:
    """The rows with every plain number in a column of numbers written another way."""
    found = sheet(case)
    changed = []
    for place, cells in enumerate(found.rows):
        changed.append(
            [
                style(cell) if place > found.header and index in found.numbers and _plain(cell) else cell
                for index, cell in enumerate(cells)
            ]
        )
    return changed


def _plain(cell: str) -> bool:
    try:
        return f"{parse_number(cell):f}" == cell.strip()
    except NotANumber:
        return False


def grouped(cell: str) -> str:
    whole, point, fraction = cell.strip().removeprefix("-").partition(".")
    return "-" * cell.strip().startswith("-") + f"{int(whole):,}" + point + fraction


def european(cell: str) -> str:
    return grouped(cell).translate(str.maketrans(",.", ".,"))


def shuffled(case: Case) -> Rows:
    found = sheet(case)
    width = len(found.rows[found.header])
    order = list(range(width))
    random.Random(case.format).shuffle(order)
    return [[cells[index] for index in order] if len(cells) == width else cells for cells in found.rows]


def renamed(case: Case, rename: Callable[[str], str]) -> Rows:
    found = sheet(case)
    return [
        [rename(cell) for cell in cells] if place == found.header else cells for place, cells in enumerate(found.rows)
    ]


def workbook(rows: Rows, path: Path) -> None:
    book = openpyxl.Workbook()
    notes = book.active
    assert notes is not None
    notes.append(["Account summary", "nothing here"])
    page = book.create_sheet("Trades")
    for cells in rows:
        page.append(cells)
    book.save(path)
