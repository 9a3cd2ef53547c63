"""A broker's file opened and read, and what became of each of its rows."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from tradesense.brokers.contract import (
    Cash,
    CashMovement,
    Failed,
    Fill,
    Format,
    Ignored,
    Imported,
    Match,
    Options,
    Outcome,
)
from tradesense.brokers.documents import Document
from tradesense.brokers.reading import Progress, Reading, read
from tradesense.brokers.registry import choose

ANY_BROKER: Final = "auto"


class Told(NamedTuple):
    """What one row became, in words."""

    line: int
    outcome: str
    detail: str


@dataclass(slots=True)
class Export:
    """A file that was read. `told` has every row's outcome where it was asked for."""

    path: Path
    reading: Reading
    told: list[Told]


def read_export(
    path: Path, broker: str, options: Options, *, tell: bool = False, progress: Progress | None = None
) -> Export:
    """Detect a file's format and read it.

    Raises `Unreadable`, `NeedsInput` and `UnknownBroker`, each with a message that says what to do.
    """
    format_, sheet = choose(Document.open(path), None if broker == ANY_BROKER else broker, options)
    told: list[Told] = []
    reader = _Telling(format_, told) if tell else format_
    return Export(path, read(sheet, reader, options, progress=progress), told)


class _Telling:
    """A format that notes what each row became on its way through."""

    def __init__(self, inner: Format, told: list[Told]) -> None:
        self.broker = inner.broker
        self.name = inner.name
        self.newest_first = inner.newest_first
        self._inner = inner
        self._told = told

    def detect(self, document: Document) -> Match | None:
        return self._inner.detect(document)

    def read(self, document: Document, options: Options) -> Iterator[Outcome]:
        for outcome in self._inner.read(document, options):
            damage = document.damage.get(outcome.line)
            self._told.append(tell(outcome if damage is None else Failed(outcome.line, None, damage)))
            yield outcome


def tell(outcome: Outcome) -> Told:
    """What a row became, in words."""
    match outcome:
        case Imported(line, fills, _, also):
            return Told(line, "imported", ", ".join((*map(_fill, fills), *map(_movement, also))))
        case Cash(line, movement, also):
            return Told(line, "cash", ", ".join(map(_movement, (movement, *also))))
        case Ignored(line, reason):
            return Told(line, "ignored", reason)
        case Failed(line, column, message):
            return Told(line, "error", message if column is None else f"{column}: {message}")


def _fill(fill: Fill) -> str:
    return f"{fill.side} {fill.quantity:,f} {fill.instrument.symbol} at {fill.price:,f}"


def _movement(movement: CashMovement) -> str:
    return f"{movement.kind} {movement.amount:,f} {movement.currency}"
