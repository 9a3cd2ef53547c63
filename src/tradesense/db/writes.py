"""What a transaction notes of the data that it writes, and who hears of it once that is committed."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, NamedTuple, Protocol
from uuid import UUID

NOTES: Final = "tradesense.notes"
"""Where the `info` of a writing connection has the `Notes` of its transaction."""


class Touches(StrEnum):
    """What of a user's data a write changes, and so which answers."""

    LEDGER = "ledger"
    """Executions, trades, cash, accounts, settings: every answer."""
    LABELS = "labels"
    """What trades are labelled with, their risk and rating: answers that go by it."""
    NOTES = "notes"
    """What is written down, and no figure is made of."""
    TOKENS = "tokens"
    """Tokens that have ended, and none of the data."""
    NOTHING = "nothing"
    """No answer: an import has ended; else a session has begun."""


class Write(NamedTuple):
    """A write of a user's data by an instance: its row in the outbox, and the accounts it concerned; None is all.

    `ended` are the hashes of tokens that it ended, `version` is that of the data which it made. `published` are the
    generations of accounts that began with it, `import_end` is how an import ended with it.
    """

    id: int
    origin: UUID
    user_id: UUID
    accounts: Sequence[UUID] | None
    touches: Touches
    ended: Sequence[bytes] = ()
    version: int = 0
    published: Sequence[tuple[UUID, int]] = ()
    import_end: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Notes:
    """What one transaction of the instance `origin` writes."""

    origin: UUID
    writes: list[Write] = field(default_factory=list)
    published: list[tuple[UUID, int]] = field(default_factory=list)


class AfterCommit(Protocol):
    """Throws away the copies of what was there before a transaction."""

    def __call__(self, writes: Sequence[Write], *, is_certain: bool) -> asyncio.Task[None]:
        """Begin at once. Whoever waits for the task may be cancelled; it goes on.

        Not `is_certain`: the commit was cut short, and may come to pass later, or never.
        """
