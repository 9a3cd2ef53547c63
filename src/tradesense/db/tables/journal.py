"""What a person wrote: annotations that hang on executions, tags, playbooks and the journal of days."""

from typing import Any

from sqlalchemy import Column, Date, ForeignKey, Index, Integer, Table, Text, TypedColumns, UniqueConstraint, text

from tradesense.db.tables.schema import metadata, optional
from tradesense.db.types import Document, ExactDecimal, Identifier, UtcDateTime


class PlaybookColumns(TypedColumns):
    """A named way of trading, with its rules."""

    id = Column(Identifier, primary_key=True)
    user_id = Column(Identifier, ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True)
    name = Column(Text, nullable=False)
    description = Column(Text, nullable=False, server_default=text("''"))
    rules: Column[list[str]] = Column(Document, nullable=False)
    version = Column(Integer, nullable=False, server_default="1")
    created_at = Column(UtcDateTime, nullable=False)
    updated_at = Column(UtcDateTime, nullable=False)
    deleted_at = optional(UtcDateTime)


class TagColumns(TypedColumns):
    """A label a user puts on trades."""

    id = Column(Identifier, primary_key=True)
    user_id = Column(Identifier, ForeignKey("users.id", ondelete="CASCADE"), nullable=False)
    name = Column(Text, nullable=False)
    created_at = Column(UtcDateTime, nullable=False)


class AnnotationColumns(TypedColumns):
    """What was written about a trade, on its anchor execution; where that is gone it is an orphan."""

    execution_id = Column(Identifier, primary_key=True)
    user_id = Column(Identifier, ForeignKey("users.id", ondelete="CASCADE"), nullable=False)
    account_id = Column(Identifier, ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False, index=True)
    notes = optional(Text)
    playbook_id = optional(Identifier, ForeignKey("playbooks.id", ondelete="SET NULL"), index=True)
    rating = optional(Integer)
    initial_risk = optional(ExactDecimal)
    mistakes: Column[list[str]] = Column(Document, nullable=False)
    version = Column(Integer, nullable=False, server_default="1")
    updated_at = Column(UtcDateTime, nullable=False)


class AnnotationTagColumns(TypedColumns):
    """A tag on an annotated execution."""

    execution_id = Column(Identifier, ForeignKey("annotations.execution_id", ondelete="CASCADE"), primary_key=True)
    tag_id = Column(Identifier, ForeignKey("tags.id", ondelete="CASCADE"), primary_key=True, index=True)


class JournalColumns(TypedColumns):
    """One day's entry."""

    user_id = Column(Identifier, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    date = Column(Date, primary_key=True)
    content: Column[dict[str, Any]] = Column(Document, nullable=False)
    version = Column(Integer, nullable=False, server_default="1")
    updated_at = Column(UtcDateTime, nullable=False)


playbooks = Table("playbooks", metadata, PlaybookColumns)
tags = Table("tags", metadata, TagColumns, UniqueConstraint("user_id", "name"))
annotations = Table("annotations", metadata, AnnotationColumns, Index(None, "user_id"))
annotation_tags = Table("annotation_tags", metadata, AnnotationTagColumns)
journal_entries = Table("journal_entries", metadata, JournalColumns)
