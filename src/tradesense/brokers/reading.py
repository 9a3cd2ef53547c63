"""A whole file read: every row accounted for, fills in an order that can be trusted, and nothing large in memory."""

from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tradesense.brokers.contract import Cash, CashMovement, Failed, Fill, Format, Ignored, Imported, Options, Outcome
from tradesense.brokers.documents import Document
from tradesense.brokers.identities import base_digest, cash_digest, with_ordinal
from tradesense.brokers.spool import CashSpool, FillSpool
from tradesense.domain.local_time import microseconds

MAX_LISTED: Final = 1000
_PROGRESS_ROWS: Final = 2048

Instants: TypeAlias = NDArray[np.int64]
Keys: TypeAlias = NDArray[np.uint64]
Lines: TypeAlias = NDArray[np.uint32]
Order: TypeAlias = NDArray[np.intp]
Counts: TypeAlias = NDArray[np.int64]
Progress = Callable[[int, float], None]
"""Told now and then: rows read so far, and the fraction of the file, 0 to 1."""


class Entry(NamedTuple):
    """A fill of a file, ready for a book.

    `part` is its place among the row's fills; `ordinal` the count of equal fills before it (0 for one with an id);
    `sequence` its place among the fills of its instant, oldest first (the broker's own where the file has one);
    `identity` 16 bytes that are the same whenever this fill is read.
    """

    line: int
    part: int
    ordinal: int
    sequence: int
    fill: Fill
    identity: bytes


class CashEntry(NamedTuple):
    """A cash movement of a file, with the identity by which it is known again."""

    line: int
    ordinal: int
    movement: CashMovement
    identity: bytes


class Warned(NamedTuple):
    """Something that a person should look at, though it stops nothing."""

    line: int
    message: str


class AccountingBroken(Exception):
    """An importer gave a row twice or out of order: its own mistake, never the file's."""


class Reading:
    """What a file became: `rows = imported + ignored + errors`, where cash movements count as ignored by their kind.

    `errors` and `warnings` list up to 1000 each beside their totals. `fills()` and `movements()` can be passed over
    again and again until `close()`.
    """

    def __init__(self, format_: Format) -> None:
        self.broker = format_.broker
        self.format = format_.name
        self.imported = 0
        self.ignored: Counter[str] = Counter()
        self.errors: list[Failed] = []
        self.error_count = 0
        self.warnings: list[Warned] = []
        self.warning_count = 0
        self.accounts: dict[str, int] = {}
        self.newest_first = False
        self._fills = FillSpool()
        self._cash = CashSpool()
        self._keys = array("Q")
        self._cash_keys = array("Q")
        self._lines = array("I")
        self._instants = array("q")
        self._ordinals = self._places = np.empty(0, dtype=np.int64)

    @property
    def rows(self) -> int:
        """Data rows of the file; headers, preambles and blank lines are none."""
        return self.imported + self.ignored.total() + self.error_count

    @property
    def executions(self) -> int:
        """Fills of the imported rows."""
        return len(self._fills)

    @property
    def cash_movements(self) -> int:
        """Cash movements of the file."""
        return len(self._cash)

    def fills(self) -> Iterator[Entry]:
        """Every fill in file order."""
        for (line, part, base, fill), repeat, place in zip(
            self._fills, self._ordinals.tolist(), self._places.tolist(), strict=True
        ):
            sequence = place if fill.sequence is None else fill.sequence
            ordinal = repeat if fill.identity is None else 0
            yield tuple.__new__(Entry, (line, part, ordinal, sequence, fill, with_ordinal(base, ordinal)))

    def movements(self) -> Iterator[CashEntry]:
        """Every cash movement in file order."""
        ordinals = _occurrences(np.frombuffer(self._cash_keys, dtype=np.uint64))
        for (line, base, movement), ordinal in zip(self._cash, ordinals.tolist(), strict=True):
            yield CashEntry(line, ordinal, movement, with_ordinal(base, ordinal))

    def close(self) -> None:
        """Let the memory and the temporary files go."""
        self._fills.close()
        self._cash.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(self, outcome: Outcome) -> None:
        """Count one row in."""
        if isinstance(outcome, Imported):  # in a fifth of the time that a pattern takes
            self._add_imported(*outcome)
            return
        match outcome:
            case Ignored(_, reason):
                self.ignored[reason] += 1
            case Cash(line, movement, also):
                self.ignored[movement.kind.value] += 1
                self._add_cash(line, (movement, *also))
            case Failed():
                self.error_count += 1
                if len(self.errors) < MAX_LISTED:
                    self.errors.append(outcome)

    def _add_imported(
        self, line: int, fills: Sequence[Fill], warning: str | None, also: Sequence[CashMovement]
    ) -> None:
        self.imported += 1
        for part, fill in enumerate(fills):
            self._add_fill(line, part, fill)
        if also:
            self._add_cash(line, also)
        if warning is not None:
            self._warn(line, warning)

    def _warn(self, line: int, message: str) -> None:
        self.warning_count += 1
        if len(self.warnings) < MAX_LISTED:
            self.warnings.append(Warned(line, message))

    def _add_cash(self, line: int, movements: Sequence[CashMovement]) -> None:
        for movement in movements:
            digest = cash_digest(self.broker, self.format, movement)
            self._cash_keys.append(int.from_bytes(digest[:8], "big"))
            self._cash.append(line, digest, movement)

    def _add_fill(self, line: int, part: int, fill: Fill) -> None:
        base = base_digest(self.broker, self.format, fill)
        self._fills.append(line, part, base, fill)
        self._keys.append(int.from_bytes(base[:8], "big"))
        self._lines.append(line)
        self._instants.append(microseconds(fill.at))
        if fill.account is not None:
            self.accounts[fill.account] = self.accounts.get(fill.account, 0) + 1

    def settle(self, *, newest_first: bool) -> None:
        """Number equal fills and order those of one instant, once all rows are in.

        `newest_first` is what the format is documented to be, for a file whose times do not tell.
        """
        instants = np.frombuffer(self._instants, dtype=np.int64)
        lines = np.frombuffer(self._lines, dtype=np.uint32)
        self.newest_first = _descends(instants, lines, documented=newest_first)
        self._ordinals = _occurrences(np.frombuffer(self._keys, dtype=np.uint64))
        self._places = _occurrences(instants, _oldest_first(lines) if self.newest_first else None)


def read(document: Document, format_: Format, options: Options, *, progress: Progress | None = None) -> Reading:
    """Drive an importer over a whole file.

    Raises `NeedsInput` and `Unreadable` as the importer does; a row's own trouble becomes one of `errors`.
    """
    reading = Reading(format_)
    try:
        last = 0
        for count, outcome in enumerate(format_.read(document, options), start=1):
            line = outcome.line
            if line <= last:
                raise AccountingBroken(f"{format_.broker}/{format_.name} gave line {line} after line {last}")
            last = line
            damage = document.damage.get(line)
            reading.add(outcome if damage is None else Failed(line, None, damage))
            if progress is not None and count % _PROGRESS_ROWS == 0:
                progress(count, document.fraction)
        reading.settle(newest_first=format_.newest_first)
    except BaseException:
        reading.close()
        raise
    if progress is not None:
        progress(reading.rows, 1.0)
    return reading


def _descends(instants: Instants, lines: Lines, *, documented: bool) -> bool:
    """Whether the file has its newest rows first: by the steps from row to row."""
    firsts = instants[np.flatnonzero(np.diff(lines, prepend=np.uint32(0)))]
    steps = np.sign(np.diff(firsts)).sum()
    return bool(steps < 0) if steps else documented


def _oldest_first(lines: Lines) -> Order:
    """The order that turns rows round and leaves the fills of a row as they are."""
    return np.argsort(-lines.astype(np.int64), kind="stable")


def _occurrences(keys: Instants | Keys, order: Order | None = None) -> Counts:
    """How many equal keys come before each one, in the given order."""
    turned = keys if order is None else keys[order]
    by_key = np.argsort(turned, kind="stable")
    starts = np.flatnonzero(np.concatenate(([True], np.diff(turned[by_key]) != 0))) if len(keys) else by_key
    runs = np.diff(np.append(starts, len(keys)))
    counts = np.empty(len(keys), dtype=np.int64)
    counts[by_key if order is None else order[by_key]] = np.arange(len(keys)) - np.repeat(starts, runs)
    return counts
