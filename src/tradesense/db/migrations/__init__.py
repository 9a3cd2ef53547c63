"""The database's history, and how a database is brought up to date."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text

from tradesense.db.engine import Database


def configuration(connection: Connection) -> Config:
    """Alembic's configuration for a connection that is inside a transaction."""
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.set_main_option("path_separator", "os")
    return config


async def migrate(database: Database) -> None:
    """Bring the database to the newest version, in one transaction; of several processes, one does the work."""
    async with database.write() as connection:
        if database.dialect == "postgresql":
            await connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('tradesense.migrations'))"))
        await connection.run_sync(lambda within: command.upgrade(configuration(within), "head"))
