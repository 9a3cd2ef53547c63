"""What was written, for those who keep copies of answers and of sessions: a row per committed write, or end."""

from typing import Any

from sqlalchemy import BigInteger, Column, Index, Table, TypedColumns, literal_column
from sqlalchemy.sql.elements import ColumnElement

from tradesense.db.tables.schema import metadata, optional
from tradesense.db.types import Document, Identifier, UtcDateTime, Word, serial
from tradesense.db.writes import Touches


class OutboxColumns(TypedColumns):
    """A write of a user's data, which made their `version`, by the instance `origin`. Outlives the user.

    `accounts` are the ids of the accounts that it concerned; NULL is all of them. `done_at` is when the copies of what
    was there before had been thrown away. `xid` is PostgreSQL's transaction id: rows become visible in no order there,
    and a snapshot tells by it which ones it shows. On SQLite, where they do in the order of `id`, it is NULL.
    `ended` are the hashes (hex) of the session tokens that the transaction ended. `published` and `import_end` are what
    is told beside that: generations of accounts ([id, number]), and how an import ended.
    """

    id = Column(serial(), primary_key=True)
    xid = optional(BigInteger, index=True)
    user_id = Column(Identifier, nullable=False)
    version = Column(BigInteger, nullable=False)
    accounts: Column[list[str] | None] = Column(Document, nullable=True)
    touches: Column[Touches] = Column(Word(Touches), nullable=False, server_default=Touches.LEDGER.value)
    origin = Column(Identifier, nullable=False)
    ended: Column[list[str] | None] = Column(Document, nullable=True)
    published: Column[list[tuple[str, int]] | None] = Column(Document, nullable=True)
    import_end: Column[dict[str, Any] | None] = Column(Document, nullable=True)
    created_at = Column(UtcDateTime, nullable=False)
    done_at = optional(UtcDateTime, index=True)


def undone() -> ColumnElement[bool]:
    """The condition of the partial index over writes whose copies may still be about."""
    return literal_column("done_at").is_(None)


outbox = Table(
    "outbox",
    metadata,
    OutboxColumns,
    Index("ix_outbox_undone", "id", sqlite_where=undone(), postgresql_where=undone()),
    sqlite_autoincrement=True,  # an id that was forgotten is never given again
)
