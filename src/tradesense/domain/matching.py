"""Matching: the executions of one book become trades, flat to flat, by FIFO, LIFO or average cost."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal, DecimalException
from enum import StrEnum
from itertools import islice
from typing import Final, NamedTuple

from tradesense.domain.executions import Execution, ExecutionId, ExecutionKind, Side
from tradesense.domain.lots import FifoLots, LifoLots, PooledLots
from tradesense.domain.money import ONE, ZERO, exact, scaled, share
from tradesense.domain.positions import Position
from tradesense.domain.trades import Trade

SEGMENT_EXECUTIONS: Final = 4096
_BATCH: Final = 1024

_TRADE: Final = ExecutionKind.TRADE
_TRANSFER: Final = ExecutionKind.TRANSFER
_SPLIT: Final = ExecutionKind.SPLIT


class Method(StrEnum):
    """Which lots an exit takes: the oldest, the newest, or a part of all of them at their average cost."""

    FIFO = "fifo"
    LIFO = "lifo"
    AVERAGE = "average"


_LOTS: Final = {Method.FIFO: FifoLots, Method.LIFO: LifoLots, Method.AVERAGE: PooledLots}


class Unmatched(NamedTuple):
    """What an expiry, an assignment, an exercise, a transfer out or a split found nothing to act on.

    `quantity` is the part that exceeds the open position, in the execution's own terms (a split's `quantity`).
    `costs` are those that no trade carries: all of them where no part of the execution acted, else 0.
    """

    execution_id: ExecutionId
    at: datetime
    kind: ExecutionKind
    quantity: Decimal
    costs: Decimal


class OutOfOrder(ValueError):
    """The executions do not come in strictly rising order of their keys."""


class NotExact(ArithmeticError):
    """A book's numbers have too many digits to be added up exactly (60 digits, see `money`)."""


def match(
    executions: Iterable[Execution],
    *,
    multiplier: Decimal,
    method: Method = Method.FIFO,
    unmatched: Callable[[Unmatched], object] | None = None,
) -> Iterator[Trade]:
    """Give the trades of one book in the order in which they close, and last the one that is open.

    `executions` are one book's, sorted by `order`; they are read as the trades are taken, about a thousand ahead.
    `multiplier` is money per point of price and unit of quantity. `unmatched` is told of what closes more than is
    open; the excess is dropped, for a position cannot be expired into its opposite.

    A fill that crosses zero closes one trade and opens the next, its costs pro rata to quantity. An exit realises
    (exit price - entry price) x quantity x multiplier and its own costs plus the closed lots' share of theirs. What a
    transfer takes out leaves at its entry price: its gross is 0, and the costs of its lots, which this account paid,
    are realised with it. A split's costs join the open position's. Σ costs of the trades (realised and open) + Σ costs
    unmatched = Σ costs of the executions, exactly.

    Raises `OutOfOrder` when the keys do not rise, `ValueError` for a quantity that is not positive, and `NotExact`.
    """
    book = _Book(multiplier, method)
    stream = iter(executions)
    while batch := list(islice(stream, _BATCH)):
        closed = book.take(batch)
        yield from closed
        if unmatched is not None:
            for excess in book.excesses:
                unmatched(excess)
        book.excesses.clear()
    if (last := book.unfinished()) is not None:
        yield last


def segments(trades: Iterable[Trade], target: int = SEGMENT_EXECUTIONS) -> Iterator[list[Trade]]:
    """Group a book's trades at flat points into lists of `target` executions or a few more.

    Matching can start anew at the first execution of any segment: a fill that crosses zero never divides two of them,
    so a book that is always in the market is one segment.
    """
    segment: list[Trade] = []
    size = 0
    for trade in trades:
        if size >= target and trade.first > segment[-1].last:
            yield segment
            segment, size = [], 0
        segment.append(trade)
        size += trade.executions
    if segment:
        yield segment


@contextmanager
def _exact_or_refused() -> Iterator[None]:
    try:
        with exact():
            yield
    except DecimalException as error:
        raise NotExact("the book's quantities and prices have too many digits to be added up exactly") from error


class _Book:
    """The state of a book between two executions."""

    __slots__ = ("_closed", "_lots", "_multiplier", "_order", "_position", "excesses")

    def __init__(self, multiplier: Decimal, method: Method) -> None:
        self._multiplier = multiplier
        self._lots = _LOTS[method]()
        self._order = b""
        self._position: Position | None = None
        self._closed: list[Trade] = []
        self.excesses: list[Unmatched] = []

    def take(self, batch: list[Execution]) -> list[Trade]:
        """Apply executions; give the trades that they close.

        A decimal context belongs to the thread: a batch at a time, it never reaches those who consume the trades.
        """
        self._closed = []
        with _exact_or_refused():
            for execution in batch:
                self._apply(execution)
        return self._closed

    def unfinished(self) -> Trade | None:
        """The trade that is open, if one is."""
        with _exact_or_refused():
            return self._position.trade(None) if self._position is not None else None

    def _apply(self, execution: Execution) -> None:
        if execution.order <= self._order:
            raise OutOfOrder(f"execution {execution.id} does not come after the one before it")
        self._order = execution.order
        if execution.quantity <= ZERO:
            raise ValueError(f"execution {execution.id} has quantity {execution.quantity}; it must be positive")
        if execution.kind is _TRADE:
            self._fill(execution)
        elif execution.kind is _SPLIT:
            self._split(execution)
        elif execution.kind is _TRANSFER:
            self._transfer(execution)
        else:
            self._close(execution, ZERO)

    def _fill(self, execution: Execution) -> None:
        position, quantity, costs = self._position, execution.quantity, execution.costs
        if position is None:
            self._open(execution, quantity, costs)
        elif execution.side is position.side:
            position.enter(execution, quantity, costs)
        elif quantity <= position.open_quantity:
            self._leave(position, execution, quantity, costs, execution.price)
        else:
            closing = position.open_quantity
            closing_costs = share(costs, closing, quantity)
            self._leave(position, execution, closing, closing_costs, execution.price)
            self._open(execution, quantity - closing, costs - closing_costs)

    def _split(self, execution: Execution) -> None:
        position = self._position
        if position is None or not scaled(position.open_quantity, execution.quantity, execution.price or ONE):
            self._exceed(execution, execution.quantity, execution.costs)
        else:
            position.split(execution)

    def _transfer(self, execution: Execution) -> None:
        position, side = self._position, execution.side
        if position is not None and side is not position.side:
            self._close(execution, None)
        elif position is not None:
            position.enter(execution, execution.quantity, execution.costs)
        elif side is Side.BUY or execution.price:
            self._open(execution, execution.quantity, execution.costs)
        else:
            self._exceed(execution, execution.quantity, execution.costs)

    def _close(self, execution: Execution, price: Decimal | None) -> None:
        position = self._position
        if position is None:
            self._exceed(execution, execution.quantity, execution.costs)
            return
        closing = min(execution.quantity, position.open_quantity)
        self._leave(position, execution, closing, execution.costs, price)
        if closing < execution.quantity:
            self._exceed(execution, execution.quantity - closing, ZERO)

    def _open(self, execution: Execution, quantity: Decimal, costs: Decimal) -> None:
        self._position = Position(execution, self._lots, self._multiplier)
        self._position.enter(execution, quantity, costs)

    def _leave(
        self,
        position: Position,
        execution: Execution,
        quantity: Decimal,
        costs: Decimal,
        price: Decimal | None,
    ) -> None:
        position.leave(execution, quantity, costs, price)
        if not position.open_quantity:
            self._closed.append(position.trade(execution.at))
            self._position = None

    def _exceed(self, execution: Execution, quantity: Decimal, costs: Decimal) -> None:
        self.excesses.append(Unmatched(execution.id, execution.at, execution.kind, quantity, costs))
