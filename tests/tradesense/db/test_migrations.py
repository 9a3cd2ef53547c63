"""Migrations lead to what the tables say, on both databases."""

import asyncio

from alembic import command
from sqlalchemy import Connection, column, insert, inspect, select, table

from keel.clock import SystemClock
from keel.ids import uuid7
from tradesense.db.engine import Database
from tradesense.db.migrations import configuration, migrate
from tradesense.db.tables import metadata, outbox
from tradesense.db.writes import Touches


async def test_the_migrations_lead_to_the_tables_as_declared(database_url: str) -> None:
    database = Database(database_url)
    await migrate(database)
    async with database.write() as connection:
        await connection.run_sync(lambda within: command.check(configuration(within)))
        tables = await connection.run_sync(lambda within: set(inspect(within).get_table_names()))
    await database.close()
    assert tables == {*metadata.tables, "alembic_version"}


async def test_a_migrated_database_is_left_alone_and_two_starts_at_once_do_no_harm(database_url: str) -> None:
    first, second = Database(database_url), Database(database_url)
    await asyncio.gather(migrate(first), migrate(second))
    await migrate(first)
    await asyncio.gather(first.close(), second.close())


async def test_an_earlier_version_finds_no_word_in_the_outbox_that_it_does_not_know(database_url: str) -> None:
    database = Database(database_url)
    await migrate(database)
    row = {"user_id": uuid7(), "version": 1, "origin": uuid7(), "created_at": SystemClock().now()}
    async with database.write() as connection:
        await connection.execute(insert(outbox), [{**row, "touches": each} for each in Touches])
    found = []
    for revision in ("0007", "0003", "0001"):
        async with database.write() as connection:
            await connection.run_sync(_downgrade, revision)
            if revision != "0001":
                found.append(set(await connection.scalars(select(table("outbox", column("touches"))))))
    await migrate(database)
    await database.close()
    known = {Touches.LEDGER, Touches.LABELS, Touches.NOTES}
    assert found == [known | {Touches.TOKENS}, known]


def _downgrade(within: Connection, revision: str) -> None:
    command.downgrade(configuration(within), revision)
