"""Cancellation on SQLite: at whatever moment it comes, no lock, no thread and no half of a transaction is left."""

import asyncio
import random
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from tradesense.db.engine import Database, WriteConnection

ROWS = [{"n": n} for n in range(300)]
INSERT = text("INSERT INTO numbers VALUES (:n)")


@pytest.fixture
async def numbers(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'numbers.db'}", pool_size=2)
    async with database.write() as connection:
        await connection.execute(text("CREATE TABLE numbers (n INTEGER PRIMARY KEY)"))
    yield database
    await database.close()


async def _write(database: Database) -> None:
    async with database.write() as connection:
        await _replace(connection)


async def _replace(connection: WriteConnection) -> None:
    await connection.execute(text("DELETE FROM numbers"))
    for first in range(0, len(ROWS), 100):
        await connection.execute(INSERT, ROWS[first : first + 100])


async def _read(database: Database) -> None:
    async with database.read() as connection:
        streamed = await connection.stream(text("SELECT * FROM numbers"))
        async for _ in streamed.partitions(30):
            await connection.execute(text("SELECT count(*) FROM numbers"))


async def _cancelled(work: Coroutine[Any, Any, None], *after: float) -> bool:
    """Whether it was cancelled before it ended; each cancellation comes so many seconds after the one before."""
    task = asyncio.create_task(work)  # noqa: TID251 - it is this test that owns it
    for seconds in after:
        await asyncio.sleep(seconds)
        task.cancel()
    await asyncio.wait([task], timeout=10)
    assert task.done()
    return task.cancelled()


def _assert_unlocked(path: str | None) -> None:
    """Another writer need not wait at all."""
    assert path is not None
    other = sqlite3.connect(path, timeout=0, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert other.execute("SELECT count(*) FROM numbers").fetchone()[0] in {0, len(ROWS)}
    other.execute("ROLLBACK")
    assert other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0, "a reader has kept its snapshot"
    other.close()


@pytest.mark.parametrize("work", [_write, _read])
async def test_nothing_is_left_whenever_a_transaction_is_cancelled(
    numbers: Database, work: Callable[[Database], Coroutine[Any, Any, None]], recwarn: pytest.WarningsRecorder
) -> None:
    await _write(numbers)
    rng, outcomes, before = random.Random(1), set(), threading.active_count()
    for _ in range(200):
        moments = [rng.uniform(0, 0.006), *(rng.uniform(0, 0.0005) for _ in range(rng.randrange(3)))]
        outcomes.add(await _cancelled(work(numbers), *moments))
        _assert_unlocked(numbers.url.database)
        assert threading.active_count() <= before + 2
    assert True in outcomes
    await _write(numbers)
    assert not recwarn.list


async def test_no_thread_is_left_when_connections_are_cancelled_as_they_open_and_close(tmp_path: Path) -> None:
    rng, before = random.Random(2), threading.active_count()
    path = tmp_path / "numbers.db"
    for _ in range(100):
        database = Database(f"sqlite:///{path}")
        await _cancelled(_count_tables(database), rng.uniform(0, 0.01))
        await _cancelled(database.close(), rng.uniform(0, 0.001))
        await database.close()
        assert threading.active_count() == before


async def _count_tables(database: Database) -> None:
    async with database.read() as reader, database.write() as writer:
        for connection in (reader, writer):
            await connection.execute(text("SELECT count(*) FROM sqlite_master"))


async def test_a_cancelled_transaction_is_rolled_back_and_keeps_its_connection(numbers: Database) -> None:
    threads = threading.enumerate()

    async def work() -> None:
        task = asyncio.current_task()
        assert task is not None
        async with numbers.write() as connection:
            task.cancel()
            await _replace(connection)

    assert await _cancelled(work())
    async with numbers.write() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM numbers")) == 0
    assert threading.enumerate() == threads


async def test_a_time_that_runs_out_is_told_as_such(numbers: Database) -> None:
    async def hurry() -> None:
        async with asyncio.timeout(0.001):
            while True:
                await _write(numbers)

    with pytest.raises(TimeoutError):
        await hurry()


async def test_no_thread_is_left_of_a_database_that_does_not_open(tmp_path: Path) -> None:
    before = threading.active_count()
    database = Database(f"sqlite:///{tmp_path / 'missing' / 'numbers.db'}")
    with pytest.raises(OperationalError):
        await _write(database)
    assert threading.active_count() == before
    await database.close()
