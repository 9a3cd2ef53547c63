"""The shape of most formats: one table, columns by meaning, one outcome per row."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Final

from tradesense.brokers.contract import Match, Options, Outcome
from tradesense.brokers.documents import Document
from tradesense.brokers.instruments import Instruments
from tradesense.brokers.tables import Layout, Row, fold, open_table

_SURE: Final = 0.95
_UNSURE: Final = 0.5


@dataclass(frozen=True, slots=True)
class Context:
    """What an importer has at hand while it reads one file."""

    options: Options
    instruments: Instruments

    @classmethod
    def of(cls, options: Options) -> "Context":
        """A context for one pass over a file."""
        return cls(options, Instruments(options))


class HeaderFormat(ABC):
    """A format that is one table, known by its header.

    `layout` finds the columns; `telling` names columns that prove the format, of which at least half must be there
    for it to be detected (in any spelling; a trailing `*` is a beginning).
    """

    broker: ClassVar[str]
    name: ClassVar[str]
    newest_first: ClassVar[bool] = False
    layout: ClassVar[Layout]
    telling: ClassVar[tuple[str, ...]]

    def detect(self, document: Document) -> Match | None:
        """Match by the columns of the header."""
        found = self.layout.find_header(document.head)
        if found is None:
            return None
        names = {fold(cell) for cell in found[1]}
        present = [name for name in self.telling if fold(name) in names]
        share = len(present) / len(self.telling)
        if share < _UNSURE:
            return None
        return Match(_UNSURE + (_SURE - _UNSURE) * share, f"the columns {', '.join(present)}")

    @abstractmethod
    def read(self, document: Document, options: Options) -> Iterator[Outcome]:
        """Read the table, one outcome per row."""


class TableFormat(HeaderFormat):
    """A format whose rows are read one by one. A subclass says what the columns mean and what a row becomes."""

    def read(self, document: Document, options: Options) -> Iterator[Outcome]:
        """Read the table, one outcome per row."""
        table = open_table(document, self.layout, options)
        context = Context.of(options)
        return table.outcomes(lambda row: self.outcome(row, context), document)

    @abstractmethod
    def outcome(self, row: Row, context: Context) -> Outcome:
        """What a row became; raise `RowError` (or let a cell raise it) for a row that cannot be read."""
