"""A file's own P&L beside ours: a disagreement is worth a warning that names both."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final, NamedTuple
from uuid import UUID

from tradesense.brokers.contract import Stated
from tradesense.domain import money
from tradesense.domain.money import ZERO
from tradesense.domain.trades import Trade

MOST: Final = 200_000
"""Stated figures that are kept for comparison, some 60 MB of them; a file that states more is compared up to there."""
LISTED: Final = 50
_CENT: Final = -2


class _Figure(NamedTuple):
    line: int
    stated: Stated


class Comparison:
    """Takes what a file states of its closing fills, then trades as they are matched, and lists disagreements.

    A trade is compared where the file states the P&L of every fill that closed a part of it, the sum against the sum:
    the broker may have matched its lots in another order. Each figure may be off by one unit of its last digit.
    """

    def __init__(self) -> None:
        self.disagreements = 0
        self.warnings: list[str] = []
        self._figures: dict[UUID, _Figure] = {}
        self._unit = _CENT

    def state(self, execution_id: UUID, line: int, stated: Stated) -> None:
        """Note what the file says of a fill."""
        exponent = stated.amount.as_tuple().exponent
        if isinstance(exponent, int):
            self._unit = min(self._unit, exponent)
        if len(self._figures) < MOST:
            self._figures[execution_id] = _Figure(line, stated)

    def compare(self, symbol: str, trades: Sequence[Trade]) -> None:
        """Compare trades of one instrument with what the file said of them."""
        if not self._figures:
            return
        with money.exact():
            for trade in trades:
                self._compare(symbol, trade)

    def _compare(self, symbol: str, trade: Trade) -> None:
        figures = [self._figures.get(each.execution_id) for each in trade.realisations]
        told = [figure for figure in figures if figure is not None]
        if not told or len(told) < len(figures):
            return
        theirs = sum((figure.stated.amount for figure in told), ZERO)
        net = told[0].stated.net
        ours = trade.net if net else trade.gross
        if abs(ours - theirs) > len(told) * Decimal(1).scaleb(self._unit):
            self._warn(symbol, told[-1].line, theirs, ours, "after costs" if net else "before costs")

    def _warn(self, symbol: str, line: int, theirs: Decimal, ours: Decimal, which: str) -> None:
        self.disagreements += 1
        if len(self.warnings) < LISTED:
            self.warnings.append(
                f"line {line}: the file states a P&L of {money.text(theirs)} {which} for {symbol}, "
                f"matching gives {money.text(ours)}"
            )
