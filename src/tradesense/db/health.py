"""Whether the database is well, and its tables those of this version."""

from pathlib import Path

from sqlalchemy import text

from keel.health.contract import Answer
from tradesense.db.engine import Database
from tradesense.db.migrations import revisions


class DatabaseCheck:
    """Asks the database a question that it must read a table for."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def __call__(self) -> Answer:
        """What to say of it; raises what the driver raises."""
        file = self._database.url.database
        if self._database.dialect == "sqlite" and not Path(file or "").exists():  # noqa: ASYNC240 - takes no time
            return {"status": "unhealthy", "message": "its file is gone"}
        async with self._database.read() as connection:
            await connection.execute(text("SELECT id FROM users LIMIT 1"))
        return {"status": "healthy", "dialect": self._database.dialect}


class MigrationsCheck:
    """Compares the version of the tables with that of the program."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def __call__(self) -> Answer:
        """What to say of it. Newer tables than the program's are a warning: the next version is being rolled out."""
        async with self._database.read() as connection:
            found = await connection.run_sync(revisions)
        said = {"current": found.current, "newest": found.newest}
        if found.current == found.newest:
            return {"status": "healthy", **said}
        if found.is_ahead:
            return {"status": "degraded", "message": "the database is newer than this program", **said}
        return {"status": "unhealthy", "message": "the database is older than this program", **said}
