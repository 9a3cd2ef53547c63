"""Sessions for good, in SQL. What begins a session or ends a token leaves a row in the outbox."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.sql.elements import ColumnElement

from keel.clock import Clock
from keel.ids import uuid7
from keel.sessions.contract import Kept, Lifetimes, Session, SessionExpired, SessionUnknown, Subject
from tradesense.db import outbox
from tradesense.db.engine import Database, WriteConnection, Writing
from tradesense.db.tables import sessions, users

_KNOWN: Final = ("ip", "user_agent")


class SqlSessions:
    """`keel.sessions.contract.DurableSessions` in the `sessions` table; what has ended stays there until it expires.

    The database's `after_commit` has copies forgotten.
    """

    def __init__(self, database: Database, clock: Clock, lifetimes: Lifetimes) -> None:
        self._database = database
        self._clock = clock
        self._lifetimes = lifetimes

    async def add(self, token_hash: bytes, user_id: Subject, data: Mapping[str, str]) -> Kept:
        """Keep a new session; the user's oldest ones end where they have too many."""
        user, now = _uuid(user_id), self._clock.now()
        known = {name: data[name] for name in _KNOWN if name in data}
        kept = Kept.begun(token_hash, str(uuid7()), str(user), known, self._lifetimes, now)
        row = {
            "id": UUID(kept.session.id),
            "user_id": user,
            "token_hash": token_hash,
            "ip": known.get("ip"),
            "user_agent": known.get("user_agent"),
            "created_at": now,
            "last_seen_at": now,
            "expires_at": kept.session.expires_at,
            "absolute_expires_at": kept.ends_at,
        }
        async with self._database.write() as connection:
            await self._make_room(connection, user, now)
            await connection.execute(insert(sessions).values(row))
            await outbox.record_begun(connection, user)
        return kept

    async def _make_room(self, connection: WriteConnection, user: UUID, now: datetime) -> None:
        # Who begins a session has the user to themselves, or two that begin at once would not count each other.
        await connection.execute(select(users.c.id).where(users.c.id == user).with_for_update(key_share=True))
        newest = (
            select(sessions.c.id)
            .where(_alive(now), sessions.c.user_id == user)
            .order_by(sessions.c.last_seen_at.desc(), sessions.c.id.desc())
            .limit(self._lifetimes.per_user - 1)
        )
        await _revoke(connection, user, sessions.c.id.not_in(newest), now=now)

    async def find(self, token_hash: bytes) -> Kept:
        """The session of a token; raises `SessionUnknown` or `SessionExpired`."""
        now = self._clock.now()
        async with self._database.read() as connection:
            query = select(sessions).where(sessions.c.token_hash == token_hash)
            row = (await connection.execute(query)).one_or_none()
        if row is None:
            raise SessionUnknown
        if row.revoked_at is not None or row.expires_at <= now:
            raise SessionExpired
        return _kept(row, now)

    async def use(self, token_hash: bytes) -> Kept:
        """As `find`, and write the use down, at most once per `Lifetimes.check`, never bringing back what has ended."""
        kept = await self.find(token_hash)
        now, last = kept.checked_at, kept.session.last_seen_at
        if now - last < self._lifetimes.check:
            return kept
        used = kept.used(now, self._lifetimes)
        times = {"last_seen_at": now, "expires_at": used.session.expires_at}
        since_then = _alive(now) & (sessions.c.token_hash == token_hash) & (sessions.c.last_seen_at == last)
        async with self._database.write() as connection:
            noted = await connection.execute(update(sessions).where(since_then).values(times))
        return used if noted.rowcount else await self.find(token_hash)

    async def rotate(self, old: bytes, new: bytes) -> Kept:
        """Let the session have another token; raises `SessionUnknown`."""
        now = self._clock.now()
        query = update(sessions).where(sessions.c.token_hash == old, _alive(now)).values(token_hash=new)
        async with self._database.write() as connection:
            row = (await connection.execute(query.returning(sessions))).one_or_none()
            if row is None:
                raise SessionUnknown
            await outbox.record_ended(connection, row.user_id, [old])
        return _kept(row, now)

    async def end(self, user_id: Subject, *, only: str | None = None, but: str | None = None) -> int:
        """End the user's sessions, and say how many."""
        chosen: list[ColumnElement[bool]] = []
        if only is not None:
            chosen.append(sessions.c.id == UUID(only))
        if but is not None:
            chosen.append(sessions.c.id != UUID(but))
        async with self._database.write() as connection:
            return len(await _revoke(connection, _uuid(user_id), *chosen, now=self._clock.now()))

    async def of_user(self, user_id: Subject) -> list[Kept]:
        """The user's living sessions, newest use first."""
        now = self._clock.now()
        query = select(sessions).where(_alive(now), sessions.c.user_id == _uuid(user_id))
        async with self._database.read() as connection:
            rows = await connection.execute(query.order_by(sessions.c.last_seen_at.desc(), sessions.c.id.desc()))
        return [_kept(row, now) for row in rows]

    async def forget_expired(self, write: Writing) -> int:
        """Drop sessions that can never come back, and say how many."""
        async with write() as connection:
            ended = delete(sessions).where(sessions.c.expires_at <= self._clock.now())
            return (await connection.execute(ended)).rowcount


def _uuid(user_id: Subject) -> UUID:
    return user_id if isinstance(user_id, UUID) else UUID(str(user_id))


def _alive(now: datetime) -> ColumnElement[bool]:
    return sessions.c.revoked_at.is_(None) & (sessions.c.expires_at > now)


async def _revoke(
    connection: WriteConnection, user: UUID, *chosen: ColumnElement[bool], now: datetime
) -> Collection[bytes]:
    ended = update(sessions).where(_alive(now), sessions.c.user_id == user, *chosen).values(revoked_at=now)
    hashes = list(await connection.scalars(ended.returning(sessions.c.token_hash)))
    if hashes:
        await outbox.record_ended(connection, user, hashes)
    return hashes


def _kept(row: Row[Any], now: datetime) -> Kept:
    data = {name: value for name in _KNOWN if (value := getattr(row, name)) is not None}
    session = Session(str(row.id), str(row.user_id), row.created_at, row.last_seen_at, row.expires_at, data)
    return Kept(row.token_hash, session, row.absolute_expires_at, now)
