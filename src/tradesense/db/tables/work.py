"""What is to be done in the background, and when what is done again and again is due."""

from enum import StrEnum
from typing import Any

from sqlalchemy import Column, Index, Integer, Table, Text, TypedColumns, text

from tradesense.db.tables.schema import metadata, optional
from tradesense.db.types import Document, Identifier, UtcDateTime, Word


class TaskState(StrEnum):
    """Where a task stands. `PARKED` has failed too often, and waits for an administrator."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    PARKED = "parked"


class TaskColumns(TypedColumns):
    """One task: the queue of record. `subject` is what it is about, an id as text, or nothing.

    `run_after` is when it may begin; `claimed_until` is the lease of the process that runs it, past which another takes
    over. `attempts` have begun. `error` is why the last one failed, without secrets. `traceparent` is whose trace it
    belongs to (W3C).
    """

    id = Column(Identifier, primary_key=True)
    kind = Column(Text, nullable=False)
    subject = Column(Text, nullable=False, server_default=text("''"))
    payload: Column[dict[str, Any]] = Column(Document, nullable=False)
    state: Column[TaskState] = Column(Word(TaskState), nullable=False)
    attempts = Column(Integer, nullable=False, server_default="0")
    run_after = Column(UtcDateTime, nullable=False)
    claimed_by = optional(Text)
    claimed_until = optional(UtcDateTime)
    error = optional(Text)
    traceparent = optional(Text)
    created_at = Column(UtcDateTime, nullable=False)
    finished_at = optional(UtcDateTime)


class ScheduleColumns(TypedColumns):
    """When a piece of work that is done again and again is due next."""

    name = Column(Text, primary_key=True)
    due_at = Column(UtcDateTime, nullable=False)


tasks = Table("tasks", metadata, TaskColumns, Index(None, "state", "run_after"), Index(None, "kind", "subject"))
schedules = Table("schedules", metadata, ScheduleColumns)
