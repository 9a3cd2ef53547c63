"""Splits that a statement tells by share counts: shares added to those held, or old ones gone and new ones come."""

from collections import defaultdict
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from tradesense.brokers.contract import Ignored, Imported, Outcome
from tradesense.brokers.fills import fill
from tradesense.brokers.tables import Row
from tradesense.brokers.times import Moment
from tradesense.domain.executions import ExecutionKind, Side
from tradesense.domain.instruments import Instrument
from tradesense.domain.money import ZERO, exact

_NO_BASIS = "the file does not show the shares that were split: the new ones come in at a cost of 0"


class _Half(NamedTuple):
    line: int
    day: date
    signed: Decimal


class ShareCounts:
    """How many shares a file shows as held before a day, and the halves of its splits; filled before it is asked."""

    def __init__(self) -> None:
        self._moves: defaultdict[str, list[tuple[date, Decimal]]] = defaultdict(list)
        self._halves: defaultdict[str, list[_Half]] = defaultdict(list)

    def moved(self, symbol: str, day: date, signed: Decimal) -> None:
        """Take in what came (above 0) or went on a day."""
        self._moves[symbol].append((day, signed))

    def half(self, key: str, symbol: str, line: int, day: date, signed: Decimal) -> None:
        """Take in a row of a split; rows of the same key are halves of one split."""
        self._halves[key].append(_Half(line, day, signed))
        self.moved(symbol, day, signed)

    def held(self, symbol: str, before: date) -> Decimal:
        """The shares that the file shows as held at the start of a day."""
        with exact():
            return sum((signed for day, signed in self._moves[symbol] if day < before), ZERO)

    def outcome(self, row: Row, key: str, instrument: Instrument, moment: Moment, signed: Decimal) -> Outcome:
        """What a row of a split became: the split on the row of the new shares, which the old ones' row repeats.

        Where the file does not show what was split, the added shares come in at a cost of 0 and a warning says so.
        """
        old = sum((-half.signed for half in self._halves[key] if half.signed < 0), ZERO)
        new = sum((half.signed for half in self._halves[key] if half.signed > 0), ZERO)
        if old and new:
            return self._split(row, instrument, moment, old, new) if signed > 0 else _repeated(row)
        held = self.held(instrument.symbol, moment.wall.date())
        with exact():
            after = held + signed
            if held * after > 0:
                return self._split(row, instrument, moment, abs(held), abs(after))
        if signed < 0:
            return _repeated(row)
        made = fill(instrument, Side.BUY, signed, ZERO, moment, kind=ExecutionKind.TRANSFER, told="split")
        return Imported(row.line, (made,), _NO_BASIS)

    def _split(self, row: Row, instrument: Instrument, moment: Moment, old: Decimal, new: Decimal) -> Imported:
        made = fill(instrument, Side.BUY, new, old, moment, kind=ExecutionKind.SPLIT, told="split")
        return Imported(row.line, (made,))


def _repeated(row: Row) -> Ignored:
    return Ignored(row.line, "split counterpart")
