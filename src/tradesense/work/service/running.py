"""Tasks run: claimed, kept claimed, done in one transaction with their effect, tried again, and parked in the end."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Exists, select

from keel.clock import Clock
from keel.errors import Refusal
from keel.ids import uuid7
from keel.tasks import Tasks
from tradesense.db.engine import Database, WriteConnection
from tradesense.db.tables import TaskState
from tradesense.work import repository
from tradesense.work.repository import TaskRecord, Worker
from tradesense.work.service.retrying import pause, told
from tradesense.work.service.tracing import job

MOST_ATTEMPTS: Final = 5
"""Attempts after which a task is parked, whether they ended with an error or with their process."""
LEASE: Final = timedelta(seconds=10)
"""How long a claim on a task outlives the process that made it."""
DIED: Final = "every process that ran it ended before it was done"

_LOG: Final = logging.getLogger(__name__)


class TaskLost(Exception):
    """Another process has taken the task over; nothing more may be written for it."""


class TaskRun:
    """One attempt at a task that this process has claimed."""

    def __init__(self, database: Database, clock: Clock, record: TaskRecord, worker: Worker) -> None:
        self.record = record
        self._database = database
        self._clock = clock
        self._worker = worker
        self._is_done = False
        self._is_lost = False

    @property
    def attempt(self) -> int:
        """Its number, 1 for the first."""
        return self.record.attempts + 1

    @asynccontextmanager
    async def finishing(self) -> AsyncIterator[WriteConnection]:
        """The transaction in which the task has its effect, once: it is done with it, or neither has happened.

        Raises `TaskLost` where another process has the task by now.
        """
        async with self._database.write() as connection:
            await self.mark_done(connection)
            yield connection

    async def mark_done(self, connection: WriteConnection) -> None:
        """Let the task be done with this transaction; raises `TaskLost`."""
        done = {"state": TaskState.DONE, "error": None, "finished_at": self._clock.now(), **_FREE}
        if not await repository.advance(connection, self.record.id, self._worker, done):
            raise TaskLost
        self._is_done = True

    async def run(self, handler: "Handler") -> None:
        """Do it. Whatever becomes of it stands in its row; a cancellation hands it back."""
        try:
            async with Tasks() as beside:
                beside.start(f"heartbeat of task {self.record.id}", self._beat(asyncio.current_task()))
                await self._attempt(handler)
        except TaskLost:
            _LOG.info("task %s, %s: another process has it", self.record.id, self.record.kind)
        except asyncio.CancelledError:
            if self._is_lost and (task := asyncio.current_task()) is not None and not task.uncancel():
                return
            await self.put_back()
            raise
        except Exception as error:  # noqa: BLE001 - it stands in the row
            await self._fail(error)

    async def put_back(self, after: timedelta = timedelta(0)) -> None:
        """Let anybody take it, in a while; this attempt does not count."""
        await self._end(TaskState.QUEUED, {"attempts": self.record.attempts, "run_after": self._clock.now() + after})

    async def _attempt(self, handler: "Handler") -> None:
        if self.record.attempts >= MOST_ATTEMPTS:
            await self._park(DIED)
            return
        with job(f"task {self.record.kind}", self.record.traceparent):
            await handler(self)
        if not self._is_done:
            async with self.finishing():
                pass

    async def _fail(self, error: Exception) -> None:
        if isinstance(error, Refusal) and error.retry_after is not None:
            await self.put_back(error.retry_after)
            return
        _LOG.exception("task %s, %s: attempt %d failed", self.record.id, self.record.kind, self.attempt)
        if self.attempt >= MOST_ATTEMPTS:
            await self._park(told(error))
        else:
            later = {"run_after": self._clock.now() + pause(self.attempt), "error": told(error)}
            await self._end(TaskState.QUEUED, later)

    async def _park(self, error: str) -> None:
        _LOG.error("task %s, %s: parked after %d attempts", self.record.id, self.record.kind, self.record.attempts)
        parked = {"error": error, "finished_at": self._clock.now()}
        await self._end(TaskState.PARKED, parked)

    async def _end(self, state: TaskState, values: Mapping[str, Any]) -> None:
        async with self._database.write() as connection:
            await repository.advance(connection, self.record.id, self._worker, {"state": state, **_FREE, **values})

    async def _beat(self, work: asyncio.Task[Any] | None) -> None:
        """Prolong the lease; end the work where it is lost."""
        while True:
            await asyncio.sleep(LEASE.total_seconds() / 3)
            until = {"claimed_until": self._clock.now() + LEASE}
            async with self._database.write() as connection:
                is_mine = await repository.advance(connection, self.record.id, self._worker, until)
            if not is_mine:
                if work is not None and not self._is_done:
                    self._is_lost = True
                    work.cancel()
                return


Handler = Callable[[TaskRun], Awaitable[object]]
"""Does tasks of a kind. What must happen once belongs in `TaskRun.finishing`, or where `mark_done` is called; all else
may happen twice. Returning, it is done; a refusal that says when to come back is followed, any other error counts."""

_FREE: Final = {"claimed_by": None, "claimed_until": None}


class TaskRunner:
    """Claims tasks of the kinds that it has handlers for."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self.handlers: dict[str, Handler] = {}
        self._database = database
        self._clock = clock

    def waiting(self, now: datetime) -> Exists:
        """Whether `claim` would find a task, in SQL."""
        return repository.waiting(self.handlers, now)

    async def claim(self) -> Coroutine[Any, Any, None] | None:
        """Claim the next task, and give what runs it; None where there is none."""
        now, worker = self._clock.now(), Worker(str(uuid7()))
        async with self._database.read() as connection:
            if not await connection.scalar(select(self.waiting(now))):
                return None
        async with self._database.write() as connection:
            record = await repository.claim(connection, self.handlers, worker, now, now + LEASE)
        if record is None:
            return None
        return TaskRun(self._database, self._clock, record, worker).run(self.handlers[record.kind])
