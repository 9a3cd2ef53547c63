"""Tasks as administrators see them."""

from typing import Self
from uuid import UUID

from pydantic import AwareDatetime, Field

from tradesense.db.tables import TaskState
from tradesense.http.types import View
from tradesense.work.repository import TaskRecord


class TaskView(View):
    """A task of the background."""

    id: UUID
    kind: str = Field(description="What is done.", examples=["rebuild"])
    subject: str = Field(description="What it is about, an id for the most part; may be empty.")
    state: TaskState = Field(description="A parked task has failed too often, and waits for somebody to retry it.")
    attempts: int = Field(description="How often it was begun.")
    error: str | None = Field(description="Why the last attempt failed, without what looks like a secret.")
    run_after: AwareDatetime = Field(description="When it may begin.")
    created_at: AwareDatetime
    finished_at: AwareDatetime | None = Field(description="When it was done, or parked.")

    @classmethod
    def of(cls, record: TaskRecord) -> Self:
        """The view of a record."""
        return cls(**{name: getattr(record, name) for name in cls.model_fields})
