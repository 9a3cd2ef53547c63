"""Who uses the instance: users, their sessions, the audit trail and remembered answers to repeated requests."""

from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, Table, Text, TypedColumns

from tradesense.db.tables.schema import metadata, optional
from tradesense.db.types import Document, Identifier, UtcDateTime, Word, serial


class Role(StrEnum):
    """What a user may do."""

    USER = "user"
    ADMIN = "admin"


class KeyScope(StrEnum):
    """What an API key may do for its user."""

    READ = "read"
    WRITE = "write"


class UserColumns(TypedColumns):
    """A person. `email` is normalised; `data_version` rises with every write of their data, in its transaction.

    `ledger_version` and `labels_version` are the versions that the last writes have made which touched those.
    """

    id = Column(Identifier, primary_key=True)
    email = Column(Text, nullable=False, unique=True)
    password_hash = Column(Text, nullable=False)
    role: Column[Role] = Column(Word(Role), nullable=False, server_default=Role.USER.value)
    timezone = Column(Text, nullable=False, server_default="UTC")
    currency = Column(Text, nullable=False, server_default="USD")
    data_version = Column(BigInteger, nullable=False, server_default="0")
    ledger_version = Column(BigInteger, nullable=False, server_default="0")
    labels_version = Column(BigInteger, nullable=False, server_default="0")
    disabled_at = optional(UtcDateTime)
    created_at = Column(UtcDateTime, nullable=False)


class SessionColumns(TypedColumns):
    """One login. Only the hash of its token is stored; `expires_at` slides with use, up to `absolute_expires_at`."""

    id = Column(Identifier, primary_key=True)
    user_id = Column(Identifier, ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True)
    token_hash = Column(LargeBinary, nullable=False, unique=True)
    ip = optional(Text)
    user_agent = optional(Text)
    created_at = Column(UtcDateTime, nullable=False)
    last_seen_at = Column(UtcDateTime, nullable=False)
    expires_at = Column(UtcDateTime, nullable=False, index=True)
    absolute_expires_at = Column(UtcDateTime, nullable=False)
    revoked_at = optional(UtcDateTime)


class ApiKeyColumns(TypedColumns):
    """A token that lasts. Only its hash is stored; `expires_at` may be never."""

    id = Column(Identifier, primary_key=True)
    user_id = Column(Identifier, ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True)
    token_hash = Column(LargeBinary, nullable=False, unique=True)
    name = Column(Text, nullable=False)
    scope: Column[KeyScope] = Column(Word(KeyScope), nullable=False)
    created_at = Column(UtcDateTime, nullable=False)
    expires_at = optional(UtcDateTime)
    last_used_at = optional(UtcDateTime)


class AuditColumns(TypedColumns):
    """Who did what, when and from where; never changed. `user_id` outlives the user."""

    id = Column(serial(), primary_key=True)
    at = Column(UtcDateTime, nullable=False)
    user_id = optional(Identifier)
    action = Column(Text, nullable=False)
    subject = optional(Text)
    ip = optional(Text)
    details: Column[dict[str, Any] | None] = Column(Document, nullable=True)


class IdempotencyColumns(TypedColumns):
    """The answer that a request with an `Idempotency-Key` got; `status` is null while it is being worked on."""

    user_id = Column(Identifier, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    key = Column(Text, primary_key=True)
    request_hash = Column(LargeBinary, nullable=False)
    status = optional(Integer)
    headers: Column[dict[str, str] | None] = Column(Document, nullable=True)
    answer = optional(LargeBinary)
    created_at = Column(UtcDateTime, nullable=False, index=True)


users = Table("users", metadata, UserColumns)
sessions = Table("sessions", metadata, SessionColumns)
api_keys = Table("api_keys", metadata, ApiKeyColumns)
audit = Table("audit", metadata, AuditColumns, Index(None, "user_id", "at"))
idempotency = Table("idempotency", metadata, IdempotencyColumns)
