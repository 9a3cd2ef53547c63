"""The database: connections to read and to write with, one transaction each, committed once at the edge."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Any, Final, NewType

from sqlalchemy import URL, QueuePool, make_url
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from keel.ids import uuid7
from keel.traces.statements import watch_statements
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


class Database:
    """One database, SQLite or PostgreSQL. Nothing is opened before the first use; `close` closes everything.

    SQLite has one writer, so writers queue here, in the order in which they came, and a short one waits for one
    other at most; readers never wait (WAL).

    `after_commit` hears of what was noted in a transaction (`outbox.record`) before `write` lets go of its caller; it
    may be set later, as what keeps copies may need the database first.
    """

    def __init__(self, url: str | URL, *, pool_size: int = 5, after_commit: AfterCommit | None = None) -> None:
        self.url = database_url(url) if isinstance(url, str) else url
        self.origin = uuid7()
        """This instance, among all that write to the database."""
        self.after_commit = after_commit
        if self.url.get_backend_name() == "sqlite":
            self._reader = sqlite_engine(self.url, "BEGIN", pool_size, "PRAGMA query_only = ON")
            self._writer = sqlite_engine(self.url, "BEGIN IMMEDIATE", 1, "PRAGMA cache_size = -16384")
            self._turn: AbstractAsyncContextManager[Any] = asyncio.Lock()
        else:
            self._writer = create_async_engine(
                self.url, pool_size=pool_size, max_overflow=pool_size, hide_parameters=True
            )
            watch_statements(self._writer.sync_engine)
            self._reader = self._writer.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            self._turn = nullcontext()

    @property
    def pools(self) -> Mapping[str, QueuePool]:
        """The pools that connections are taken from, by what they are for."""
        engines = {"write": self._writer.sync_engine}
        if self.dialect == "sqlite":
            engines["read"] = self._reader.sync_engine
        return {name: engine.pool for name, engine in engines.items() if isinstance(engine.pool, QueuePool)}

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self.url.get_backend_name()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[ReadConnection]:
        """A read-only transaction that sees one state of the database throughout."""
        async with self._reader.connect() as connection:
            yield ReadConnection(connection)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[WriteConnection]:
        """A writing transaction: committed where the block ends, rolled back where it raises or is cancelled."""
        notes, is_committing = Notes(self.origin), False
        try:
            async with self._turn, self._writer.begin() as connection:
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

    def _committed(self, notes: Notes, *, is_certain: bool) -> asyncio.Task[None] | None:
        if self.after_commit is None or not notes.writes:
            return None
        return self.after_commit(notes.writes, is_certain=is_certain)

    async def close(self) -> None:
        """Close every connection."""
        await self._reader.dispose()
        await self._writer.dispose()
