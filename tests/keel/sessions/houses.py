"""Processes that have sessions, opened as the product opens them, with or without a database and a server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import insert

from keel.clock import Clock
from keel.ids import uuid7
from keel.opening import Keel
from keel.sessions.assembly import SessionOptions
from keel.sessions.contract import Lifetimes
from keel.sessions.memory import MemorySessions
from keel.sessions.store import Sessions
from tests.tradesense.db.copies import until
from tradesense.db.copies import Copies
from tradesense.db.engine import Database
from tradesense.db.fences import Fences
from tradesense.db.invalidation import Invalidations
from tradesense.db.replay import OutboxReplay
from tradesense.db.tables import users
from tradesense.security.repository.sessions import SqlSessions

GRACE = timedelta(seconds=5)


@dataclass
class House:
    """One process."""

    keel: Keel
    namespace: str
    database: Database | None = None
    replay: OutboxReplay | None = None

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
        """All that is written of sessions, anywhere."""
        found: list[bytes] = []
        if self.database is not None:
            async with self.database.read() as connection:
                rows = (await connection.exec_driver_sql("SELECT * FROM sessions")).all()
            found += [each if isinstance(each, bytes) else str(each).encode() for row in rows for each in row]
        if self.keel.redis is not None:
            keys = await self.keel.redis.call("KEYS", f"{self.namespace}:ses:s:*")
            names = [each for each in keys if isinstance(each, bytes)] if isinstance(keys, list) else []
            found += [*names, *(each for each in await self.keel.redis.read_many(names) if each)]
        if isinstance(self.sessions._store, MemorySessions):
            found += [*self.sessions._store._sessions, repr(self.sessions._store._sessions).encode()]
        return found

    async def replayed(self) -> None:
        """What it would do within a second, and at once where PostgreSQL tells it: follow the outbox."""
        if self.replay is not None:
            await self.replay.look()

    async def noted(self) -> None:
        """Wait until uses that were seen here are noted."""
        await until(lambda: not self.sessions._noting)

    async def is_live(self) -> None:
        """Wait until copies in memory are used."""
        await until(lambda: self.sessions.is_coherent)


@asynccontextmanager
async def opened(
    database_url: str | None,
    redis_url: str | None,
    namespace: str,
    clock: Clock,
    lifetimes: Lifetimes | None = None,
) -> AsyncIterator[House]:
    """One process, as `tradesense.wiring` puts it together; without a database, keel alone."""
    lifetimes = lifetimes or Lifetimes()
    if database_url is None:
        async with Keel.open(redis_url, namespace, session_options=SessionOptions(None, lifetimes, clock)) as keel:
            house = House(keel, namespace)
            await house.is_live()
            yield house
        return
    database = Database(database_url)
    durable = SqlSessions(database, clock, lifetimes)
    async with Keel.open(redis_url, namespace, session_options=SessionOptions(durable, lifetimes, clock)) as keel:
        copies = Copies(keel.cache, keel.sessions)
        database.after_commit = invalidations = Invalidations(copies, clock)
        replay = OutboxReplay(database, clock, copies, sharing=Fences(database, keel.locks) if redis_url else None)
        await replay.catch_up()
        house = House(keel, namespace, database, replay)
        try:
            await house.is_live()
            yield house
        finally:
            await keel.sessions.close()
            await invalidations.close(database, GRACE)
            await database.close()
