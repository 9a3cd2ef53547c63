"""One import run from its file to its publication: all of it counts at once, or none ever does."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple, Protocol, TypeVar
from uuid import UUID

from keel.clock import Clock
from tradesense.accounts.service import AccountNotFound
from tradesense.brokers.contract import NeedsInput, Unreadable
from tradesense.brokers.reading import Entry, Reading
from tradesense.brokers.registry import UnknownBroker
from tradesense.db import outbox
from tradesense.db.engine import Database, WriteConnection
from tradesense.db.generations import AccountBusy, ClaimLost, Tenure, purge
from tradesense.db.tables import ImportStatus
from tradesense.domain.matching import NotExact
from tradesense.domain.trades import Trade
from tradesense.http.authentication import UserId
from tradesense.http.versions import raise_data_version
from tradesense.ingest.repository import mappings, places, queue
from tradesense.ingest.repository.ledgers import LedgerRows
from tradesense.ingest.repository.queue import ImportRecord
from tradesense.ingest.repository.staging import Rows
from tradesense.ingest.service import findings
from tradesense.ingest.service.behind import Desk, in_thread
from tradesense.ingest.service.changing import DELETED_STAY
from tradesense.ingest.service.choosing import Choice, Chosen, names
from tradesense.ingest.service.comparing import Comparison
from tradesense.ingest.service.files import KeptFiles
from tradesense.ingest.service.opening import Opened, Opener
from tradesense.ingest.service.rebuilding import Rebuild
from tradesense.ingest.service.staging import Destination, Origin, Staging
from tradesense.ingest.service.suspects import Search, Suspect

T = TypeVar("T")

POSTPONED: Final = timedelta(seconds=2)
"""How long an import waits whose account another writer has."""

_READ, _STAGED, _MATCHED = 50, 75, 99
"""Percent of the work that is done after each step."""

_ENDED: Final = {"claimed_by": None, "claimed_until": None}
_LOG: Final = logging.getLogger(__name__)


class Withdrawn(Exception):
    """The import was deleted, or another worker has taken it over."""


class Stopped(Exception):
    """The work in the thread was told to end."""


class RowsFailed(Exception):
    """Some rows of the file cannot be read, and the person has not said to skip them."""


class Progress(NamedTuple):
    """How far an import has come: rows read, executions staged, percent of the work."""

    import_id: UUID
    user_id: UserId
    status: ImportStatus
    rows: int
    executions: int
    percent: float

    def said(self) -> dict[str, str | int | float]:
        """As it is told to its user."""
        return {
            "type": "import",
            "import_id": str(self.import_id),
            "status": self.status,
            "rows": self.rows,
            "executions": self.executions,
            "percent": round(self.percent, 1),
        }


class Observer(Protocol):
    """Told of an import's progress, now and then and at its end, in the event loop; must not raise or wait."""

    def __call__(self, progress: Progress, /) -> None:
        """Take it in."""


@dataclass(frozen=True, slots=True)
class Equipment:
    """What every run needs."""

    database: Database
    clock: Clock
    files: KeptFiles
    opener: Opener
    lease: timedelta
    observe: Observer


class ImportRun:
    """One attempt at one import. `run` ends with the import done, failed, waiting for an answer, or put back."""

    def __init__(self, equipment: Equipment, record: ImportRecord, tenure: Tenure) -> None:
        self._equipment = equipment
        self._record = record
        self._tenure = tenure
        self._rows = 0
        self._executions = 0
        self._percent = 0.0
        self._stopped = False
        self._comparison = Comparison()

    async def run(self) -> None:
        """Import the file, or note why not; raises what nobody foresaw."""
        try:
            await self._run()
        except (ClaimLost, Withdrawn):
            _LOG.info("import %s was withdrawn or taken over", self._record.id)
        except asyncio.CancelledError:
            await self.put_back(self._equipment.clock.now())
            raise

    async def _run(self) -> None:
        try:
            await self._clean_up_after_predecessor()
            await self._import()
        except NeedsInput as asked:
            await self.end(ImportStatus.NEEDS_INPUT, {"questions": findings.questions(asked.questions)})
        except (Unreadable, UnknownBroker, AccountNotFound, NotExact) as error:
            await self.end(ImportStatus.FAILED, findings.one_error(str(error)))
        except RowsFailed:
            await self.end(ImportStatus.FAILED, {})
        except AccountBusy:
            await self.put_back(self._equipment.clock.now() + POSTPONED)
        except (Withdrawn, Stopped) as error:
            await self._sweep()
            raise Withdrawn from error

    @asynccontextmanager
    async def write(self) -> AsyncIterator[WriteConnection]:
        """A writing transaction that carries the progress along; raises `Withdrawn`, `ClaimLost`, `Stopped`."""
        if self._stopped:
            raise Stopped
        async with self._tenure.write() as connection:
            await self._advance(connection, self._progress())
            yield connection
        self._tell(ImportStatus.RUNNING)

    async def end(
        self,
        status: ImportStatus,
        values: Mapping[str, Any],
        also: Callable[[WriteConnection], Awaitable[None]] | None = None,
    ) -> None:
        """Take back what was staged, and say why; `also` writes something more with that."""
        await self._sweep()
        async with self._tenure.write() as connection:
            await self._advance(connection, {**_ENDED, "status": status, "finished_at": self._now(), **values})
            await self._note_end(connection, status)
            if also is not None:
                await also(connection)
        self._tell(status)

    def stop(self) -> None:
        """Let the work in the thread end at its next step."""
        self._stopped = True

    async def put_back(self, not_before: datetime, *, counts: bool = False) -> None:
        """Queue the import again; whoever takes it sweeps away what was staged. Only what failed `counts`."""
        async with self._equipment.database.write() as connection:
            await self._tenure.abandon(connection)
            await queue.put_back(connection, self._record.id, self._tenure.owner, not_before, counts=counts)

    def _now(self) -> datetime:
        return self._equipment.clock.now()

    def _progress(self) -> dict[str, Any]:
        until = self._now() + self._equipment.lease
        return {"rows": self._rows, "executions": self._executions, "percent": self._percent, "claimed_until": until}

    async def _advance(self, connection: WriteConnection, values: Mapping[str, Any]) -> None:
        if not await queue.advance(connection, self._record.id, self._tenure.owner, values):
            raise Withdrawn

    def _tell(self, status: ImportStatus) -> None:
        self._equipment.observe(self._told(status))

    async def _note_end(self, connection: WriteConnection, status: ImportStatus) -> None:
        """Have the end told, whatever becomes of this process after the commit."""
        await outbox.record_import_end(connection, self._record.user_id, self._told(status).said())

    def _told(self, status: ImportStatus) -> Progress:
        record = self._record
        return Progress(record.id, record.user_id, status, self._rows, self._executions, self._percent)

    async def _in_thread(self, work: Callable[[Desk], T]) -> T:
        return await in_thread(self._equipment.database, work, self.stop)

    async def _clean_up_after_predecessor(self) -> None:
        """Take over what a worker that died on this import had claimed, and sweep it away."""
        if self._record.claimed_by is not None:
            async with self._equipment.database.write() as connection:
                await self._tenure.take_over(connection, self._record.claimed_by)
            await self._sweep()

    async def _sweep(self) -> None:
        """Take back all that was staged, and give back the accounts."""
        for claim in self._tenure.claims.values():
            await self._tenure.sweep(claim)
        async with self._tenure.write() as connection:
            await places.drop_unshown(connection, self._tenure.owner)
            await self._tenure.release(connection)

    async def _import(self) -> None:
        record = self._record
        opened = await self._equipment.opener.open(self._equipment.files.path(record.sha256), record)
        with await self._in_thread(lambda _: opened.read(self._while_reading)) as reading:
            async with self.write() as connection:
                await self._advance(connection, {**findings.of_reading(reading), "zone": opened.zone})
            if reading.error_count and not record.options.get("skip_errors"):
                raise RowsFailed
            chosen = await self._choose(reading)
            left_out = await self._left_out(reading, chosen)
            staged = await self._stage(opened, reading, chosen, left_out)
            rebuilds = [await self._rebuild(each, staged) for each in chosen.all]
            found = findings.of_run(reading, chosen, staged, rebuilds, self._comparison)
        await self._publish(opened, chosen, found)
        for each in chosen.all:
            since = self._now() - DELETED_STAY
            await purge(self._equipment.database, each.account.id, each.claim.generation, since)

    def _while_reading(self, rows: int, fraction: float) -> None:
        if self._stopped:
            raise Stopped
        self._rows = rows
        self._percent = _READ * fraction

    async def _choose(self, reading: Reading) -> Chosen:
        named = await self._in_thread(lambda _: names(reading))
        record = self._record
        try:
            async with self._equipment.database.write() as connection:
                choice = Choice(connection, self._tenure, record.user_id, reading.broker, self._now())
                if record.account_id is not None:
                    chosen = await choice.asked_for(record.account_id, named)
                else:
                    chosen = await choice.by_label(named)
        except BaseException:
            self._tenure.claims.clear()  # they are rolled back
            raise
        for each in chosen.all:
            if each.claim.dirty:
                await self._tenure.sweep(each.claim)
        return chosen

    async def _left_out(self, reading: Reading, chosen: Chosen) -> frozenset[tuple[int, int]]:
        """Fills (line and part) that the person wants left out; raises `NeedsInput` where they have not said yet."""
        answer = self._record.options.get("suspected_duplicates")
        own = f"{reading.broker}/{reading.format}"
        if answer == "import" or all(set(each.account.formats) <= {own} for each in chosen.all):
            return frozenset()
        found = await self._in_thread(lambda desk: sorted(self._suspects(Search(desk, reading), chosen)))
        if found and answer is None:
            raise NeedsInput(findings.suspected(found, chosen.all))
        return frozenset((each.line, each.part) for each in found)

    def _suspects(self, search: Search, chosen: Chosen) -> Iterator[Suspect]:
        for each in chosen.all:
            labels = [label for label, one in chosen.destinations.items() if one is each]
            yield from search.run(labels, each.account.id, each.account.generation)

    async def _stage(
        self, opened: Opened, reading: Reading, chosen: Chosen, left_out: frozenset[tuple[int, int]]
    ) -> Staging:
        origin = Origin(self._record.id, reading.broker, reading.format, opened.zone)
        tables = Rows(self._equipment.database.dialect)

        def is_left_out(entry: Entry) -> bool:
            return (entry.line, entry.part) in left_out

        def work(desk: Desk) -> Staging:
            staged = Staging(desk, self.write, tables, origin, self._comparison)

            def progress(done: int) -> None:
                self._executions = staged.executions
                self._percent = _READ + (_STAGED - _READ) * done / reading.executions

            staged.run(reading, chosen.destinations, is_left_out if left_out else None, progress)
            return staged

        return await self._in_thread(work)

    async def _rebuild(self, destination: Destination, staged: Staging) -> Rebuild:
        rows = LedgerRows(self._equipment.database.dialect)

        def work(desk: Desk) -> Rebuild:
            rebuild = Rebuild(desk, self.write, destination, rows)

            def observe(book_id: int, trades: Sequence[Trade]) -> None:
                self._comparison.compare(destination.symbols[book_id], trades)
                share = min(1, rebuild.executions / max(staged.executions, 1))
                self._percent = _STAGED + (_MATCHED - _STAGED) * share

            rebuild.run(destination.landings, observe, destination.kept)
            destination.kept = None
            return rebuild

        return await self._in_thread(work)

    async def _publish(self, opened: Opened, chosen: Chosen, found: Mapping[str, Any]) -> None:
        record = self._record
        ended = {**_ENDED, "status": ImportStatus.DONE, "finished_at": self._now(), "percent": 100, **found}
        async with self._tenure.write() as connection:
            await self._tenure.publish(connection)
            await places.show_accounts(connection, [each.account.id for each in chosen.all if each.is_created])
            for account_id, label in chosen.labels.items():
                await places.set_label(connection, account_id, label)
            for each in chosen.all:
                await places.note_multipliers(connection, each.books.values())
                await places.note_format(connection, each.account, f"{opened.format.broker}/{opened.format.name}")
            if opened.header is not None and record.options.get("mapping"):
                columns = record.options["mapping"]
                await mappings.save_mapping(connection, record.user_id, opened.header, columns, self._now())
            await self._advance(connection, ended)
            await raise_data_version(connection, record.user_id, [each.account.id for each in chosen.all])
            self._executions, self._percent = found["executions"], 100
            await self._note_end(connection, ImportStatus.DONE)
        self._tell(ImportStatus.DONE)
