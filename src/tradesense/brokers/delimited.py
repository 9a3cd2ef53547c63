"""Delimited text, row by row: CSV, TSV, semicolons, in any encoding that `sniffing` knows."""

import csv
import io
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final

from tradesense.brokers.refusals import Unreadable
from tradesense.brokers.sniffing import sniff_delimiter, sniff_encoding

_SNIFFED_LINES: Final = 200
_MAX_SPAN: Final = 50
_MAX_LINE: Final = 1 << 20
_LINE_ENDS: Final = ("\n", "\r")


class DelimitedText:
    """A text file as rows of cells; each pass reads it anew and holds one row at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.encoding = sniff_encoding(path)
        self.damage: dict[int, str] = {}
        self.unterminated: int | None = None
        self.position = 0
        with path.open("rb") as raw, self._decoded(raw) as text:
            self.delimiter = sniff_delimiter([line[:10_000] for line in islice(_kept(text, []), _SNIFFED_LINES)])

    def _decoded(self, raw: BinaryIO) -> io.TextIOWrapper:
        return io.TextIOWrapper(raw, encoding=self.encoding, errors="replace", newline="")

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Give (number of the row's first line, cells) for every line that is not blank."""
        self.damage, self.unterminated = {}, None
        with self._path.open("rb") as raw, self._decoded(raw) as text:
            pending: list[str] = []
            reader = csv.reader(_kept(text, pending), delimiter=self.delimiter, skipinitialspace=True)
            last = 0
            try:
                for cells in reader:
                    start, last = last + 1, reader.line_num
                    if last != start or pending[-1][-1] not in _LINE_ENDS or (cells and cells[-1][-1:] in _LINE_ENDS):
                        self._inspect(start, pending)
                    pending.clear()
                    if cells and (cells[0] or not _blank(cells) or start in self.damage):
                        if start & 1023 == 0:
                            self.position = raw.tell()
                        yield start, cells
            except csv.Error as error:
                raise Unreadable(
                    f"line {last + 1} cannot be split into cells ({error}); export the file again"
                ) from error

    def _inspect(self, start: int, pending: list[str]) -> None:
        if pending[-1][-1] not in _LINE_ENDS:
            self.unterminated = start
        if len(pending) > _MAX_SPAN or sum(line.count('"') for line in pending) % 2:
            self.damage[start] = f"a quote opened here is not closed ({len(pending)} line(s) long): the file is cut off"


def _kept(text: io.TextIOWrapper, pending: list[str]) -> Iterator[str]:
    read = text.readline
    while line := read(_MAX_LINE):
        if len(line) == _MAX_LINE:
            raise Unreadable("a line is over a million characters long: this is no table; export the file again")
        pending.append(line)
        yield line


def _blank(cells: list[str]) -> bool:
    return not any(cell and not cell.isspace() for cell in cells)
