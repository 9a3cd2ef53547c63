"""Tables: a header found by what its columns mean, and rows whose cells are read by name.

    LAYOUT = Layout(
        text("symbol", "symbol", "ticker", "instrument"),
        number("quantity", "qty", "quantity", "no of shares"),
        time("at", "date/time", "execution time", order=DateOrder.MONTH_FIRST),
        number("commission", "commission", "comm*", optional=True),
    )
    table = open_table(document, LAYOUT, options)
    yield from table.outcomes(lambda row: Imported(row.line, (fill(row, ...),)))

Names match whatever their case, spacing, accents and punctuation; a synonym that ends in `*` is a beginning.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from typing import Final

from tradesense.brokers.contract import DateOrder, Failed, Ignored, Imported, Options, Outcome
from tradesense.brokers.documents import Document
from tradesense.brokers.numbers import NotANumber, NumberStyle, evidence, is_empty, number_reader, parse_number
from tradesense.brokers.refusals import Unreadable
from tradesense.brokers.times import Moment, NotATime, OrderEvidence, TimeReader
from tradesense.brokers.zones import WallClock
from tradesense.domain.money import ZERO

RowSource = Callable[[], Iterable[tuple[int, Sequence[str]]]]


class RowError(Exception):
    """A row that cannot be read; `column` is the file's own name of the cell at fault, if one is."""

    def __init__(self, message: str, column: str | None = None) -> None:
        super().__init__(message)
        self.column = column


class FieldType(Enum):
    """What a column's cells are read as."""

    TEXT = "text"
    NUMBER = "number"
    TIME = "time"


@dataclass(frozen=True, slots=True)
class Field:
    """A column by what it means. `synonyms` in order of preference; `offset` points to a neighbour of the named one."""

    name: str
    synonyms: tuple[str, ...]
    type: FieldType
    optional: bool = False
    offset: int = 0
    order: DateOrder | None = None
    style: NumberStyle | None = None


def text(name: str, *synonyms: str, optional: bool = False, offset: int = 0) -> Field:
    """A column of text."""
    return Field(name, synonyms or (name,), FieldType.TEXT, optional, offset)


def number(
    name: str, *synonyms: str, optional: bool = False, offset: int = 0, style: NumberStyle | None = None
) -> Field:
    """A column of numbers; `style` is the documented one, which counts where the file's numbers do not tell."""
    return Field(name, synonyms or (name,), FieldType.NUMBER, optional, offset, style=style)


def time(name: str, *synonyms: str, optional: bool = False, offset: int = 0, order: DateOrder | None = None) -> Field:
    """A column of dates or times; `order` is the documented one, which counts where the file's dates do not tell."""
    return Field(name, synonyms or (name,), FieldType.TIME, optional, offset, order)


_DROPPED: Final = re.compile(r"[\W_]+")


@lru_cache(maxsize=4096)
def fold(name: str) -> str:
    """A column's name as it is compared: `Date/Time`, `date_time` and `DATETIME` are one, and `Coût` and `cout`."""
    if name.isascii():
        return _DROPPED.sub("", name).lower()
    plain = "".join(char for char in unicodedata.normalize("NFKD", name) if not unicodedata.combining(char))
    return _DROPPED.sub("", plain).casefold()


class Layout:
    """The columns that a table has, required and optional."""

    def __init__(self, *fields: Field) -> None:
        self.fields = fields
        self._wanted = tuple((field, tuple(_pattern(synonym) for synonym in field.synonyms)) for field in fields)

    def locate(self, cells: Sequence[str]) -> dict[str, int] | None:
        """Where each field stands in a header; None unless every required one is there."""
        names = [fold(cell) for cell in cells]
        found = {}
        for field, patterns in self._wanted:
            index = _index(cells, names, patterns)
            if index is not None and 0 <= index + field.offset < max(len(cells), index + field.offset + 1):
                found[field.name] = index + field.offset
            elif not field.optional:
                return None
        return found

    def missing(self, cells: Sequence[str]) -> list[Field]:
        """The required fields that a row lacks as a header."""
        names = [fold(cell) for cell in cells]
        return [
            field for field, patterns in self._wanted if not field.optional and _index(cells, names, patterns) is None
        ]

    def find_header(self, rows: Iterable[tuple[int, Sequence[str]]]) -> tuple[int, Sequence[str]] | None:
        """The first row that has every required field, with its line."""
        return next(((line, cells) for line, cells in rows if self.locate(cells) is not None), None)


def _pattern(synonym: str) -> tuple[str, str, bool]:
    return synonym, fold(synonym), synonym.endswith("*")


def _index(cells: Sequence[str], names: list[str], patterns: tuple[tuple[str, str, bool], ...]) -> int | None:
    """The first column of the first synonym that has any; one that is spelled exactly so goes before."""
    for synonym, wanted, beginning in patterns:
        alike = [at for at, name in enumerate(names) if name == wanted or (beginning and name.startswith(wanted))]
        if alike:
            return next((at for at in alike if cells[at].strip() == synonym), alike[0])
    return None


class Column:
    """A located column, with what reads its numbers or times."""

    __slots__ = ("field", "header", "index", "number", "times")

    def __init__(self, field: Field, index: int, header: str) -> None:
        self.field = field
        self.index = index
        self.header = header
        self.number: Callable[[str], Decimal] = parse_number
        self.times: TimeReader | None = None


class Row:
    """One row: cells by field name. A cell that cannot be read raises `RowError` under the file's own column name."""

    __slots__ = ("_columns", "cells", "line")

    def __init__(self, line: int, cells: Sequence[str], columns: Mapping[str, Column]) -> None:
        self.line = line
        self.cells = cells
        self._columns = columns

    def text(self, name: str) -> str:
        """The cell without surrounding spaces; empty where the column is absent."""
        column = self._columns.get(name)
        return self._cell(column).strip() if column is not None else ""

    def required(self, name: str) -> str:
        """The cell's text, which must not be empty."""
        found = self.text(name)
        if not found:
            raise self.error(name, "the cell is empty")
        return found

    def number(self, name: str) -> Decimal:
        """The cell's number; an empty cell is an error."""
        column = self._columns.get(name) or self._absent(name)
        try:
            return column.number(self._cell(column))
        except NotANumber as error:
            raise RowError(str(error), column.header) from error

    def find_number(self, name: str) -> Decimal | None:
        """The cell's number; None where the column is absent or the cell empty, dashes or `N/A`."""
        column = self._columns.get(name)
        cell = self._cell(column) if column is not None else ""
        if column is None or not cell:
            return None
        try:
            return column.number(cell)
        except NotANumber as error:
            if is_empty(cell):
                return None
            raise RowError(str(error), column.header) from error

    def amount(self, name: str) -> Decimal:
        """The cell's number; 0 where the column is absent or the cell empty: a commission, a fee."""
        return self.find_number(name) or ZERO

    def moment(self, name: str, time_of_day: str | None = None) -> Moment:
        """The cell's date and time; `time_of_day` names a column of its own for the time."""
        column = self._columns.get(name) or self._absent(name)
        cell = self._cell(column)
        if time_of_day is not None:
            cell = f"{cell.strip()} {self.text(time_of_day)}".strip()
        if column.times is None:
            raise TypeError(f"{name} is no column of times in its layout")
        try:
            return column.times.moment(cell)
        except NotATime as error:
            raise RowError(str(error), column.header) from error

    def find_moment(self, name: str) -> Moment | None:
        """The cell's date and time; None where the column is absent or the cell empty."""
        column = self._columns.get(name)
        if column is None or is_empty(self._cell(column)):
            return None
        return self.moment(name)

    def has(self, name: str) -> bool:
        """Whether the table has the column and the row something in it."""
        return bool(self.text(name))

    def maps(self, name: str) -> bool:
        """Whether the table has the column."""
        return name in self._columns

    def error(self, name: str | None, message: str) -> RowError:
        """An error of this row to raise, under the file's own name for the column."""
        column = self._columns.get(name) if name is not None else None
        return RowError(message, column.header if column is not None else None)

    def _absent(self, name: str) -> Column:
        raise RowError(f"the file has no column for the {name.replace('_', ' ')}")

    def _cell(self, column: Column) -> str:
        try:
            return self.cells[column.index]
        except IndexError:
            raise RowError(
                f"the row has only {len(self.cells)} cells: it is cut off, or a delimiter is missing", column.header
            ) from None


class Table:
    """A header and the rows under it. Building one passes over the rows once, to settle number styles and date orders.

    `rows` is called for each pass. Raises `NeedsInput` where a date order must be asked for.
    """

    def __init__(
        self, header: Sequence[str], rows: RowSource, layout: Layout, options: Options, *, semicolons: bool = False
    ) -> None:
        located = layout.locate(header)
        if located is None:
            raise Unreadable(_missing(layout, header))
        names = {field.name: field for field in layout.fields}
        self.width = len(header)
        self.clock = WallClock(options.timezone)
        self.columns = {
            name: Column(names[name], index, header[index].strip() if index < len(header) else names[name].name)
            for name, index in located.items()
        }
        self._rows = rows
        self._options = options
        self._unwarned = True
        self._learn(semicolons=semicolons)

    def rows(self) -> Iterator[Row]:
        """Pass over the rows."""
        columns = self.columns
        for line, cells in self._rows():
            yield Row(line, cells, columns)

    def outcomes(self, convert: Callable[[Row], Outcome], document: Document | None = None) -> Iterator[Outcome]:
        """Convert every row; one that raises `RowError` has failed, and so has one with more cells than the header."""
        for row in self.rows():
            yield self.outcome(row, convert, document)

    def outcome(self, row: Row, convert: Callable[[Row], Outcome], document: Document | None = None) -> Outcome:
        """Convert one row, as `outcomes` does."""
        try:
            outcome = convert(row)
            if len(row.cells) != self.width:
                self._check_width(row, outcome, document)
        except RowError as error:
            return Failed(row.line, error.column, str(error))
        if self._unwarned and self.clock.doubtful and isinstance(outcome, Imported):
            self._unwarned = False
            return outcome._replace(warning=outcome.warning or self._doubt())
        return outcome

    def _check_width(self, row: Row, outcome: Outcome, document: Document | None) -> None:
        """A footer of one cell may end a file; a row that was cut off, or pushed aside by a delimiter, may not."""
        size, ignored = len(row.cells), isinstance(outcome, Ignored)
        if size < self.width:
            if document is not None and row.line == document.unterminated and not (ignored and size == 1):
                raise RowError(f"the row ends after {size} of {self.width} cells: the file is cut off")
        elif not ignored and any(cell.strip() for cell in row.cells[self.width :]):
            raise RowError(
                f"the row has {size} cells under a header of {self.width}: "
                "a number or a text with the delimiter in it needs quotes"
            )

    def _doubt(self) -> str:
        return (
            f"times around a change of clocks in {self.clock.zone.key} occur twice or not at all (the first is "
            f"{self.clock.example}); the earlier one is taken"
        )

    def _learn(self, *, semicolons: bool) -> None:
        styles = _StyleVotes([c for c in self.columns.values() if c.field.type is FieldType.NUMBER])
        orders = [
            (column, OrderEvidence(column.header, self._options.date_order or column.field.order))
            for column in self.columns.values()
            if column.field.type is FieldType.TIME
        ]
        open_orders = list(orders)
        if styles.open or open_orders:
            for _, cells in self._rows():
                if styles.open:
                    styles.see(cells)
                if open_orders:
                    size = len(cells)
                    open_orders = [
                        pair for pair in open_orders if pair[0].index >= size or not pair[1].see(cells[pair[0].index])
                    ]
                elif not styles.open:
                    break
        styles.settle(semicolons=semicolons)
        for column, proof in orders:
            column.times = TimeReader(proof.order(), self.clock, self._options.date)


class _StyleVotes:
    """What each column of numbers proves about its style; undecided ones go with the others."""

    def __init__(self, columns: list[Column]) -> None:
        self._columns = columns
        self._proven: dict[str, NumberStyle] = {}
        self._lone: dict[str, str] = {}
        self.open = list(columns)

    def see(self, cells: Sequence[str]) -> None:
        size = len(cells)
        for column in self.open:
            if column.index < size:
                cell = cells[column.index]
                if cell and not cell.isdigit():
                    self._weigh(column, cell)

    def _weigh(self, column: Column, cell: str) -> None:
        proof = evidence(cell)
        if proof is not None:
            self._proven[column.field.name] = proof
            self.open = [other for other in self.open if other is not column]
        elif column.field.name not in self._lone and ("," in cell or "." in cell):
            self._lone[column.field.name] = "," if "," in cell else "."

    def settle(self, *, semicolons: bool) -> None:
        """Give every column its style."""
        proven = set(self._proven.values())
        shared = proven.pop() if len(proven) == 1 else None
        for column in self._columns:
            name = column.field.name
            default = NumberStyle.COMMA if semicolons and self._lone.get(name) == "," else NumberStyle.POINT
            column.number = number_reader(self._proven.get(name) or shared or column.field.style or default)


def _missing(layout: Layout, header: Sequence[str]) -> str:
    wanted = "; ".join(f"{field.name} ({', '.join(field.synonyms[:3])})" for field in layout.missing(header))
    return f"the table lacks a column for {wanted}; it has {', '.join(cell.strip() for cell in header if cell.strip())}"


def open_table(document: Document, layout: Layout, options: Options) -> Table:
    """The first table of a document whose header has the layout's columns, down to the end of the document.

    Raises `Unreadable` with the missing columns when no row is such a header.
    """
    found = layout.find_header(document.head)
    if found is None:
        rows = [cells for _, cells in document.head]
        nearest = min(rows, key=lambda cells: len(layout.missing(cells)), default=[])
        raise Unreadable(_missing(layout, nearest))
    first, header = found
    semicolons = document.delimiter == ";"
    return Table(header, lambda: rows_after(document, first), layout, options, semicolons=semicolons)


def rows_after(document: Document, line: int) -> Iterator[tuple[int, list[str]]]:
    """A pass over the rows below a line."""
    rows = document.rows()
    for number, _ in rows:
        if number >= line:
            break
    yield from rows
