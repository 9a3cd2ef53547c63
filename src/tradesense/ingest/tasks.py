"""Imports in the background: what the queue has is run, beat by beat, and what a dead worker left is taken up."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Exists, select

from keel.tasks import Tasks
from tradesense.accounts.service import AccountNotFound
from tradesense.db.engine import WriteConnection
from tradesense.db.generations import ClaimLost, Tenure
from tradesense.db.tables import ImportStatus
from tradesense.http.authentication import UserId
from tradesense.ingest.repository import queue
from tradesense.ingest.repository.queue import ImportRecord
from tradesense.ingest.service import findings
from tradesense.ingest.service.restoring import Restoring
from tradesense.ingest.service.running import Equipment, ImportRun, Stopped, Withdrawn
from tradesense.work.service.collecting import for_computing
from tradesense.work.service.retrying import pause, told
from tradesense.work.service.running import DIED, Handler, TaskRun
from tradesense.work.service.tracing import job

MOST_ATTEMPTS: Final = 20
"""Attempts after which an import that always ends with its process is given up."""
MOST_ERRORS: Final = 3
"""Attempts after which an import is given up that meets an error of ours."""
AGAIN: Final = "import"
"""The kind of task that queues an import again which was given up."""
REBUILD: Final = "rebuild"
IMPORTS: Final = "imports"
"""The lane of imports."""
OURS: Final = "something went wrong on the server; it has been logged, and the file is kept"

_LOG: Final = logging.getLogger(__name__)


Park = Callable[[WriteConnection, str, str, int, str], Awaitable[None]]
"""Shows administrators what was given up: in a transaction, a task of a kind about a subject, after so many attempts,
for an error; `TaskQueue.park`."""


class ImportRunner:
    """The queue of imports as a source of work: claims an import, and runs it.

    Cancelled, a running import is handed back. One that is given up for an error of ours is shown to administrators.
    """

    def __init__(self, equipment: Equipment, park: Park) -> None:
        self._equipment = equipment
        self._park = park

    def waiting(self, now: datetime) -> Exists:
        """Whether `claim` would find an import, in SQL."""
        return queue.waiting(now)

    async def claim(self) -> Coroutine[Any, Any, None] | None:
        """Claim the import that has waited longest, and give what runs it; None where none waits."""
        claimed = await self._claim()
        return None if claimed is None else self._run(*claimed)

    async def _claim(self) -> tuple[ImportRecord, Tenure] | None:
        equipment, now = self._equipment, self._equipment.clock.now()
        async with equipment.database.read() as reader:
            if not await reader.scalar(select(self.waiting(now))):
                return None
        tenure = Tenure(equipment.database, equipment.clock, equipment.lease)
        record = None
        try:
            async with equipment.database.write() as connection:
                record = await queue.claim_next(connection, tenure.owner, now, now + equipment.lease)
        except asyncio.CancelledError:
            if record is not None:  # it may have been claimed nevertheless
                await ImportRun(equipment, record, tenure).put_back(now)
            raise
        return None if record is None else (record, tenure)

    async def _run(self, record: ImportRecord, tenure: Tenure) -> None:
        run = ImportRun(self._equipment, record, tenure)
        async with Tasks() as beside:
            beside.start(f"heartbeat of import {record.id}", self._beat(run))
            await self._attempt(run, record)

    async def _attempt(self, run: ImportRun, record: ImportRecord) -> None:
        try:
            if record.attempts >= MOST_ATTEMPTS:
                await self._give_up(run, record, DIED)
            else:
                with job("import", record.traceparent), for_computing():
                    await run.run()
        except Exception as error:  # noqa: BLE001 - logged; the file may be read by a later version
            _LOG.exception("import %s met an error of ours", record.id)
            await self._retry(run, record, error)

    async def _retry(self, run: ImportRun, record: ImportRecord, error: Exception) -> None:
        if record.attempts >= MOST_ERRORS:
            await self._give_up(run, record, told(error))
        else:
            await run.put_back(self._equipment.clock.now() + pause(record.attempts + 1), counts=True)

    async def _give_up(self, run: ImportRun, record: ImportRecord, error: str) -> None:
        async def park(connection: WriteConnection) -> None:
            await self._park(connection, AGAIN, str(record.id), record.attempts + 1, error)

        await run.end(ImportStatus.FAILED, findings.one_error(OURS), park)

    async def _beat(self, run: ImportRun) -> None:
        """Prolong the lease and tell the progress, also while nothing is written."""
        while True:
            await asyncio.sleep(min(1.0, self._equipment.lease.total_seconds() / 3))
            try:
                async with run.write():
                    pass
            except (ClaimLost, Withdrawn, Stopped):
                run.stop()
                return


def again(wake: Callable[[UUID], None]) -> Handler:
    """What does the task of queueing an import again that was given up, unless it has moved on meanwhile."""

    async def handle(run: TaskRun) -> None:
        import_id = UUID(run.record.subject)
        async with run.finishing() as connection:
            await queue.try_again(connection, import_id)
        wake(import_id)

    return handle


def rebuilding(restoring: Restoring) -> Handler:
    """What does the task of reading an account's files again: its subject is the account, its payload says whose."""

    async def handle(run: TaskRun) -> None:
        user_id, account_id = UserId(UUID(run.record.payload["user_id"])), UUID(run.record.subject)
        with contextlib.suppress(AccountNotFound):  # deleted since
            await restoring.rebuild_from_files(user_id, account_id, run.mark_done)

    return handle
