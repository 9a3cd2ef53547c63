"""Exports read as a named format, for tests of what is particular to it."""

import tempfile
from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from tradesense.brokers import registry
from tradesense.brokers.contract import CashMovement, Failed, Fill, Options
from tradesense.brokers.documents import Document
from tradesense.brokers.reading import Entry, Warned, read
from tradesense.domain.executions import ExecutionKind, Side
from tradesense.domain.money import exact


@dataclass(frozen=True)
class Upload:
    """What a file became."""

    rows: int
    imported: int
    ignored: dict[str, int]
    errors: list[Failed]
    warnings: list[Warned]
    entries: list[Entry]
    cash: list[CashMovement]

    @property
    def fills(self) -> list[Fill]:
        return [entry.fill for entry in self.entries]

    @property
    def fill(self) -> Fill:
        (only,) = self.fills
        return only

    @property
    def error(self) -> str:
        (only,) = self.errors
        return only.message

    def in_time(self) -> list[Fill]:
        """The fills in the order in which they count."""
        return [entry.fill for entry in sorted(self.entries, key=lambda entry: (entry.fill.at, entry.sequence))]

    def traded(self) -> dict[str, Any]:
        """What trades paid and received before costs, by currency."""
        sums: dict[str, Decimal] = defaultdict(Decimal)
        with exact():
            for fill in self.fills:
                if fill.kind is ExecutionKind.TRADE:
                    value = fill.quantity * fill.price * fill.instrument.multiplier
                    sums[fill.instrument.currency] += value if fill.side is Side.SELL else -value
        return dict(sums)

    def costs(self) -> dict[str, Any]:
        """Commission and fees of all fills, by currency."""
        sums: dict[str, Decimal] = defaultdict(Decimal)
        for fill in self.fills:
            sums[fill.instrument.currency] += fill.commission + fill.fees
        return dict(sums)

    def moved(self) -> dict[tuple[str, str], Any]:
        """Cash movements by kind and currency."""
        sums: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
        for movement in self.cash:
            sums[movement.kind.value, movement.currency] += movement.amount
        return dict(sums)


def these(*values: Any) -> tuple[Any, ...]:  # noqa: ANN401 - decimals are compared with the whole numbers that they are
    """Values side by side."""
    return values


def upload(name: str, source: Path | str, *, currency: str | None = None, timezone: str = "UTC") -> Upload:
    """Read a file, or a text as a file, as the format called `broker/name`."""
    if isinstance(source, str):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "export.csv"
            path.write_text(source, encoding="utf-8")
            return upload(name, path, currency=currency, timezone=timezone)
    (format_,) = registry.find(name)
    with read(Document.open(source), format_, Options(ZoneInfo(timezone), currency=currency)) as reading:
        return Upload(
            reading.rows,
            reading.imported,
            dict(reading.ignored),
            list(reading.errors),
            list(reading.warnings),
            list(reading.fills()),
            [entry.movement for entry in reading.movements()],
        )


def detected(source: Path | str) -> str:
    """The format that takes a file, or a text as a file, for its own."""
    if isinstance(source, str):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "export.csv"
            path.write_text(source, encoding="utf-8")
            return detected(path)
    best = registry.detect(Document.open(source))[0].format
    return f"{best.broker}/{best.name}"
