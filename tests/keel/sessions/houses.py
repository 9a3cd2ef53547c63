"""Processes that have sessions, opened as the product opens them, with or without a database and a server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import insert

from keel.clock import Clock
from keel.ids import uuid7
from keel.opening import Keel
from keel.sessions.assembly import SessionOptions
from keel.sessions.contract import Lifetimes
from keel.sessions.store import Sessions
from tests.application import Hands
from tests.tradesense.db.copies import until
from tradesense.db.engine import Database
from tradesense.db.invalidation import Invalidations
from tradesense.db.replay import OutboxReplay
from tradesense.db.tables import users
from tradesense.security.repository.sessions import SqlSessions
from tradesense.wiring import Copies

GRACE = timedelta(seconds=5)


@dataclass
class House:
    """One process. `reads` counts what its durable store in SQL was asked."""

    keel: Keel
    namespace: str
    database: Database | None = None
    replay: OutboxReplay | None = None
    asked: list[str] = field(default_factory=list)

    @property
    def sessions(self) -> Sessions:
        return self.keel.sessions

    async def user(self) -> UUID:
        """Somebody to have sessions."""
        user = uuid7()
        if self.database is not None:
            at = datetime(2026, 1, 1, tzinfo=UTC)
            row = {"id": user, "email": f"{user}@example.com", "password_hash": "x", "created_at": at}
            async with self.database.write() as connection:
                await connection.execute(insert(users).values(row))
        return user

    async def everything(self) -> list[bytes]:
        """All that is written anywhere."""
        found = []
        if self.database is not None:
            async with self.database.read() as connection:
                rows = (await connection.exec_driver_sql("SELECT * FROM sessions")).all()
            found += [each if isinstance(each, bytes) else str(each).encode() for row in rows for each in row]
        if self.keel.redis is not None:
            keys = await self.keel.redis.call("KEYS", f"{self.namespace}:*:s:*")
            assert isinstance(keys, list)
            found += [each for each in keys if isinstance(each, bytes)]
            found += [each for each in await self.keel.redis.read_many([*found[-len(keys) :]]) if each] if keys else []
        if self.keel.redis is None and self.database is None:
            found += [repr(vars(self.sessions._store)).encode(), *self.sessions._store._sessions]  # type: ignore[attr-defined]
        return found

    async def is_live(self) -> None:
        """Wait until copies in memory are used."""
        await until(lambda: self.sessions.is_coherent)


@asynccontextmanager
async def opened(
    database_url: str | None,
    redis_url: str | None,
    namespace: str,
    clock: Clock | None = None,
    lifetimes: Lifetimes | None = None,
    *,
    wait: bool = True,
) -> AsyncIterator[House]:
    """One process, as `tradesense.wiring` puts it together; without a database, keel alone."""
    clock, lifetimes = clock or Hands(), lifetimes or Lifetimes()
    if database_url is None:
        async with Keel.open(redis_url, namespace, session_options=SessionOptions(None, lifetimes, clock)) as keel:
            house = House(keel, namespace)
            if wait:
                await house.is_live()
            yield house
        return
    database = Database(database_url)
    asked: list[str] = []
    durable = SqlSessions(database, clock, lifetimes)
    async with Keel.open(redis_url, namespace, session_options=SessionOptions(durable, lifetimes, clock)) as keel:
        copies = Copies(keel.cache, keel.sessions)
        database.after_commit = invalidations = Invalidations(copies, clock)
        replay = OutboxReplay(database, clock, copies, is_shared=redis_url is not None)
        house = House(keel, namespace, database, replay, asked)
        if wait:
            await house.is_live()
        try:
            yield house
        finally:
            await invalidations.close(database, GRACE)
            await database.close()
