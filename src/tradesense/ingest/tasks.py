"""Imports in the background: what the queue has is run, beat by beat, and what a dead worker left is taken up."""

import asyncio
import contextlib
import gc
import logging
import sys
from datetime import timedelta
from typing import Final

from keel.tasks import Tasks
from tradesense.db.generations import ClaimLost, Tenure
from tradesense.db.tables import ImportStatus
from tradesense.ingest.repository import queue
from tradesense.ingest.repository.queue import ImportRecord
from tradesense.ingest.service import findings
from tradesense.ingest.service.running import Equipment, ImportRun, Stopped, Withdrawn

MOST_ATTEMPTS: Final = 100
"""Attempts after which an import that always ends with its process is given up."""
MOST_ERRORS: Final = 3
"""Attempts after which an import is given up that meets an error of ours."""
RETRY: Final = timedelta(seconds=5)
OURS: Final = "something went wrong on the server; it has been logged, and the file is kept"

COLLECTIONS: Final = (50_000, 10, 20)
"""Thresholds of the garbage collector. An import makes rows by the 100,000, none of them in a cycle: by the defaults
(700, 10, 10) collecting takes 40 % of the CPU time of staging and matching, and its pauses hold the event loop."""

SWITCH_S: Final = 0.0005
"""Seconds after which a thread that computes yields to the event loop: a login hops some 40 times between threads. On a
loaded machine its worst case beside an import fell from 834 to 481 ms; the import took as long as by the default."""

_LOG: Final = logging.getLogger(__name__)


class ImportRunner:
    """Runs imports, `at_once` of them at a time in this process; the queue is looked at every `poll`, or when woken.

    Closing `tasks` lets a running import finish within the grace it is given, and hands it back after that.
    """

    def __init__(
        self, equipment: Equipment, tasks: Tasks, *, at_once: int = 2, poll: timedelta = timedelta(seconds=1)
    ) -> None:
        self._equipment = equipment
        self._tasks = tasks
        self._free = asyncio.Semaphore(at_once)
        self._woken = asyncio.Event()
        self._poll = poll

    def start(self) -> None:
        """Begin to look at the queue; from now on the process collects garbage less, and switches threads more."""
        gc.set_threshold(*COLLECTIONS)
        sys.setswitchinterval(SWITCH_S)
        self._tasks.start("imports", self._watch())

    def wake(self) -> None:
        """Look at the queue now."""
        self._woken.set()

    async def _watch(self) -> None:
        while True:
            await self._free.acquire()
            claimed = None
            try:
                claimed = await self._claim()
            except Exception:  # noqa: BLE001 - logged; the database may be back at the next beat
                _LOG.exception("the queue of imports cannot be read")
            if claimed is None:
                self._free.release()
                await self._rest()
            else:
                self._tasks.start(f"import {claimed[0].id}", self._run(*claimed), finish=True)

    async def _rest(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._poll.total_seconds()):
                await self._woken.wait()
        self._woken.clear()

    async def _claim(self) -> tuple[ImportRecord, Tenure] | None:
        equipment, now = self._equipment, self._equipment.clock.now()
        async with equipment.database.read() as reader:
            if not await queue.is_waiting(reader, now):
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
        try:
            async with Tasks() as beside:
                beside.start(f"heartbeat of import {record.id}", self._beat(run))
                await self._attempt(run, record)
        finally:
            self._free.release()
            self.wake()

    async def _attempt(self, run: ImportRun, record: ImportRecord) -> None:
        try:
            if record.attempts >= MOST_ATTEMPTS:
                await run.end(ImportStatus.FAILED, findings.one_error(OURS))
            else:
                await run.run()
        except Exception:  # noqa: BLE001 - logged; the file may be read by a later version
            _LOG.exception("import %s met an error of ours", record.id)
            await self._retry(run, record)

    async def _retry(self, run: ImportRun, record: ImportRecord) -> None:
        if record.attempts >= MOST_ERRORS:
            await run.end(ImportStatus.FAILED, findings.one_error(OURS))
        else:
            await run.put_back(self._equipment.clock.now() + RETRY)

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
