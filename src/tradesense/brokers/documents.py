"""Documents: a broker's file as rows of text, whatever it is made of, read again and again without being held."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Final, Protocol, Self

from tradesense.brokers.delimited import DelimitedText
from tradesense.brokers.markup import Element, HtmlTables, XmlRecords
from tradesense.brokers.refusals import Unreadable
from tradesense.brokers.sniffing import Kind, sniff_kind
from tradesense.brokers.workbooks import Workbook, WorkbookLimits, WorkbookSheet

__all__ = ["Document", "Element", "Kind", "Limits"]

HEAD_ROWS: Final = 200


@dataclass(frozen=True, slots=True)
class Limits:
    """What a file may be: bytes as uploaded, rows, and what a workbook unpacks to."""

    file_bytes: int = 200 << 20
    rows: int = 2_000_000
    workbook: WorkbookLimits = field(default_factory=WorkbookLimits)


class _Source(Protocol):
    damage: dict[int, str]
    unterminated: int | None
    position: int

    def rows(self) -> Iterator[tuple[int, list[str]]]: ...


class Document:
    """A file, or one sheet of a workbook.

    `rows()` gives (line, cells) for every row that is not blank, cells as the file has them; the line grows strictly
    and is the place where a person finds the row. `elements()` gives the elements of an XML file. Each call is a pass
    of its own over the file. `head` has the first rows, for detection.
    """

    def __init__(self, path: Path, name: str, kind: Kind, source: _Source, limits: Limits, sheet: str = "") -> None:
        self.path = path
        self.name = name
        self.kind = kind
        self.sheet = sheet
        self._source = source
        self._limits = limits

    @classmethod
    def open(cls, path: Path, name: str | None = None, limits: Limits | None = None) -> Self:
        """Look into a file and say what it is.

        `name` is what the person called it, for messages alone: the content decides. Raises `Unreadable` for what is
        empty, binary, over the limits, or broken beyond reading.
        """
        limits = limits or Limits()
        size = path.stat().st_size
        if size > limits.file_bytes:
            raise Unreadable(
                f"the file has {size / 2**20:.0f} MB, and {limits.file_bytes / 2**20:.0f} MB are allowed; "
                "export a shorter period"
            )
        kind = sniff_kind(path)
        name = name or path.name
        match kind:
            case Kind.TEXT:
                return cls(path, name, kind, DelimitedText(path), limits)
            case Kind.HTML:
                return cls(path, name, kind, HtmlTables(path), limits)
            case Kind.XML:
                return cls(path, name, kind, XmlRecords(path), limits)
            case Kind.WORKBOOK:
                book = Workbook(path, limits.workbook)
                first = next(iter(book.sheets), None)
                if first is None:
                    raise Unreadable("the workbook has no sheet with cells; export the file again")
                return cls(path, name, kind, WorkbookSheet(book, first), limits, first)

    @cached_property
    def sheets(self) -> tuple["Document", ...]:
        """A workbook's sheets, each a document of its own; for any other file the document itself."""
        if not isinstance(self._source, WorkbookSheet):
            return (self,)
        book = self._source.book
        return tuple(
            Document(self.path, self.name, self.kind, WorkbookSheet(book, sheet), self._limits, sheet)
            for sheet in book.sheets
        )

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Pass over the rows; raises `Unreadable` when the file turns out to be broken or too long."""
        most = self._limits.rows
        for count, row in enumerate(self._source.rows(), start=1):
            if count > most:
                raise Unreadable(f"the file has more than {most:,} rows; export a shorter period")
            yield row

    def elements(self) -> Iterator[Element]:
        """Pass over the elements of an XML file; none for other kinds."""
        if isinstance(self._source, XmlRecords):
            yield from self._source.elements()

    @cached_property
    def head(self) -> tuple[tuple[int, list[str]], ...]:
        """The first 200 rows."""
        return tuple(islice(self.rows(), HEAD_ROWS))

    @cached_property
    def root(self) -> str:
        """The tag of an XML file's outermost element; empty for other kinds."""
        first = next(self.elements(), None)
        return first.tag if first else ""

    @property
    def damage(self) -> dict[int, str]:
        """Lines that the file itself breaks, with what is wrong; filled during a pass, before the row is given."""
        return self._source.damage

    @property
    def unterminated(self) -> int | None:
        """The last row's line when no line end follows it: where a truncated file was cut."""
        return self._source.unterminated

    @property
    def delimiter(self) -> str:
        """What separates the cells of a text file; empty for other kinds."""
        return self._source.delimiter if isinstance(self._source, DelimitedText) else ""

    @property
    def fraction(self) -> float:
        """How much of the file the latest pass has read, from 0 to 1."""
        return min(1.0, self._source.position / max(1, self.path.stat().st_size))
