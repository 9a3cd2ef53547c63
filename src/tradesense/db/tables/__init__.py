"""All tables, by their names."""

from tradesense.db.tables.accounts import accounts, books, instrument_aliases, instruments
from tradesense.db.tables.business import business_days
from tradesense.db.tables.fences import fences
from tradesense.db.tables.identity import KeyScope, Role, api_keys, audit, idempotency, sessions, users
from tradesense.db.tables.imports import ImportStatus, files, imports, mappings
from tradesense.db.tables.journal import annotation_tags, annotations, journal_entries, playbooks, tags
from tradesense.db.tables.ledger import (
    cash_movements,
    cash_sources,
    execution_sources,
    executions,
    segments,
    trades,
)
from tradesense.db.tables.outbox import outbox
from tradesense.db.tables.schema import FOREVER, metadata
from tradesense.db.tables.work import TaskState, schedules, tasks

__all__ = [
    "FOREVER",
    "ImportStatus",
    "KeyScope",
    "Role",
    "TaskState",
    "accounts",
    "annotation_tags",
    "annotations",
    "api_keys",
    "audit",
    "books",
    "business_days",
    "cash_movements",
    "cash_sources",
    "execution_sources",
    "executions",
    "fences",
    "files",
    "idempotency",
    "imports",
    "instrument_aliases",
    "instruments",
    "journal_entries",
    "mappings",
    "metadata",
    "outbox",
    "playbooks",
    "schedules",
    "segments",
    "sessions",
    "tags",
    "tasks",
    "trades",
    "users",
]
