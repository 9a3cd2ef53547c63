"""Files that came in and what became of them: kept files, the queue of imports, and saved column mappings."""

from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    TypedColumns,
    UniqueConstraint,
)

from tradesense.db.tables.schema import metadata, optional
from tradesense.db.types import Document, Identifier, UtcDateTime, Word


class ImportStatus(StrEnum):
    """Where an import stands."""

    QUEUED = "queued"
    RUNNING = "running"
    NEEDS_INPUT = "needs_input"
    DONE = "done"
    FAILED = "failed"


class FileColumns(TypedColumns):
    """A kept file, named by the SHA-256 of its bytes (hexadecimal); immutable."""

    sha256 = Column(Text, primary_key=True)
    size = Column(BigInteger, nullable=False)
    created_at = Column(UtcDateTime, nullable=False)


class ImportColumns(TypedColumns):
    """One upload: the queue of record, its options, counters and findings.

    `account_id` is the account that was asked for, `accounts` the ids of those it went into. `claimed_until` is the
    lease of the worker that runs it; past it, another takes over. `options` is what the person said (timezone, date,
    date_order, mapping, skip_errors, suspected_duplicates). `traceparent` is whose trace it belongs to (W3C).
    """

    id = Column(Identifier, primary_key=True)
    user_id = Column(Identifier, ForeignKey("users.id", ondelete="CASCADE"), nullable=False)
    account_id = optional(Identifier, ForeignKey("accounts.id", ondelete="SET NULL"))
    sha256 = Column(Text, ForeignKey("files.sha256"), nullable=False, index=True)
    file_name = Column(Text, nullable=False)
    status: Column[ImportStatus] = Column(Word(ImportStatus), nullable=False)
    broker = optional(Text)
    format = optional(Text)
    options: Column[dict[str, Any]] = Column(Document, nullable=False)
    accounts: Column[list[str]] = Column(Document, nullable=False)
    zone = optional(Text)
    rows = Column(Integer, nullable=False, server_default="0")
    imported = Column(Integer, nullable=False, server_default="0")
    executions = Column(Integer, nullable=False, server_default="0")
    duplicates = Column(Integer, nullable=False, server_default="0")
    cash = Column(Integer, nullable=False, server_default="0")
    ignored: Column[list[dict[str, Any]]] = Column(Document, nullable=False)
    errors: Column[list[dict[str, Any]]] = Column(Document, nullable=False)
    error_count = Column(Integer, nullable=False, server_default="0")
    warnings: Column[list[str]] = Column(Document, nullable=False)
    questions: Column[list[dict[str, Any]]] = Column(Document, nullable=False)
    percent = Column(Float, nullable=False, server_default="0")
    attempts = Column(Integer, nullable=False, server_default="0")
    claimed_by = optional(Text)
    claimed_until = optional(UtcDateTime)
    traceparent = optional(Text)
    created_at = Column(UtcDateTime, nullable=False)
    started_at = optional(UtcDateTime)
    finished_at = optional(UtcDateTime)
    deleted_at = optional(UtcDateTime)


class MappingColumns(TypedColumns):
    """A column mapping that a user gave for files with a certain header; `header` is its fingerprint."""

    id = Column(Identifier, primary_key=True)
    user_id = Column(Identifier, ForeignKey("users.id", ondelete="CASCADE"), nullable=False)
    header = Column(Text, nullable=False)
    mapping: Column[dict[str, str]] = Column(Document, nullable=False)
    created_at = Column(UtcDateTime, nullable=False)


files = Table("files", metadata, FileColumns)
imports = Table(
    "imports", metadata, ImportColumns, Index(None, "user_id", "created_at"), Index(None, "status", "claimed_until")
)
mappings = Table("mappings", metadata, MappingColumns, UniqueConstraint("user_id", "header"))
