"""Excel workbooks (.xlsx), one sheet at a time, streamed; bombs and entities are refused beforehand."""

import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from pathlib import Path
from typing import Final

import openpyxl

from tradesense.brokers.refusals import Unreadable

MAX_EXPANSION: Final = 200
_SMALL_BYTES: Final = 1 << 20
_DECLARATION_BYTES: Final = 4096
_SHARED_STRINGS: Final = "xl/sharedStrings.xml"


@dataclass(frozen=True, slots=True)
class WorkbookLimits:
    """Bounds of what a workbook may unpack to, in bytes; shared strings are held in memory, sheets are streamed."""

    unpacked: int = 1 << 30
    shared_strings: int = 64 << 20
    entries: int = 2000


def check_archive(path: Path, limits: WorkbookLimits) -> None:
    """Refuse an archive that unpacks to too much, by the sizes it declares (which `zipfile` holds it to)."""
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        if len(entries) > limits.entries or sum(entry.file_size for entry in entries) > limits.unpacked:
            raise Unreadable("the workbook unpacks to more than is allowed; export a shorter period, or as CSV")
        for entry in entries:
            _check_entry(archive, entry, limits)


def _check_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, limits: WorkbookLimits) -> None:
    expansion = entry.file_size / max(entry.compress_size, 1)
    bomb = entry.file_size > _SMALL_BYTES and expansion > MAX_EXPANSION
    if bomb or (entry.filename == _SHARED_STRINGS and entry.file_size > limits.shared_strings):
        raise Unreadable(f"the workbook's part {entry.filename} unpacks to {expansion:.0f} times its size: refused")
    if entry.filename.endswith((".xml", ".rels")):
        with archive.open(entry) as part:
            start = part.read(_DECLARATION_BYTES)
        if b"<!DOCTYPE" in start or b"<!ENTITY" in start:
            raise Unreadable("the workbook declares XML entities: refused")


def sheet_names(path: Path) -> tuple[str, ...]:
    """The names of the sheets that hold cells, in the workbook's order."""
    book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    try:
        return tuple(sheet.title for sheet in book.worksheets)
    finally:
        book.close()


class WorkbookSheet:
    """A sheet as rows of text: numbers at Excel's fifteen digits, dates in ISO, short rows padded."""

    def __init__(self, path: Path, sheet: str) -> None:
        self._path = path
        self._sheet = sheet
        self.damage: dict[int, str] = {}
        self.unterminated: int | None = None
        self.position = 0

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Give (row number as Excel shows it, cells) for every row that is not blank."""
        book = openpyxl.load_workbook(self._path, read_only=True, data_only=True)
        try:
            width = 0
            for number, values in enumerate(book[self._sheet].iter_rows(values_only=True), start=1):
                cells = _texts(values)
                if cells:
                    width = max(width, len(cells))
                    yield number, cells + [""] * (width - len(cells))
        finally:
            book.close()


def _texts(values: Sequence[object]) -> list[str]:
    cells = [_text(value) for value in values]
    while cells and not cells[-1].strip():
        cells.pop()
    return cells


def _text(value: object) -> str:
    match value:
        case None:
            return ""
        case str():
            return value
        case bool():
            return "TRUE" if value else "FALSE"
        case float():
            return format(value, ".15g")
        case datetime() | date() | time():
            return value.isoformat(*((" ",) if isinstance(value, datetime) else ()))
        case _:
            return str(value)
