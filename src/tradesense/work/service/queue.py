"""The queue of tasks: adding to it, and what an administrator sees of it and does with it."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from keel.clock import Clock
from keel.errors import Conflict, NotFound
from keel.ids import uuid7
from tradesense.db.engine import Database, WriteConnection, Writing
from tradesense.db.tables import TaskState
from tradesense.http.authentication import Principal
from tradesense.security.repository.users import record
from tradesense.work import repository
from tradesense.work.repository import TaskRecord
from tradesense.work.service.tracing import traceparent

KEPT: Final = timedelta(days=2)
"""How long tasks stay once they are done."""

Wake = Callable[[UUID], None]
"""Tells whoever runs tasks that there is one, by its id; does not wait, and may be lost."""


class TaskNotFound(NotFound):
    """There is no such task."""

    def __init__(self) -> None:
        super().__init__("There is no such task; those that are done are forgotten after two days.")


class TaskNotParked(Conflict):
    """The task is waiting, running or done: nobody needs to have it tried again."""

    def __init__(self) -> None:
        super().__init__("The task is not parked.")


class TaskQueue:
    """What is to be done, in SQL; `wake` tells whoever does it."""

    def __init__(self, database: Database, clock: Clock, wake: Wake) -> None:
        self._database = database
        self._clock = clock
        self._wake = wake

    async def add(self, kind: str, subject: str = "", payload: Mapping[str, Any] | None = None) -> UUID | None:
        """Queue a task; None where one of its kind about the same waits already, which will see all of this one's."""
        async with self._database.write() as connection:
            if await repository.is_queued(connection, kind, subject):
                return None
            task_id = await enqueue(connection, self._clock.now(), kind, subject, payload)
        self._wake(task_id)
        return task_id

    async def park(self, connection: WriteConnection, kind: str, subject: str, attempts: int, error: str) -> None:
        """Show administrators, from this transaction on, what was given up elsewhere; retried, it is a task."""
        now = self._clock.now()
        given_up = {"state": TaskState.PARKED, "attempts": attempts, "error": error, "finished_at": now}
        await enqueue(connection, now, kind, subject, more=given_up)

    async def page(
        self, state: TaskState | None, after: tuple[datetime, UUID] | None, limit: int
    ) -> Sequence[TaskRecord]:
        """Tasks in a state, or all, the newest first."""
        async with self._database.read() as connection:
            return await repository.page(connection, state, after, limit)

    async def retry(self, task_id: UUID, admin: Principal, ip: str | None) -> TaskRecord:
        """Let a parked task be tried again, as often as a new one; raises `TaskNotFound`, `TaskNotParked`."""
        async with self._database.write() as connection:
            now = self._clock.now()
            is_queued = await repository.unpark(connection, task_id, now)
            found = await repository.find(connection, task_id)
            if found is None:
                raise TaskNotFound
            if not is_queued:
                raise TaskNotParked
            details = {"kind": found.kind, "subject": found.subject}
            await record(
                connection, now, "task.retried", user=admin.user_id, subject=str(task_id), ip=ip, details=details
            )
        self._wake(task_id)
        return found

    async def forget_done(self, write: Writing) -> int:
        """Drop tasks that have been done for two days, and say how many."""
        async with write() as connection:
            return await repository.erase_done(connection, self._clock.now() - KEPT)


async def enqueue(
    connection: WriteConnection,
    now: datetime,
    kind: str,
    subject: str = "",
    payload: Mapping[str, Any] | None = None,
    *,
    more: Mapping[str, Any] | None = None,
) -> UUID:
    """Add a task with this transaction; gives its id, by which to wake whoever runs tasks once it is committed."""
    task_id = uuid7()
    row: dict[str, Any] = {
        "id": task_id,
        "kind": kind,
        "subject": subject,
        "payload": dict(payload or {}),
        "state": TaskState.QUEUED,
        "run_after": now,
        "traceparent": traceparent(),
        "created_at": now,
    }
    await repository.add(connection, row | dict(more or {}))
    return task_id
