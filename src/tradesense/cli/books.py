"""Files put together without a database: fills that are known already are dropped, the others go into books."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from hashlib import blake2b
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from tradesense.brokers.contract import CashKind, CashMovement, Fill
from tradesense.brokers.identities import execution_id
from tradesense.brokers.reading import Entry, Reading
from tradesense.domain.executions import Execution, ExecutionKind, Side, order_key
from tradesense.domain.instruments import Instrument, InstrumentKey
from tradesense.domain.local_time import microseconds
from tradesense.domain.matching import Method, Unmatched, match
from tradesense.domain.money import ZERO, exact
from tradesense.domain.trades import Trade
from tradesense.ingest.service.comparing import Comparison


class BookKey(NamedTuple):
    """A book: the account that the file names, or an empty name, and the instrument."""

    account: str
    instrument: InstrumentKey


@dataclass(slots=True)
class Book:
    """The executions of one instrument in one account, by identity."""

    account: str
    instrument: Instrument
    executions: dict[bytes, Execution] = field(default_factory=dict)

    def add(self, entry: Entry, comparison: Comparison) -> bool:
        """Take a fill in, with what its file states of it, and say whether it is new.

        Of two tellings of one fill the earlier in sequence counts.
        """
        fill = entry.fill
        known = self.executions.get(entry.identity)
        execution = _execution(self.account, entry)
        if fill.stated is not None:
            comparison.state(execution.id, entry.line, fill.stated)
        if known is None or execution.order < known.order:
            self.executions[entry.identity] = execution
        return known is None

    def trades(self, method: Method) -> tuple[list[Trade], list[Unmatched]]:
        """The trades, closed ones first, and what found nothing to close."""
        excesses: list[Unmatched] = []
        executions = sorted(self.executions.values(), key=lambda execution: execution.order)
        matched = match(executions, multiplier=self.instrument.multiplier, method=method, unmatched=excesses.append)
        return list(matched), excesses


class Money(NamedTuple):
    """What all fills of a currency moved and cost, whatever became of them.

    `cash` is the sum of quantity × price × multiplier, sells positive; `costs` are commissions and fees.
    """

    cash: Decimal
    costs: Decimal


class Added(NamedTuple):
    """What a file added: new executions; `known` are the lines all of whose fills were in the books before."""

    executions: int
    known: set[int]


@dataclass(slots=True)
class Books:
    """All books of a report."""

    by_key: dict[BookKey, Book] = field(default_factory=dict)
    movements: dict[bytes, CashMovement] = field(default_factory=dict)
    comparison: Comparison = field(default_factory=Comparison)

    def add(self, reading: Reading, skipped: Collection[bytes] = ()) -> Added:
        """Take a file's fills into their books, but for those whose identity is to be skipped, and its deposits."""
        new_by_line: dict[int, int] = {}
        with exact():
            for entry in reading.fills():
                is_new = entry.identity not in skipped and self._add(entry)
                new_by_line[entry.line] = new_by_line.get(entry.line, 0) + is_new
        for moved in reading.movements():
            self.movements[moved.identity] = moved.movement
        known = {line for line, new in new_by_line.items() if not new}
        return Added(executions=sum(new_by_line.values()), known=known)

    def _add(self, entry: Entry) -> bool:
        account, instrument = entry.fill.account or "", entry.fill.instrument
        key = BookKey(account, instrument.key)
        book = self.by_key.get(key)
        if book is None:
            book = self.by_key[key] = Book(account, instrument)
        return book.add(entry, self.comparison)

    def __iter__(self) -> Iterator[Book]:
        return iter(self.by_key.values())

    def flows(self, currency: str, zone: ZoneInfo) -> dict[date, Decimal]:
        """What was deposited (positive) and withdrawn on which day of that zone."""
        found: dict[date, Decimal] = {}
        with exact():
            for movement in self.movements.values():
                if movement.currency == currency and movement.kind in (CashKind.DEPOSIT, CashKind.WITHDRAWAL):
                    day = movement.at.astimezone(zone).date()
                    found[day] = found.get(day, ZERO) + movement.amount
        return found

    def money(self) -> dict[str, Money]:
        """For each currency what its fills moved and cost."""
        found: dict[str, Money] = {}
        with exact():
            for book in self:
                currency = book.instrument.currency
                cash, costs = found.get(currency, Money(ZERO, ZERO))
                for execution in book.executions.values():
                    cash += _cash(execution) * book.instrument.multiplier
                    costs += execution.costs
                found[currency] = Money(cash, costs)
        return found


def _cash(execution: Execution) -> Decimal:
    """What a fill paid or received before costs; transfers and splits move none."""
    if execution.kind in (ExecutionKind.TRANSFER, ExecutionKind.SPLIT):
        return ZERO
    value = execution.quantity * execution.price
    return value if execution.side is Side.SELL else -value


def _execution(account: str, entry: Entry) -> Execution:
    fill: Fill = entry.fill
    return Execution(
        id=execution_id(_account_id(account), entry.identity, fill.wall),
        order=order_key(microseconds(fill.at), entry.sequence, entry.identity),
        at=fill.at,
        side=fill.side,
        quantity=fill.quantity,
        price=fill.price,
        costs=fill.commission + fill.fees,
        kind=fill.kind,
    )


def _account_id(name: str) -> UUID:
    """A stand-in for the account's id, so that a report gives the same trade ids whenever it is made."""
    return UUID(bytes=blake2b(name.encode(), digest_size=16).digest())
