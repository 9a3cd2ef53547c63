"""Migrations lead to what the tables say, on both databases."""

import asyncio

from alembic import command
from sqlalchemy import inspect

from tradesense.db.engine import Database
from tradesense.db.migrations import configuration, migrate
from tradesense.db.tables import metadata


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
