"""Users and the audit trail in SQL."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.elements import ColumnElement

from tradesense.db.engine import ReadConnection, WriteConnection
from tradesense.db.tables import Role, audit, sessions, users
from tradesense.http.authentication import UserId


@dataclass(frozen=True, slots=True)
class User:
    """A person who has an account with this instance."""

    id: UserId
    email: str
    password_hash: str
    role: Role
    timezone: str
    currency: str
    data_version: int
    ledger_version: int
    labels_version: int
    disabled_at: datetime | None
    created_at: datetime


async def find_user(connection: ReadConnection, user: UserId) -> User | None:
    """The user with this id."""
    return await _find(connection, users.c.id == user)


async def find_user_by_email(connection: ReadConnection, email: str) -> User | None:
    """The user with this (normalised) email address."""
    return await _find(connection, users.c.email == email)


async def _find(connection: ReadConnection, condition: ColumnElement[bool]) -> User | None:
    row = (await connection.execute(select(users).where(condition))).one_or_none()
    return None if row is None else User(**row._mapping)  # noqa: SLF001 - its public name


async def insert_user(connection: WriteConnection, user: User) -> bool:
    """Add a user; False where there is one with the same email address."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    row = {column.name: getattr(user, column.name) for column in users.columns}
    added = await connection.execute(dialect.insert(users).values(row).on_conflict_do_nothing())
    return added.rowcount == 1


async def update_user(connection: WriteConnection, user: UserId, values: Mapping[str, object]) -> None:
    """Set some columns of a user."""
    await connection.execute(update(users).where(users.c.id == user).values(dict(values)))


async def replace_password(connection: WriteConnection, user: UserId, old: str, new: str) -> bool:
    """Set the hash of a password; False where another has been set meanwhile, which stays."""
    condition = (users.c.id == user) & (users.c.password_hash == old)
    return (await connection.execute(update(users).where(condition).values(password_hash=new))).rowcount == 1


async def recently_active(connection: ReadConnection, limit: int) -> list[UserId]:
    """The users whose sessions were used last, the latest first."""
    seen = func.max(sessions.c.last_seen_at)
    query = select(sessions.c.user_id).group_by(sessions.c.user_id).order_by(seen.desc()).limit(limit)
    return [UserId(each) for each in await connection.scalars(query)]


async def record(
    connection: WriteConnection,
    at: datetime,
    action: str,
    *,
    user: UserId | None,
    subject: str | None = None,
    ip: str | None = None,
    details: Mapping[str, Any] | None = None,
) -> None:
    """Add a line to the audit trail."""
    row = {"at": at, "user_id": user, "action": action, "subject": subject, "ip": ip, "details": details or None}
    await connection.execute(insert(audit).values(row))
