"""SQLite's engine. What its driver is asked to do it does to the end, whoever is cancelled meanwhile."""

import asyncio
import sqlite3
from collections.abc import Callable
from functools import partial
from typing import Any, Final, Self, TypeVar

import aiosqlite
from sqlalchemy import URL, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from keel.traces.statements import watch_statements

T = TypeVar("T")

_PRAGMAS: Final = (
    "PRAGMA busy_timeout = 10000",
    "PRAGMA page_size = 8192",  # of a new file: an import's rows are written in a sixth less time than with 4096
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA temp_store = MEMORY",
)
_FETCHED_AT_ONCE: Final = 64
_BEGIN: Final = "BEGIN"


class _Answer(asyncio.Future[Any]):
    """What a connection's thread will answer. A task that is cancelled while it waits for one goes on waiting."""

    def cancel(self, msg: object = None) -> bool:  # noqa: ARG002 - as in the base class
        return False


class Connection(aiosqlite.Connection):
    """A connection that puts a cancellation off while its thread works.

    The driver's own leaves the thread at work on a statement that nobody waits for, with its transaction and lock. Here
    the task waits for the answer and takes it, and meets the cancellation when it next waits for anything else: at the
    latest where the transaction ends, and never within SQLAlchemy's handling of a connection.
    """

    def __init__(self, path: str, **options: Any) -> None:  # noqa: ANN401 - those of sqlite3.connect
        options["check_same_thread"] = False  # it is used by one thread after the other, see `_execute`
        super().__init__(partial(sqlite3.connect, path, **options), _FETCHED_AT_ONCE)
        self._thread.daemon = True

    async def _connect(self) -> Self:
        try:
            self._connection = await self._ask(self._connector)
        except BaseException:
            self._end()
            raise
        return self

    async def _execute(self, fn: Callable[..., T], *args: Any, **kwargs: Any) -> T:  # noqa: ANN401 - the driver's own
        if self._connection is None:
            raise ValueError("Connection closed")
        if _takes_no_time(fn, args):  # and nothing else is under way: who uses a connection waits for each answer
            return fn(*args, **kwargs)
        return await self._ask(partial(fn, *args, **kwargs))

    async def close(self) -> None:
        """Close the connection and end its thread; idempotent."""
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                await self._ask(connection.close)
            finally:
                self._end()

    async def _ask(self, function: Callable[[], T]) -> T:
        answer = _Answer()
        self._tx.put_nowait((answer, function))
        try:
            await answer
        except asyncio.CancelledError as cancelled:
            _again(cancelled)
        answered: T = answer.result()
        return answered

    def _end(self) -> None:
        self.stop()
        self._thread.join()  # at once: it has answered all else


def _takes_no_time(function: Callable[..., object], args: tuple[object, ...]) -> bool:
    """Whether it neither waits nor touches the file; a turn of the thread would take ten times as long.

    That is making a cursor and closing it, and beginning a transaction that takes no lock.
    """
    return function.__name__ in {"cursor", "close"} or args[:1] == (_BEGIN,)


def _again(cancelled: asyncio.CancelledError) -> None:
    """Cancel the current task once more, which counts as the same cancellation."""
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - only tasks are cancelled
    task.uncancel()
    task.cancel(*cancelled.args)


def sqlite_engine(url: URL, begin: str, pool_size: int, *pragmas: str) -> AsyncEngine:
    """An engine whose transactions start with the statement `begin`, and its connections with the pragmas."""
    engine = create_async_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        hide_parameters=True,
        # The driver begins nothing by itself (isolation level); `start` below does.
        connect_args={"async_creator_fn": Connection, "isolation_level": None},
    )

    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: Any, _record: object) -> None:  # noqa: ANN401 - the driver's own
        cursor = connection.cursor()
        for pragma in (*_PRAGMAS, *pragmas):
            cursor.execute(pragma)
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def start(connection: Any) -> None:  # noqa: ANN401 - a synchronous connection, typed Any by the event
        connection.exec_driver_sql(begin)

    watch_statements(engine.sync_engine)
    return engine
