"""The database's history, and how a database is brought up to date."""

from functools import cache
from pathlib import Path
from typing import NamedTuple

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from tradesense.db.engine import Database
from tradesense.db.postgresql import unhurried


class Revisions(NamedTuple):
    """Which version a database's tables have, and which is the newest that this program knows."""

    current: str | None
    newest: str | None
    is_ahead: bool
    """Whether this program does not know the database's version, which then is a newer one."""


def configuration(connection: Connection) -> Config:
    """Alembic's configuration for a connection that is inside a transaction."""
    config = _configuration()
    config.attributes["connection"] = connection
    return config


def _configuration() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.set_main_option("path_separator", "os")
    return config


def revisions(connection: Connection) -> Revisions:
    """Compare a database, of which nothing is changed, with this program."""
    current = MigrationContext.configure(connection).get_current_revision()
    newest, known = _known()
    return Revisions(current, newest, is_ahead=current is not None and current not in known)


@cache
def _known() -> tuple[str | None, frozenset[str]]:
    """The newest revision of this program, and all of them."""
    scripts = ScriptDirectory.from_config(_configuration())
    return scripts.get_current_head(), frozenset(each.revision for each in scripts.walk_revisions())


async def migrate(database: Database) -> None:
    """Bring the database to the newest version, in one transaction; of several processes, one does the work."""
    with unhurried():
        await _migrate(database)


async def _migrate(database: Database) -> None:
    async with database.write() as connection:
        if database.dialect == "postgresql":
            await connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('tradesense.migrations'))"))
        await connection.run_sync(lambda within: command.upgrade(configuration(within), "head"))
