from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from shutil import copyfile

import pytest

from tests.application import Person, Served, served
from tradesense.settings import Settings


@pytest.fixture
async def admin(app: Served) -> Person:
    """An administrator's client."""
    return await administrator(app)


async def administrator(app: Served) -> Person:
    """A new user of the application, promoted."""
    person = await app.user()
    await app.state["users"].promote(person.email)
    return person


Embedded = Callable[..., Awaitable[Served]]


@pytest.fixture
async def embedded(migrated_sqlite: Path, tmp_path: Path) -> AsyncIterator[Embedded]:
    """Start the application on SQLite, where it does not matter what it stands on."""
    file = tmp_path / "embedded.db"
    copyfile(migrated_sqlite, file)
    async with AsyncExitStack() as stack:

        async def start(**changes: object) -> Served:
            given = {"data_dir": tmp_path, "database_url": f"sqlite:///{file}", "rate_limits": "off", **changes}
            return await stack.enter_async_context(served(Settings.load({}, **given)))

        yield start
