"""The database: connections to read and to write with, one transaction each, committed once at the edge."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Any, Final, NamedTuple, NewType

from sqlalchemy import URL, QueuePool, make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from keel.ids import uuid7
from tradesense.db.postgresql import connected, hurries, postgresql_engine
from tradesense.db.sqlite import sqlite_engine
from tradesense.db.writes import NOTES, AfterCommit, Notes

ReadConnection = NewType("ReadConnection", AsyncConnection)
"""A read-only transaction: one snapshot, however many statements."""

WriteConnection = NewType("WriteConnection", ReadConnection)
"""A writing transaction; it may read, too. Whoever opened it commits, nobody beneath does."""

Writing = Callable[[], AbstractAsyncContextManager[WriteConnection]]
"""Opens a writing transaction: `Database.write`, or one that shows first that it may."""

_DRIVERS: Final = {
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
    "sqlite": "sqlite+aiosqlite",
}


def database_url(text: str) -> URL:
    """The URL with the driver that this program uses; raises ValueError for a database it does not speak to.

    Takes `postgres://` and `postgresql://` as hosting services hand them out, and `sqlite:///path`.
    """
    url = make_url(text)
    driver = _DRIVERS.get(url.get_backend_name())
    if driver is None:
        raise ValueError(f"{url.get_backend_name()} is no database this program speaks to: use sqlite or postgresql")
    return url.set(drivername=driver)


class _Engines(NamedTuple):
    reader: AsyncEngine
    writer: AsyncEngine


class Database:
    """One database, SQLite or PostgreSQL. Nothing is opened before the first use; `close` closes everything.

    SQLite has one writer, so writers queue here, in the order in which they came, and a short one waits for one
    other at most; readers never wait (WAL).

    PostgreSQL is waited for `patience_s` seconds: for a connection, and for each answer. Then `DatabaseAway` is raised,
    as where it cannot be reached. What is `unhurried` has connections of its own, and waits as long as it takes.

    `after_commit` hears of what was noted in a transaction (`outbox.record`) before `write` lets go of its caller; it
    may be set later, as what keeps copies may need the database first.
    """

    def __init__(
        self,
        url: str | URL,
        *,
        pool_size: int = 5,
        patience_s: float = 10,
        after_commit: AfterCommit | None = None,
    ) -> None:
        self.url = database_url(url) if isinstance(url, str) else url
        self.origin = uuid7()
        """This instance, among all that write to the database."""
        self.after_commit = after_commit
        self._turn: AbstractAsyncContextManager[Any] = nullcontext()
        if self.dialect == "sqlite":
            reader = sqlite_engine(self.url, "BEGIN", pool_size, "PRAGMA query_only = ON")
            writer = sqlite_engine(self.url, "BEGIN IMMEDIATE", 1, "PRAGMA cache_size = -16384")
            self._hurried = self._unhurried = _Engines(reader, writer)
            self._turn = asyncio.Lock()
        else:
            self._hurried = _reading_too(postgresql_engine(self.url, pool_size, patience_s))
            self._unhurried = _reading_too(postgresql_engine(self.url, pool_size))

    @property
    def pools(self) -> Mapping[str, QueuePool]:
        """The pools that connections are taken from, by what they are for."""
        if self.dialect == "sqlite":
            engines = {"write": self._hurried.writer, "read": self._hurried.reader}
        else:
            engines = {"write": self._hurried.writer, "unhurried": self._unhurried.writer}
        pools = {name: engine.sync_engine.pool for name, engine in engines.items()}
        return {name: pool for name, pool in pools.items() if isinstance(pool, QueuePool)}

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self.url.get_backend_name()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[ReadConnection]:
        """A read-only transaction that sees one state of the database throughout."""
        async with connected(self._engines.reader) as connection:
            yield ReadConnection(connection)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[WriteConnection]:
        """A writing transaction: committed where the block ends, rolled back where it raises or is cancelled."""
        notes, is_committing = Notes(self.origin), False
        try:
            async with self._turn, connected(self._engines.writer) as connection, connection.begin():
                connection.info[NOTES] = notes
                yield WriteConnection(ReadConnection(connection))
                await asyncio.sleep(0)  # meets a cancellation that a statement has put off
                is_committing = True
        except BaseException:
            if is_committing:
                self._committed(notes, is_certain=False)
            raise
        if (hearing := self._committed(notes, is_certain=True)) is not None:
            await asyncio.wait([hearing])

    @property
    def _engines(self) -> _Engines:
        return self._hurried if hurries() else self._unhurried

    def _committed(self, notes: Notes, *, is_certain: bool) -> asyncio.Task[None] | None:
        if self.after_commit is None or not notes.writes:
            return None
        return self.after_commit(notes.writes, is_certain=is_certain)

    async def close(self) -> None:
        """Close every connection."""
        for engine in dict.fromkeys((*self._hurried, *self._unhurried)):
            await engine.dispose()


def _reading_too(writer: AsyncEngine) -> _Engines:
    return _Engines(writer.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True), writer)
