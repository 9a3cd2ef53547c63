"""What the journal's endpoints take and give."""

from datetime import date, datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field

from tradesense.http.types import Body, Line, Money, Text, View
from tradesense.journal.repository import Annotation, Day, Playbook, Tag

Label = Annotated[
    str,
    Field(
        min_length=1,
        max_length=64,
        pattern=r"^[^\u0000-\u001f\u007f\s]([^\u0000-\u001f\u007f]*[^\u0000-\u001f\u007f\s])?$",
    ),
]
"""A tag or the name of a mistake: a few words without spaces around them."""

Rating = Annotated[int, Field(ge=1, le=5, examples=[4])]
"""How well something was done, from 1 to 5."""


class Annotations(View):
    """What is written about a trade."""

    notes: str | None
    tags: list[str]
    playbook: str | None
    playbook_id: UUID | None
    rating: int | None
    initial_risk: Money | None
    mistakes: list[str]


class Orphan(Annotations):
    """What was written about a trade whose execution is gone; it is kept until it is taken up again."""

    execution_id: UUID
    account_id: UUID
    updated_at: datetime

    @classmethod
    def of(cls, annotation: Annotation) -> Self:
        """An annotation without a trade."""
        return cls(
            **annotations_view(annotation),
            execution_id=annotation.execution_id,
            account_id=annotation.account_id,
            updated_at=annotation.updated_at,
        )


def annotations_view(annotation: Annotation | None) -> dict[str, object]:
    """The members of `Annotations`; those of a trade about which nothing is written are empty."""
    if annotation is None:
        names = Annotations.model_fields
        return {name: [] if name in {"tags", "mistakes"} else None for name in names}
    return {
        "notes": annotation.notes,
        "tags": list(annotation.tags),
        "playbook": annotation.playbook,
        "playbook_id": annotation.playbook_id,
        "rating": annotation.rating,
        "initial_risk": annotation.initial_risk,
        "mistakes": list(annotation.mistakes),
    }


class TagView(View):
    """A tag, and how many trades it was put on."""

    id: UUID
    name: str
    used: int

    @classmethod
    def of(cls, tag: Tag) -> Self:
        """A tag."""
        return cls(**tag._asdict())


class NewPlaybook(Body):
    """A way of trading to write down."""

    name: Line = Field(examples=["Opening range breakout"])
    description: Text = ""
    rules: list[Line] = Field(default=[], max_length=100, examples=[["Wait for the first 15 minutes", "Risk 1 R"]])


class PlaybookEdit(Body):
    """What to change of a playbook; what is left out stays."""

    name: Line | None = Field(default=None, examples=["Gap and go"])
    description: Text | None = None
    rules: list[Line] | None = Field(default=None, max_length=100)


class PlaybookView(View):
    """A way of trading."""

    id: UUID
    name: str
    description: str
    rules: list[str]
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, playbook: Playbook) -> Self:
        """A playbook."""
        members = playbook._asdict()
        del members["version"]
        return cls(**members)


class DayEdit(Body):
    """What to write about a day."""

    notes: Text = Field(examples=["Waited for my setups; one impulsive trade after lunch."])
    mood: Rating | None = None


class DayView(View):
    """What is written about a day."""

    date: date
    notes: str
    mood: int | None
    updated_at: datetime

    @classmethod
    def of(cls, day: Day) -> Self:
        """A day's entry."""
        return cls(date=day.date, notes=day.content["notes"], mood=day.content["mood"], updated_at=day.updated_at)
