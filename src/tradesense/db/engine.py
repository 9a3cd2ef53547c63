"""The database: connections to read and to write with, one transaction each, committed once at the edge."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from threading import Thread
from typing import Any, Final, NewType
from weakref import WeakSet

import aiosqlite
from anyio import to_thread
from sqlalchemy import URL, event, make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from keel.ids import uuid7
from tradesense.db.writes import NOTES, AfterCommit, Notes

ReadConnection = NewType("ReadConnection", AsyncConnection)
"""A read-only transaction: one snapshot, however many statements."""

WriteConnection = NewType("WriteConnection", ReadConnection)
"""A writing transaction; it may read, too. Whoever opened it commits, nobody beneath does."""

_DRIVERS: Final = {
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
    "sqlite": "sqlite+aiosqlite",
}
_PRAGMAS: Final = (
    "PRAGMA busy_timeout = 10000",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA temp_store = MEMORY",
)
_STATEMENT_S: Final = 10.0
"""How long closing waits for a statement that nobody waits for any more."""


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

    `after_commit` hears of what was noted in a transaction (`outbox.record`) before `write` lets go of its caller.
    """

    def __init__(self, url: str | URL, *, pool_size: int = 5, after_commit: AfterCommit | None = None) -> None:
        self.url = database_url(url) if isinstance(url, str) else url
        self.origin = uuid7()
        """This instance, among all that write to the database."""
        self._after_commit = after_commit
        self._threads = _Threads()
        if self.url.get_backend_name() == "sqlite":
            self._reader = _sqlite(self.url, self._threads, "BEGIN", pool_size, "PRAGMA query_only = ON")
            self._writer = _sqlite(self.url, self._threads, "BEGIN IMMEDIATE", 1, "PRAGMA cache_size = -16384")
            self._turn: AbstractAsyncContextManager[Any] = asyncio.Lock()
        else:
            self._writer = create_async_engine(self.url, pool_size=pool_size, max_overflow=pool_size)
            self._reader = self._writer.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            self._turn = nullcontext()

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
        """A writing transaction: committed where the block ends, rolled back where it raises."""
        notes, is_committing = Notes(self.origin), False
        try:
            async with self._turn, self._writer.begin() as connection:
                connection.info[NOTES] = notes
                yield WriteConnection(ReadConnection(connection))
                is_committing = True
        except BaseException:
            if is_committing:
                self._committed(notes, is_certain=False)
            raise
        if (hearing := self._committed(notes, is_certain=True)) is not None:
            await asyncio.wait([hearing])

    def _committed(self, notes: Notes, *, is_certain: bool) -> asyncio.Task[None] | None:
        if self._after_commit is None or not notes.writes:
            return None
        return self._after_commit(notes.writes, is_certain=is_certain)

    async def close(self) -> None:
        """Close every connection."""
        await self._reader.dispose()
        await self._writer.dispose()
        await self._threads.end()


class _Threads:
    """The threads of aiosqlite's connections.

    One whose task was cancelled goes on until its statement is done, and then reports to the event loop, which must
    still be there.
    """

    def __init__(self) -> None:
        self._running = WeakSet[Thread]()

    async def connect(self, *args: Any, **kwargs: Any) -> aiosqlite.Connection:  # noqa: ANN401 - the driver's own
        connection = aiosqlite.connect(*args, **kwargs)
        thread = connection._thread  # noqa: SLF001 - as SQLAlchemy does, to make a daemon of it
        thread.daemon = True
        self._running.add(thread)
        return await connection

    async def end(self) -> None:
        """Wait for those that were told to end."""
        for thread in list(self._running):
            await to_thread.run_sync(thread.join, _STATEMENT_S)


def _sqlite(url: URL, threads: _Threads, begin: str, pool_size: int, *pragmas: str) -> AsyncEngine:
    engine = create_async_engine(
        url, pool_size=pool_size, max_overflow=0, connect_args={"async_creator_fn": threads.connect}
    )

    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: Any, _record: object) -> None:  # noqa: ANN401 - the driver's own
        connection.isolation_level = None  # the driver begins nothing by itself; `begin` below does
        cursor = connection.cursor()
        for pragma in (*_PRAGMAS, *pragmas):
            cursor.execute(pragma)
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def start(connection: Any) -> None:  # noqa: ANN401 - a synchronous connection, typed Any by the event
        connection.exec_driver_sql(begin)

    return engine
