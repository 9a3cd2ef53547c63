"""Books rebuilt: executions are matched anew from the segment where one has landed, and trades replaced."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from itertools import groupby
from operator import attrgetter, itemgetter
from typing import Any, Final

from tradesense.db.bulk import Batch
from tradesense.db.engine import Writing
from tradesense.domain.executions import Execution
from tradesense.domain.matching import SEGMENT_EXECUTIONS, Unmatched, match, segments
from tradesense.domain.money import exact
from tradesense.domain.packing import pack
from tradesense.domain.trades import Trade
from tradesense.ingest.repository import ledgers
from tradesense.ingest.repository.ledgers import LedgerRows, Position, Segment
from tradesense.ingest.service.behind import Desk
from tradesense.ingest.service.staging import Destination

TRADES_AT_ONCE: Final = 2000
"""Trades that one transaction writes, some 40 ms of it."""

FROM_THE_START: Final = b""
"""The landing of a book that is rebuilt as a whole."""

Raw = Sequence[Any]
"""An execution in the driver's values, in the columns of `ledgers.EXECUTION`."""

Books = Iterable[tuple[int, Iterable[Execution]]]
"""Books by their ids, each with its executions in order."""

Observe = Callable[[int, Sequence[Trade]], None]
"""Told the book and the trades of each segment that was rebuilt."""


class Rebuild:
    """Rebuilds books of one account for the claimed generation. Runs in a worker thread of the event loop."""

    def __init__(self, desk: Desk, write: Writing, destination: Destination, rows: LedgerRows) -> None:
        self.unmatched: list[tuple[int, Unmatched]] = []
        self.executions = 0
        self._desk = desk
        self._write = write
        self._claim = destination.claim
        self._account = destination.account
        self._new = {book.id: book.multiplier for book in destination.books.values() if book.is_new}
        self._same = (self._claim.generation, self._claim.account_id)
        self._rows = rows
        self._trades: list[tuple[Any, ...]] = []
        self._segments: list[tuple[Any, ...]] = []

    def run(
        self, landings: Mapping[int, bytes], observe: Observe, kept: dict[int, list[Execution]] | None = None
    ) -> None:
        """Rebuild books, each from the segment where its first new order key lands.

        `kept` are all executions of the account by their books; they save reading them back, and are let go one by
        one. Raises `domain.matching.NotExact`.
        """
        book_ids = sorted(landings)
        self._multipliers = self._desk.read(ledgers.multipliers, book_ids, self._account.multipliers) | self._new
        standing = self._desk.read(ledgers.segments_of, self._claim, book_ids)
        with self._desk.writing():
            for book_id, found in standing.items():
                start = _start(found, landings[book_id])
                for segment in found[start:]:
                    self._desk.write(self._bury, segment)
                after = _before(found[start].first) if found[start].first <= landings[book_id] else FROM_THE_START
                self._rebuild(self._read([book_id], after), start, observe)
            fresh = [book_id for book_id in book_ids if book_id not in standing]
            self._rebuild(self._read(fresh, FROM_THE_START) if kept is None else self._kept(kept), 0, observe)
            self._flush()

    def _rebuild(self, books: Books, ordinal: int, observe: Observe) -> None:
        for book_id, executions in books:
            matched = match(
                executions,
                multiplier=self._multipliers[book_id],
                method=self._account.method,
                unmatched=partial(self._note, book_id),
            )
            for number, segment in enumerate(segments(matched, SEGMENT_EXECUTIONS), start=ordinal):
                self._add(book_id, number, segment)
                observe(book_id, segment)

    def _kept(self, kept: dict[int, list[Execution]]) -> Books:
        for book_id in sorted(kept):
            executions = kept.pop(book_id)
            executions.sort(key=attrgetter("order"))
            self.executions += len(executions)
            yield book_id, executions

    def _read(self, book_ids: Sequence[int], after: bytes) -> Books:
        for book_id, found in groupby(self._executions(self._pages(book_ids, after)), itemgetter(0)):
            yield book_id, map(itemgetter(1), found)

    def _executions(self, pages: Iterator[Sequence[Raw]]) -> Iterator[tuple[int, Execution]]:
        for page in pages:
            with exact():
                found = [
                    (book, Execution(id_, key, at, side, quantity, price, commission + fees, kind))
                    for book, id_, key, at, side, quantity, price, commission, fees, kind in (
                        self._rows.executions.parse(page)
                    )
                ]
            self.executions += len(found)
            yield from found

    def _pages(self, book_ids: Sequence[int], after: bytes) -> Iterator[Sequence[Raw]]:
        """What the database has, the next page being read while one is worked on."""
        for first in range(0, len(book_ids), ledgers.BOOKS_AT_ONCE):
            some = book_ids[first : first + ledgers.BOOKS_AT_ONCE]
            coming = self._page(some, Position(some[0], after))
            while len(page := coming.result()) == ledgers.PAGE:
                book_id, _, order_key, *_ = page[-1]
                coming = self._page(some, Position(book_id, order_key))
                yield page
            yield page

    def _page(self, book_ids: Sequence[int], position: Position) -> Future[Sequence[Raw]]:
        return self._desk.read_ahead(ledgers.executions_of, self._rows, self._claim, book_ids, position)

    def _note(self, book_id: int, excess: Unmatched) -> None:
        self.unmatched.append((book_id, excess))

    def _add(self, book_id: int, ordinal: int, segment: list[Trade]) -> None:
        place = (book_id, ordinal)
        with exact():
            self._trades += [(*place, *trade[:-1], trade.net) for trade in segment]
        size = sum(trade.executions for trade in segment)
        self._segments.append((*place, segment[0].first, segment[-1].last, size, pack(segment)))
        while len(self._trades) >= TRADES_AT_ONCE:
            self._flush()

    def _flush(self) -> None:
        """Write all segments and as many trades as one transaction takes."""
        trades = self._rows.trades.prepare(self._same, self._trades[:TRADES_AT_ONCE])
        del self._trades[:TRADES_AT_ONCE]
        self._desk.write(self._insert, trades, self._rows.segments.prepare(self._same, self._segments))
        self._segments = []

    async def _insert(self, trades: Batch, segments_: Batch) -> None:
        async with self._write() as connection:
            await self._rows.trades.insert(connection, trades)
            await self._rows.segments.insert(connection, segments_)

    async def _bury(self, segment: Segment) -> None:
        async with self._write() as connection:
            await ledgers.bury(connection, self._claim, segment)


def _start(standing: Sequence[Segment], landing: bytes) -> int:
    """The last segment that begins at the landing or before it; the first where none does."""
    return max(sum(segment.first <= landing for segment in standing) - 1, 0)


def _before(key: bytes) -> bytes:
    """The greatest order key below this one."""
    return (int.from_bytes(key, "big") - 1).to_bytes(len(key), "big")
