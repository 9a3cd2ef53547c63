"""Tables as files to take away: CSV, XLSX and JSON, written to disk part by part and sent from there.

The file is whole before its first byte is sent: an error is an answer like any other, and a client that reads slowly
holds no connection to the database.
"""

import asyncio
import csv
import io
import json
import re
import tempfile
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import IO, Any, Final

from openpyxl import Workbook
from starlette.responses import StreamingResponse

from tradesense.domain import money

CHUNK: Final = 1 << 18
_FORMULA: Final = re.compile(r"\s*[=+\-@]")
_UNWRITABLE: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


class Format(StrEnum):
    """What a file is."""

    CSV = "csv"
    XLSX = "xlsx"
    JSON = "json"


MEDIA_TYPES: Final[Mapping[Format, str]] = {
    Format.CSV: "text/csv",
    Format.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    Format.JSON: "application/json",
}

Row = Mapping[str, Any]


class _Writer(ABC):
    """Writes rows to a file; `columns` are the keys of a row, in order."""

    def __init__(self, file: IO[bytes], columns: Sequence[str]) -> None:
        self.file = file
        self.columns = columns

    @abstractmethod
    def write(self, rows: Sequence[Row]) -> None:
        """Write some rows."""

    @abstractmethod
    def finish(self) -> None:
        """Write what comes after the last row."""


class _CsvWriter(_Writer):
    def __init__(self, file: IO[bytes], columns: Sequence[str]) -> None:
        super().__init__(file, columns)
        self._text = io.TextIOWrapper(file, "utf-8", newline="", write_through=True)
        self._csv = csv.writer(self._text)
        self._csv.writerow(columns)

    def write(self, rows: Sequence[Row]) -> None:
        self._csv.writerows([_text(row[name]) for name in self.columns] for row in rows)

    def finish(self) -> None:
        self._text.detach()


class _XlsxWriter(_Writer):
    def __init__(self, file: IO[bytes], columns: Sequence[str]) -> None:
        super().__init__(file, columns)
        self._book = Workbook(write_only=True)
        self._sheet = self._book.create_sheet("Trades")
        self._sheet.append(list(columns))

    def write(self, rows: Sequence[Row]) -> None:
        for row in rows:
            self._sheet.append([_cell(row[name]) for name in self.columns])

    def finish(self) -> None:
        self._book.save(self.file)


class _JsonWriter(_Writer):
    def __init__(self, file: IO[bytes], columns: Sequence[str]) -> None:
        super().__init__(file, columns)
        self._between = b'{"items": ['

    def write(self, rows: Sequence[Row]) -> None:
        for row in rows:
            self.file.write(self._between)
            self.file.write(json.dumps({name: row[name] for name in self.columns}, default=_plain).encode())
            self._between = b",\n"

    def finish(self) -> None:
        self.file.write(b"]}" if self._between.startswith(b",") else self._between + b"]}")


_WRITERS: Final[Mapping[Format, type[_Writer]]] = {
    Format.CSV: _CsvWriter,
    Format.XLSX: _XlsxWriter,
    Format.JSON: _JsonWriter,
}


async def export(
    parts: AsyncIterator[Sequence[Row]], columns: Sequence[str], kind: Format, name: str
) -> StreamingResponse:
    """The rows of all parts as a file called `name` and its ending, as an answer."""
    file = await asyncio.to_thread(tempfile.TemporaryFile)
    try:
        writer = _WRITERS[kind](file, columns)
        async for rows in parts:
            await asyncio.to_thread(writer.write, rows)
        size = await asyncio.to_thread(_finish, writer)
    except BaseException:
        file.close()
        raise
    headers = {"Content-Disposition": f'attachment; filename="{name}.{kind}"', "Content-Length": str(size)}
    return StreamingResponse(_contents(file), headers=headers, media_type=MEDIA_TYPES[kind])


def _finish(writer: _Writer) -> int:
    writer.finish()
    size = writer.file.tell()
    writer.file.seek(0)
    return size


async def _contents(file: IO[bytes]) -> AsyncIterator[bytes]:
    with file:
        while chunk := await asyncio.to_thread(file.read, CHUNK):
            yield chunk


def _plain(value: object) -> str:
    return (
        money.text(value) if isinstance(value, Decimal) else _iso(value) if isinstance(value, datetime) else str(value)
    )


def _iso(value: datetime) -> str:
    return value.isoformat().replace("+00:00", "Z")


def _text(value: Any) -> str:  # noqa: ANN401 - whatever a row holds
    """A cell of CSV. Text that a spreadsheet would take for a formula is quoted with an apostrophe (CWE-1236)."""
    if value is None:
        return ""
    if isinstance(value, list):
        value = "; ".join(value)
    if isinstance(value, str) and not isinstance(value, StrEnum):
        return f"'{value}" if _FORMULA.match(value) else value
    return _plain(value)


def _cell(value: Any) -> Any:  # noqa: ANN401 - whatever a row holds
    """A cell of XLSX: numbers as numbers, everything else as text that the format can hold."""
    if value is None or isinstance(value, Decimal | int | float):
        return value
    return _UNWRITABLE.sub(" ", _text(value))
