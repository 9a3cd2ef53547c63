"""Users, sessions and the audit trail in SQL."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.elements import ColumnElement

from keel.clock import Clock
from keel.ids import uuid7
from keel.sessions.contract import (
    Lifetimes,
    Session,
    SessionExpired,
    SessionUnknown,
    Subject,
    new_token,
    token_hash,
)
from tradesense.db.engine import Database, ReadConnection, WriteConnection
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


async def replace_password(connection: WriteConnection, user: UserId, old: str, new: str) -> None:
    """Set the hash of a password, unless another has been set meanwhile."""
    condition = (users.c.id == user) & (users.c.password_hash == old)
    await connection.execute(update(users).where(condition).values(password_hash=new))


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


class SqlSessionStore:
    """`keel.sessions.contract.SessionStore` in the `sessions` table; a revoked session stays there until it expires."""

    def __init__(self, database: Database, clock: Clock, lifetimes: Lifetimes) -> None:
        self._database = database
        self._clock = clock
        self._lifetimes = lifetimes

    async def create_session(self, user_id: Subject, data: Mapping[str, str]) -> str:
        """Begin a session and return its token; the user's oldest ones end where they have too many."""
        token, now = new_token(), self._clock.now()
        row = {
            "id": uuid7(),
            "user_id": _uuid(user_id),
            "token_hash": token_hash(token),
            "ip": data.get("ip"),
            "user_agent": data.get("user_agent"),
            "created_at": now,
            "last_seen_at": now,
            "expires_at": now + min(self._lifetimes.idle, self._lifetimes.absolute),
            "absolute_expires_at": now + self._lifetimes.absolute,
        }
        async with self._database.write() as connection:
            await self._make_room(connection, _uuid(user_id), now)
            await connection.execute(insert(sessions).values(row))
        return token

    async def _make_room(self, connection: WriteConnection, user: UUID, now: datetime) -> None:
        newest = (
            select(sessions.c.id)
            .where(_alive(user, now))
            .order_by(sessions.c.last_seen_at.desc(), sessions.c.id.desc())
            .limit(self._lifetimes.per_user - 1)
        )
        await _revoke(connection, _alive(user, now) & sessions.c.id.not_in(newest), now)

    async def get(self, token: str) -> Session:
        """The session of a token; raises `SessionUnknown` or `SessionExpired`."""
        return _session(await self._row(token))

    async def _row(self, token: str) -> Row[Any]:
        async with self._database.read() as connection:
            query = select(sessions).where(sessions.c.token_hash == token_hash(token))
            row = (await connection.execute(query)).one_or_none()
        if row is None:
            raise SessionUnknown
        if row.revoked_at is not None or row.expires_at <= self._clock.now():
            raise SessionExpired
        return row

    async def touch(self, token: str) -> Session:
        """As `get`, and note the use: at most once per `Lifetimes.touch`, never bringing back one that has ended."""
        row = await self._row(token)
        now = self._clock.now()
        if now - row.last_seen_at < self._lifetimes.touch:
            return _session(row)
        expires_at = min(now + self._lifetimes.idle, row.absolute_expires_at)
        touched = (
            update(sessions)
            .where(sessions.c.id == row.id, sessions.c.revoked_at.is_(None), sessions.c.expires_at > now)
            .values(last_seen_at=now, expires_at=expires_at)
            .returning(sessions)
        )
        async with self._database.write() as connection:
            found = (await connection.execute(touched)).one_or_none()
        if found is None:
            raise SessionExpired
        return _session(found)

    async def rotate(self, token: str) -> str:
        """Give the session a new token and return it; the old one ends at once."""
        new, now = new_token(), self._clock.now()
        living = sessions.c.revoked_at.is_(None) & (sessions.c.expires_at > now)
        query = update(sessions).where(sessions.c.token_hash == token_hash(token), living)
        async with self._database.write() as connection:
            rotated = await connection.execute(query.values(token_hash=token_hash(new)))
        if rotated.rowcount == 0:
            raise SessionUnknown
        return new

    async def revoke(self, user_id: Subject, session_id: str) -> bool:
        """End one of the user's sessions; False where there is no such session (any more)."""
        return await self._end(user_id, sessions.c.id == UUID(session_id)) == 1

    async def revoke_others(self, user_id: Subject, session_id: str) -> int:
        """End all of the user's sessions but this one, and say how many."""
        return await self._end(user_id, sessions.c.id != UUID(session_id))

    async def invalidate_user_sessions(self, user_id: Subject) -> int:
        """End all of the user's sessions, and say how many."""
        return await self._end(user_id)

    async def _end(self, user_id: Subject, *conditions: ColumnElement[bool]) -> int:
        now = self._clock.now()
        condition = _alive(_uuid(user_id), now)
        for each in conditions:
            condition &= each
        async with self._database.write() as connection:
            return await _revoke(connection, condition, now)

    async def get_user_sessions(self, user_id: Subject) -> list[Session]:
        """The user's living sessions, newest use first."""
        query = select(sessions).where(_alive(_uuid(user_id), self._clock.now()))
        async with self._database.read() as connection:
            rows = await connection.execute(query.order_by(sessions.c.last_seen_at.desc(), sessions.c.id.desc()))
        return [_session(row) for row in rows]

    async def forget_expired(self) -> int:
        """Drop sessions that can never come back, and say how many."""
        async with self._database.write() as connection:
            ended = delete(sessions).where(sessions.c.expires_at <= self._clock.now())
            return (await connection.execute(ended)).rowcount


def _uuid(user_id: Subject) -> UUID:
    return user_id if isinstance(user_id, UUID) else UUID(str(user_id))


def _alive(user: UUID, now: datetime) -> ColumnElement[bool]:
    return (sessions.c.user_id == user) & sessions.c.revoked_at.is_(None) & (sessions.c.expires_at > now)


async def _revoke(connection: WriteConnection, condition: ColumnElement[bool], now: datetime) -> int:
    return (await connection.execute(update(sessions).where(condition).values(revoked_at=now))).rowcount


def _session(row: Row[Any]) -> Session:
    data = {"ip": row.ip, "user_agent": row.user_agent}
    return Session(
        id=str(row.id),
        user_id=str(row.user_id),
        created_at=row.created_at,
        last_seen_at=row.last_seen_at,
        expires_at=row.expires_at,
        data={name: value for name, value in data.items() if value is not None},
    )
