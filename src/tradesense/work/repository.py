"""Tasks and schedules in SQL."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NewType
from uuid import UUID

from sqlalchemy import Exists, Select, and_, delete, exists, func, insert, or_, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.elements import ColumnElement

from tradesense.db.engine import ReadConnection, WriteConnection
from tradesense.db.tables import TaskState, schedules, tasks

Worker = NewType("Worker", str)
"""Who runs a task: a name that nobody else ever has, new for each attempt."""


@dataclass(frozen=True, slots=True)
class TaskRecord:
    """One task as its row has it; see `db.tables.work`."""

    id: UUID
    kind: str
    subject: str
    payload: Mapping[str, Any]
    state: TaskState
    attempts: int
    run_after: datetime
    claimed_by: Worker | None
    claimed_until: datetime | None
    error: str | None
    traceparent: str | None
    created_at: datetime
    finished_at: datetime | None


async def add(connection: WriteConnection, values: Mapping[str, Any]) -> None:
    """Add a task: `id`, `kind`, `subject`, `payload`, `state`, `run_after`, `created_at`, and what else is known."""
    await connection.execute(insert(tasks).values(dict(values)))


async def is_queued(connection: ReadConnection, kind: str, subject: str) -> bool:
    """Whether a task of this kind, about the same, has not begun yet."""
    same = and_(tasks.c.kind == kind, tasks.c.subject == subject)
    fresh = and_(same, tasks.c.state == TaskState.QUEUED, tasks.c.attempts == 0)
    return bool(await connection.scalar(select(exists().where(fresh))))


async def find(connection: ReadConnection, task_id: UUID) -> TaskRecord | None:
    """The task with this id."""
    return await _one(connection, select(tasks).where(tasks.c.id == task_id))


async def page(
    connection: ReadConnection, state: TaskState | None, after: tuple[datetime, UUID] | None, limit: int
) -> Sequence[TaskRecord]:
    """Tasks in a state, or all, the newest first."""
    chosen = select(tasks).order_by(tasks.c.created_at.desc(), tasks.c.id.desc()).limit(limit)
    if state is not None:
        chosen = chosen.where(tasks.c.state == state)
    if after is not None:
        chosen = chosen.where(tuple_(tasks.c.created_at, tasks.c.id) < after)
    return [_record(row) for row in await connection.execute(chosen)]


def waiting(kinds: Collection[str], now: datetime) -> Exists:
    """Whether `claim` would find something, in SQL."""
    return exists().where(_ready(kinds, now))


async def claim(
    connection: WriteConnection, kinds: Collection[str], worker: Worker, now: datetime, until: datetime
) -> TaskRecord | None:
    """Claim the task that has waited longest, or whose worker has died; None where there is none.

    The record is that of before: its `attempts` do not count this one.
    """
    ready = _ready(kinds, now)
    # Who comes at the same time takes the next one.
    chosen = select(tasks).where(ready).order_by(tasks.c.run_after, tasks.c.id).limit(1)
    found = await _one(connection, chosen.with_for_update(skip_locked=True))
    if found is None:
        return None
    taken = {"state": TaskState.RUNNING, "attempts": tasks.c.attempts + 1, "claimed_by": worker, "claimed_until": until}
    claimed = await connection.execute(update(tasks).where(tasks.c.id == found.id, ready).values(taken))
    return found if claimed.rowcount else None


async def advance(connection: WriteConnection, task_id: UUID, worker: Worker, values: Mapping[str, Any]) -> bool:
    """Set columns of a task that `worker` runs; False where it is not theirs any more."""
    mine = and_(tasks.c.id == task_id, tasks.c.claimed_by == worker, tasks.c.state == TaskState.RUNNING)
    return bool((await connection.execute(update(tasks).where(mine).values(dict(values)))).rowcount)


async def unpark(connection: WriteConnection, task_id: UUID, now: datetime) -> bool:
    """Queue a parked task anew; False where it is not parked."""
    parked = and_(tasks.c.id == task_id, tasks.c.state == TaskState.PARKED)
    again = {"state": TaskState.QUEUED, "attempts": 0, "run_after": now, "finished_at": None}
    return bool((await connection.execute(update(tasks).where(parked).values(again))).rowcount)


async def erase_done(connection: WriteConnection, before: datetime) -> int:
    """Forget tasks that were done before a time, and say how many."""
    old = and_(tasks.c.state == TaskState.DONE, tasks.c.finished_at < before)
    return (await connection.execute(delete(tasks).where(old))).rowcount


async def count_parked(connection: ReadConnection) -> int:
    """How many tasks wait for an administrator."""
    return await connection.scalar(select(func.count()).where(tasks.c.state == TaskState.PARKED)) or 0


async def oldest_ready(connection: ReadConnection, now: datetime) -> datetime | None:
    """Since when the task could have been begun that has waited longest; None where none waits."""
    waiting = and_(tasks.c.state == TaskState.QUEUED, tasks.c.run_after <= now)
    return await connection.scalar(select(func.min(tasks.c.run_after)).where(waiting))


async def due(connection: ReadConnection, names: Collection[str], now: datetime) -> list[tuple[str, datetime]]:
    """Which of these are due, and since when."""
    chosen = select(schedules.c.name, schedules.c.due_at)
    found = await connection.execute(chosen.where(schedules.c.name.in_(names), schedules.c.due_at <= now))
    return [(row.name, row.due_at) for row in found]


async def scheduled(connection: ReadConnection) -> Sequence[str]:
    """The names of everything that has a schedule."""
    return list(await connection.scalars(select(schedules.c.name)))


async def add_schedules(connection: WriteConnection, first: Mapping[str, datetime]) -> None:
    """Let things, by their names, be due for the first time, unless they have a schedule."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    rows = [{"name": name, "due_at": due_at} for name, due_at in sorted(first.items())]
    await connection.execute(dialect.insert(schedules).values(rows).on_conflict_do_nothing())


async def move_on(connection: WriteConnection, name: str, due_at: datetime, following: datetime) -> bool:
    """Let something be due at `following` that was due at `due_at`; False where somebody else has."""
    same = and_(schedules.c.name == name, schedules.c.due_at == due_at)
    return bool((await connection.execute(update(schedules).where(same).values(due_at=following))).rowcount)


def _ready(kinds: Collection[str], now: datetime) -> ColumnElement[bool]:
    waits = and_(tasks.c.state == TaskState.QUEUED, tasks.c.run_after <= now)
    was_left = and_(tasks.c.state == TaskState.RUNNING, tasks.c.claimed_until < now)
    return and_(tasks.c.kind.in_(sorted(kinds)), or_(waits, was_left))


async def _one(connection: ReadConnection, chosen: Select[Any]) -> TaskRecord | None:
    row = (await connection.execute(chosen)).one_or_none()
    return None if row is None else _record(row)


def _record(row: Any) -> TaskRecord:  # noqa: ANN401 - a row of tasks
    return TaskRecord(**row._mapping)  # noqa: SLF001 - its public name
