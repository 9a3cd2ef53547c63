"""Interactive Brokers, Flex query as CSV: with or without section codes and line descriptors, one or several sections.

The sample has one section of trades with few columns (no symbol, no category: its currency conversions are the rows
without an ISIN). Section codes (`BOS`, `HEADER`, `DATA`, `EOS`; `TRNT`, `CTRN`, `CORP`, …) are read as IBKR's
Reporting Reference has them; of a file with them none has been seen.
"""

from collections.abc import Iterator
from typing import ClassVar, Final

from tradesense.brokers.contract import Match, Options, Outcome, Unreadable
from tradesense.brokers.documents import Document
from tradesense.brokers.ibkr_flex import FlexReport
from tradesense.brokers.ibkr_flex_records import ACTION, CASH_ROW, LAYOUTS, TRADE, TRANSFER, Record, Shape
from tradesense.brokers.tables import fold

_FRAME: Final = frozenset({"BOF", "BOA", "BOS", "EOS", "EOA", "EOF"})
_TELLING: Final = frozenset(
    {
        "currencyprimary",
        "fifopnlrealized",
        "fxratetobase",
        "ibcommission",
        "ibcommissioncurrency",
        "ibexecid",
        "iborderid",
    }
)
_SURE: Final = 0.95
_LIKELY: Final = 0.8


class FlexCsv:
    """A Flex query's CSV answer."""

    broker: ClassVar[str] = "ibkr"
    name: ClassVar[str] = "flex-csv"
    newest_first: ClassVar[bool] = False

    def detect(self, document: Document) -> Match | None:
        """Match by column names that only Flex queries have."""
        for _, cells in document.head:
            shape = _header(cells)
            if shape is not None and shape.kind in LAYOUTS:
                telling = [cell for cell in shape.header if fold(cell) in _TELLING]
                if telling:
                    return Match(_SURE if len(telling) > 1 else _LIKELY, f"the columns {', '.join(telling)}")
        return None

    def read(self, document: Document, options: Options) -> Iterator[Outcome]:
        """Read every section whose columns are known."""
        if not any((shape := _header(cells)) and shape.kind in LAYOUTS for _, cells in document.head):
            missing = ", ".join(field.synonyms[0] for field in LAYOUTS[TRADE].missing(_first(document)))
            raise Unreadable(f"the Flex query has no trades that can be read; its section of trades lacks {missing}")
        shapes: dict[tuple[str, ...], Shape] = {}

        def records() -> Iterator[Record]:
            shape = None
            for line, cells in document.rows():
                if cells[0].strip() in _FRAME:
                    continue
                found = _header(cells)
                if found is not None:
                    shape = shapes.setdefault((found.kind, *found.header), found)
                elif shape is not None:
                    yield Record(line, shape, cells)

        return FlexReport(document, records, options).outcomes()


def _first(document: Document) -> list[str]:
    return next((cells for _, cells in document.head), [])


def _header(cells: list[str]) -> Shape | None:
    """The shape that a header row opens, with the row's own width; None for a row of data."""
    marked = cells[0].strip() == "HEADER"
    names = {fold(cell) for cell in cells}
    if not marked and not {"currencyprimary", "clientaccountid"} & names and len(names & _TELLING) < 2:  # noqa: PLR2004
        return None
    header = tuple(cells)
    for kind in (TRADE, TRANSFER, ACTION, CASH_ROW):
        if LAYOUTS[kind].locate(header) is not None:
            return Shape(kind, header)
    return Shape("other section", header)
