"""Statements: formats in which a row is understood by others (a fee by its order, a split by its other half)."""

from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import ClassVar, Final

from tradesense.brokers.amounts import in_utc
from tradesense.brokers.contract import Match, Options, Outcome
from tradesense.brokers.documents import Document
from tradesense.brokers.formats import Context, HeaderFormat
from tradesense.brokers.tables import Row, Table, open_table

Reader = Callable[[Row], Outcome]
_SURE: Final = 0.9


class StatementFormat(HeaderFormat):
    """A format that looks through the table before it reads the rows; `utc` where its times are known to be UTC."""

    utc: ClassVar[bool] = False

    def read(self, document: Document, options: Options) -> Iterator[Outcome]:
        """Read the table, one outcome per row."""
        table = open_table(document, self.layout, in_utc(options) if self.utc else options)
        return table.outcomes(self.reader(table, Context.of(options)), document)

    @abstractmethod
    def reader(self, table: Table, context: Context) -> Reader:
        """Look through the table, and give what turns a row into its outcome."""


class LocalisedFormat(HeaderFormat):
    """A format whose columns have names in many languages: its layout alone, all required columns, proves it."""

    telling = ()

    def detect(self, document: Document) -> Match | None:
        """Match by the layout."""
        found = self.layout.find_header(document.head)
        return found and Match(_SURE, f"the columns {', '.join(cell for cell in found[1] if cell.strip())}")
