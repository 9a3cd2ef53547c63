"""What a file holds, staged: each fill finds its account and book, and becomes a row of the coming generation, once."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from itertools import islice
from typing import Any, Final, TypeVar
from uuid import UUID

from tradesense.brokers.identities import execution_id
from tradesense.brokers.reading import CashEntry, Entry, Reading
from tradesense.db.bulk import Batch
from tradesense.db.engine import Writing
from tradesense.db.generations import Claim
from tradesense.domain.contracts import overriding
from tradesense.domain.executions import Execution, ExecutionKind, order_key
from tradesense.domain.local_time import microseconds
from tradesense.domain.money import exact
from tradesense.ingest.repository import places, staging
from tradesense.ingest.repository.places import Account, Book, key_text
from tradesense.ingest.repository.staging import Known, Moved, Rows
from tradesense.ingest.service.behind import Desk
from tradesense.ingest.service.comparing import Comparison

ENTRIES_AT_ONCE: Final = 1000
"""Entries that are worked on at once; of five times as many, the garbage collector would look at most. Looking up the
identities of so many holds the event loop for some 5 ms."""

ROWS_AT_ONCE: Final = 5000
"""Executions that one transaction writes, some 60 ms of it: a multiple of the entries worked on at once."""

KEPT: Final = 200_000
"""Executions that are kept in memory to be matched, some 600 bytes each; with more, they are read back."""

_TIME_BYTES: Final = 8
_KEY_END: Final = 16
_EPOCH_OFFSET: Final = 1 << 63

T = TypeVar("T")


@dataclass(slots=True)
class Destination:
    """An account that a file goes into, and what has been put there: where each book was first touched.

    `is_created` where this import creates it. `kept` are the executions of each book, where that is all of them and few
    enough to be kept.
    """

    account: Account
    claim: Claim
    is_created: bool = False
    books: dict[str, Book] = field(default_factory=dict)
    symbols: dict[int, str] = field(default_factory=dict)
    landings: dict[int, bytes] = field(default_factory=dict)
    kept: dict[int, list[Execution]] | None = None

    @property
    def is_new(self) -> bool:
        """Whether the account has never had anything."""
        return self.account.generation == 0

    def land(self, book_id: int, key: bytes) -> None:
        """Note that an order key of a book has come or gone."""
        landed = self.landings.get(book_id)
        if landed is None or key < landed:
            self.landings[book_id] = key


@dataclass(frozen=True, slots=True)
class _Pending:
    """What is to be written for a claim: rows of executions and of their sources, and executions moved."""

    claim: Claim
    executions: list[tuple[Any, ...]] = field(default_factory=list)
    sources: list[tuple[Any, ...]] = field(default_factory=list)
    moved: list[Moved] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Origin:
    """What is read: the import, its broker and format, and the zone in which times without one were read."""

    import_id: UUID
    broker: str
    format: str
    zone: str


class Staging:
    """Stages what a file holds. Runs in a worker thread of the event loop.

    `rows` counts the rows that brought something new, `executions` and `movements` what they brought. `closings` are
    the lines of what may find nothing open to act on: expiries, assignments, transfers, splits.
    """

    def __init__(self, desk: Desk, write: Writing, tables: Rows, origin: Origin, comparison: Comparison) -> None:
        self.rows = 0
        self.executions = 0
        self.movements = 0
        self.warnings: list[str] = []
        self.closings: dict[UUID, int] = {}
        self._desk = desk
        self._write = write
        self._origin = origin
        self._comparison = comparison
        self._tables = tables
        self._last_line = 0
        self._seen: set[tuple[UUID, bytes]] = set()
        self._pending: dict[UUID, _Pending] = {}

    def run(
        self,
        reading: Reading,
        destinations: Mapping[str | None, Destination],
        is_left_out: Callable[[Entry], bool] | None,
        progress: Callable[[int], None],
    ) -> None:
        """Stage the fills and cash movements of a reading.

        `destinations` are the accounts by their labels in the file (what has none there goes nowhere), `is_left_out`
        is true for fills that are to be left out, and `progress` is told how many fills are done.
        """
        with self._desk.writing():
            done = 0
            for entries in _batches(reading.fills()):
                for destination, some in _sorted_out(entries, destinations, lambda entry: entry.fill.account):
                    kept = some if is_left_out is None else [entry for entry in some if not is_left_out(entry)]
                    self._stage(destination, kept)
                done += len(entries)
                progress(done)
                if done % ROWS_AT_ONCE == 0:
                    self._write_pending()
            self._write_pending()
            for movements in _batches(reading.movements()):
                for destination, moves in _sorted_out(movements, destinations, lambda entry: entry.movement.account):
                    self._stage_cash(destination, moves)

    def _stage(self, destination: Destination, entries: Sequence[Entry]) -> None:
        known = self._known(staging.known_executions, destination, [entry.identity for entry in entries])
        books = self._books(destination, entries)
        pending = self._pending.setdefault(destination.account.id, _Pending(destination.claim))
        rows: list[tuple[Any, ...]] = []
        for entry in self._first_seen(destination, entries):
            before = known.get(entry.identity)
            if before is None:
                row = self._row(destination, books[id(entry.fill.instrument)], entry)
                rows.append(row)
                execution = row[0]
            else:
                execution = before.id
                pending.moved.extend(_moved(destination, before, entry))
            pending.sources.append((execution, entry.line, entry.sequence))
        self.executions += len(rows)
        self._keep(destination, rows)
        pending.executions.extend(rows)

    def _write_pending(self) -> None:
        origin, tables = self._origin, self._tables
        for pending in self._pending.values():
            same = (pending.claim.generation, pending.claim.account_id)
            rows = tables.executions.prepare((*same, origin.broker, origin.format, origin.zone), pending.executions)
            sources = tables.sources.prepare((*same, origin.import_id), pending.sources)
            self._desk.write(self._insert, pending.claim, rows, sources, pending.moved)
        self._pending.clear()

    def _keep(self, destination: Destination, rows: Sequence[tuple[Any, ...]]) -> None:
        if not destination.is_new or self.executions > KEPT:
            destination.kept = None
            return
        if destination.kept is None:
            destination.kept = {}
        kept = destination.kept
        with exact():
            for id_, book_id, _, key, at, side, kind, quantity, price, commission, fees, *_ in rows:
                execution = Execution(id_, key, at, side, quantity, price, commission + fees, kind)
                kept.setdefault(book_id, []).append(execution)

    def _first_seen(self, destination: Destination, entries: Iterable[Entry]) -> Iterator[Entry]:
        """Leave out what this file has already told under the same id."""
        for entry in entries:
            if entry.fill.identity is not None:
                key = (destination.account.id, entry.identity)
                if key in self._seen:
                    continue
                self._seen.add(key)
            yield entry

    def _row(self, destination: Destination, book: Book, entry: Entry) -> tuple[Any, ...]:
        fill = entry.fill
        key = order_key(microseconds(fill.at), entry.sequence, entry.identity)
        execution = execution_id(destination.account.id, entry.identity, fill.wall)
        destination.land(book.id, key)
        self._remark(execution, entry)
        return (
            execution,
            book.id,
            entry.identity,
            key,
            fill.at,
            fill.side,
            fill.kind,
            fill.quantity,
            fill.price,
            fill.commission,
            fill.fees,
            fill.fx_to_account,
            fill.identity.kind if fill.identity else None,
            fill.local_time,
        )

    def _remark(self, execution: UUID, entry: Entry) -> None:
        """Count a new fill's row, and note what matching will be asked about it."""
        if entry.line != self._last_line:
            self._last_line = entry.line
            self.rows += 1
        if entry.fill.stated is not None:
            self._comparison.state(execution, entry.line, entry.fill.stated)
        if entry.fill.kind is not ExecutionKind.TRADE:
            self.closings[execution] = entry.line

    def _books(self, destination: Destination, entries: Sequence[Entry]) -> dict[int, Book]:
        """The book of each instrument, by the instrument's identity as an object."""
        instruments = {id(entry.fill.instrument): entry.fill.instrument for entry in entries}
        keys = {object_id: key_text(instrument.key) for object_id, instrument in instruments.items()}
        wanted = {key: instruments[object_id] for object_id, key in keys.items() if key not in destination.books}
        if wanted:
            found = self._desk.call(self._find_books, destination, wanted)
            destination.books.update(found)
            for key, instrument in wanted.items():
                destination.symbols[found[key].id] = instrument.symbol
                own = overriding(instrument.asset_class, instrument.root, destination.account.multipliers)
                if found[key].multiplier != instrument.multiplier and own is None:
                    self.warnings.append(
                        f"{instrument.symbol}: the file's multiplier is {instrument.multiplier}, the account's "
                        f"{found[key].multiplier}, which counts"
                    )
        return {object_id: destination.books[key] for object_id, key in keys.items()}

    async def _find_books(self, destination: Destination, wanted: Mapping[str, Any]) -> dict[str, Book]:
        async with self._write() as connection:
            return await places.books_of(connection, destination.account, destination.claim.generation, wanted)

    def _stage_cash(self, destination: Destination, entries: Sequence[CashEntry]) -> None:
        known = self._known(staging.known_movements, destination, [entry.identity for entry in entries])
        rows: list[tuple[Any, ...]] = []
        sources: list[tuple[Any, ...]] = []
        for entry in entries:
            before = known.get(entry.identity)
            row = _cash_row(destination.account.id, entry)
            if before is None:
                rows.append(row)
            sources.append((before.id if before else row[0], entry.line))
        self.movements += len(rows)
        same = (destination.claim.generation, destination.account.id)
        self._desk.write(
            self._insert_cash,
            self._tables.cash.prepare((*same, self._origin.zone), rows),
            self._tables.cash_sources.prepare((*same, self._origin.import_id), sources),
        )

    def _known(
        self, query: Callable[..., Any], destination: Destination, identities: Sequence[bytes]
    ) -> dict[bytes, Known]:
        return {} if destination.is_new else self._desk.read(query, destination.account.id, identities)

    async def _insert(self, claim: Claim, rows: Batch, sources: Batch, moved: Sequence[Moved]) -> None:
        async with self._write() as connection:
            await self._tables.executions.insert(connection, rows)
            await self._tables.sources.insert(connection, sources)
            await staging.move(connection, claim, moved)

    async def _insert_cash(self, rows: Batch, sources: Batch) -> None:
        async with self._write() as connection:
            await self._tables.cash.insert(connection, rows)
            await self._tables.cash_sources.insert(connection, sources)


def _moved(destination: Destination, before: Known, entry: Entry) -> Iterator[Moved]:
    """The execution, where this file puts it earlier among those of its instant.

    The least place of all files counts, so that the order in which they come makes no difference.
    """
    at, place = before.order_key[:_TIME_BYTES], before.order_key[_TIME_BYTES:_KEY_END]
    key = order_key(microseconds(entry.fill.at), entry.sequence, entry.identity)
    if key[:_TIME_BYTES] == at and key[_TIME_BYTES:_KEY_END] < place:
        destination.land(before.book_id, key)
        yield Moved(before.id, key)


def _cash_row(account_id: UUID, entry: CashEntry) -> tuple[Any, ...]:
    movement = entry.movement
    at = movement.at.astimezone(UTC)
    return (
        execution_id(account_id, entry.identity, at.replace(tzinfo=None)),
        entry.identity,
        movement.kind.value,
        movement.amount,
        movement.currency,
        at,
        movement.local_time,
        movement.description,
    )


def _batches(entries: Iterable[T]) -> Iterator[list[T]]:
    stream = iter(entries)
    while batch := list(islice(stream, ENTRIES_AT_ONCE)):
        yield batch


def _sorted_out(
    entries: list[T], destinations: Mapping[str | None, Destination], label: Callable[[T], str | None]
) -> Iterator[tuple[Destination, list[T]]]:
    """The entries by where they go, in their order; those with a label that goes nowhere are left out."""
    by_label: dict[str | None, list[T]] = {}
    for entry in entries:
        by_label.setdefault(label(entry), []).append(entry)
    for name, some in by_label.items():
        if name in destinations:
            yield destinations[name], some
