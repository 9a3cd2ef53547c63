"""Files of several tables: each part is read by its own header or ignored for one reason, in one pass over the file."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from tradesense.brokers.contract import Ignored, Options, Outcome
from tradesense.brokers.documents import Document
from tradesense.brokers.tables import Layout, Row, Table

Convert = Callable[[Row], Outcome]


class Part(NamedTuple):
    """Rows from line `first` to line `last`, both included; without a table they are ignored for the `reason`."""

    first: int
    last: int
    reason: str
    table: Table | None = None
    convert: Convert | None = None


def table_part(
    document: Document,
    header: Sequence[str],
    lines: tuple[int, int],
    layout: Layout,
    options: Options,
    convert: Convert,
) -> Part:
    """A part that is a table: rows of the given lines under a header that stands anywhere."""
    first, last = lines
    table = Table(
        header,
        lambda: rows_between(document, first, last),
        layout,
        options,
        semicolons=document.delimiter == ";",
    )
    return Part(first, last, "", table, convert)


def rows_between(document: Document, first: int, last: int) -> Iterator[tuple[int, list[str]]]:
    """A pass over the rows of lines `first` to `last`."""
    for line, cells in document.rows():
        if line > last:
            return
        if line >= first:
            yield line, cells


def read_parts(document: Document, parts: Iterable[Part]) -> Iterator[Outcome]:
    """Read a file by its parts, which come in file order; rows outside of them (headers, titles) are no data."""
    coming = iter(parts)
    part = next(coming, None)
    for line, cells in document.rows():
        while part is not None and line > part.last:
            part = next(coming, None)
        if part is None:
            return
        if line < part.first:
            continue
        if part.table is None or part.convert is None:
            yield Ignored(line, part.reason)
        else:
            yield part.table.outcome(Row(line, cells, part.table.columns), part.convert, document)
