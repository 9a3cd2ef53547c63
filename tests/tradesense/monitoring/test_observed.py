"""What all instances see, over HTTP: for administrators, in figures, as trees, and as it happens."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from starlette.types import Message, Scope

from keel.context import Statement
from keel.store.contract import MOST_LEVELS
from tests.application import Person, Served, served
from tests.conftest import migrated
from tests.samples import FILLS, ended, made
from tests.tradesense.monitoring.conftest import Embedded, administrator
from tests.valkey import Valkey
from tradesense.db.engine import Database
from tradesense.db.tables import audit, business_days
from tradesense.monitoring.live import Filter
from tradesense.settings import Settings

TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}


@pytest.fixture
async def app(embedded: Embedded) -> Served:
    """The application on SQLite: nothing here depends on the database."""
    return await embedded(trace_sample=1)


@pytest.fixture
async def admin(app: Served) -> Person:
    return await administrator(app)


@pytest.fixture
async def database(app: Served, tmp_path: Path) -> AsyncIterator[Database]:
    """The application's."""
    del app
    database = Database(f"sqlite:///{tmp_path / 'embedded.db'}")
    yield database
    await database.close()


async def test_requests_are_counted_by_route(admin: Person) -> None:
    for _ in range(3):
        await made(admin.get("/accounts"))
    await admin.get("/nothing/here")
    found = await made(admin.get("/monitoring/requests"))
    assert (found["scope"], found["period"], found["step_s"]) == ("instance", "1h", 60)
    routes = {each["name"]: each for each in found["routes"]}
    assert routes["GET /api/v1/accounts"]["count"] == 3
    assert routes["GET unmatched"]["client_errors"] == 1
    assert found["total"]["count"] == sum(each["count"] for each in routes.values())
    assert sum(point["count"] for point in found["timeline"]) == found["total"]["count"]
    for period in ("6h", "24h", "7d"):
        assert (await made(admin.get(f"/monitoring/requests?period={period}")))["total"]["count"] >= 4
    assert (await admin.get("/monitoring/requests?period=2h")).status_code == 422


async def test_traces_are_listed_page_by_page_and_each_is_a_tree(admin: Person) -> None:
    await made(admin.get("/accounts", headers=TRACEPARENT))
    for _ in range(2):
        await made(admin.get("/trades"))
    page = await made(admin.get("/monitoring/traces", params={"route": "/api/v1/trades", "limit": 1}))
    rest = await made(
        admin.get("/monitoring/traces", params={"route": "/api/v1/trades", "limit": 1, "cursor": page["next"]})
    )
    assert [each["name"] for each in page["items"] + rest["items"]] == ["GET /api/v1/trades"] * 2
    assert page["items"] != rest["items"]
    assert rest["next"] is None
    trace = await made(admin.get(f"/monitoring/traces/{TRACE}"))
    root, *spans = trace["spans"]
    assert (root["depth"], root["name"], root["parent_id"]) == (0, "GET /api/v1/accounts", "b7ad6b7169203331")
    assert (root["process"]["status"], root["process"]["user_id"]) == (200, admin.user_id)
    assert spans
    assert all(each["depth"] >= 1 and each["process"] is None for each in spans)
    assert any(each["name"].startswith("SELECT") and "db.query.text" in each["attributes"] for each in spans)


async def test_what_is_no_trace_is_told_apart_from_what_is_not_there(admin: Person) -> None:
    for malformed in ("x", "0" * 32, TRACE.upper(), TRACE + "0"):
        answer = await admin.get(f"/monitoring/traces/{malformed}")
        assert (answer.status_code, answer.json()["code"]) == (400, "trace_id_malformed")
    answer = await admin.get(f"/monitoring/traces/{'ab' * 16}")
    assert (answer.status_code, answer.json()["code"]) == (404, "trace_not_found")
    assert answer.headers["content-type"] == "application/problem+json"
    answer = await admin.get("/monitoring/traces?cursor=none")
    assert (answer.status_code, answer.json()["code"]) == (400, "cursor_malformed")


async def test_slow_and_repeated_statements_are_told_with_their_callers(app: Served, admin: Person) -> None:
    traces = app.state["keel"].traces
    segment = traces.begin("job", "restoring")
    segment.queries = 13
    segment.statements = {
        "SELECT one": Statement(12, 0.012, 0.001, "tradesense/a.py:9 g"),
        "SELECT slow": Statement(1, 0.4, 0.4, "tradesense/a.py:3 f"),
    }
    traces.end(segment)
    found = await made(admin.get("/monitoring/queries"))
    (repeated,) = [each for each in found["repeated"] if each["name"] == "restoring"]
    (slow,) = [each for each in found["slow"] if each["name"] == "restoring"]
    assert (repeated["statement"], repeated["caller"], repeated["count"]) == ("SELECT one", "tradesense/a.py:9 g", 12)
    assert (slow["caller"], slow["max_ms"], slow["trace_id"]) == ("tradesense/a.py:3 f", 400.0, segment.trace_id)
    statements = {each["statement"]: each for each in found["statements"]}
    assert (statements["SELECT one"]["count"], statements["SELECT slow"]["total_ms"]) == (12, 400.0)


async def test_the_cache_and_the_instances_tell_of_themselves(admin: Person) -> None:
    for _ in range(2):
        await made(admin.get("/portfolio/summary"))
    cache = await made(admin.get("/monitoring/cache"))
    (route,) = [each for each in cache["routes"] if each["name"] == "GET /api/v1/portfolio/summary"]
    assert route["hits"] + route["misses"] == 2
    (instance,) = (await made(admin.get("/monitoring/instances")))["items"]
    assert cache["instances"][0]["instance"] == instance["instance"]
    assert (instance["service"], instance["dropped"]["batches"]) == ("tradesense", 0)


async def test_business_figures_are_those_that_were_aggregated(app: Served, admin: Person, database: Database) -> None:
    row: dict[str, Any] = {
        "day": app.clock.now().date() - timedelta(days=1),
        "active_users": 3,
        "imports": {"ibkr": {"done": 2}},
        "executions": 40,
        "trades": 7,
        "volume": {"USD": "12.50"},
        "computed_at": app.clock.now(),
    }
    async with database.write() as connection:
        await connection.execute(business_days.insert().values(row))
    (found,) = (await made(admin.get("/monitoring/business?period=7d")))["days"]
    assert found["day"] == row["day"].isoformat()
    assert (found["imports"], found["volume"]) == ({"ibkr": {"done": 2}}, {"USD": "12.50"})


async def test_a_level_can_be_set_for_a_while_and_it_is_noted_who_did(admin: Person, database: Database) -> None:
    path = "/monitoring/loggers/tradesense.ingest"
    assert (await made(admin.get(path)))["until"] is None
    changed = await made(admin.put(path, json={"level": "debug", "minutes": 5}))
    assert (changed["name"], changed["level"]) == ("tradesense.ingest", "debug")
    assert changed["until"] is not None
    assert await made(admin.get(path)) == changed
    assert (await made(admin.get("/monitoring/loggers/tradesense")))["level"] == "info"
    assert (await admin.put(path, json={"level": "loud"})).status_code == 422
    assert (await admin.get("/monitoring/loggers/a%20b")).status_code == 422
    assert logging.getLogger("tradesense.ingest").isEnabledFor(logging.DEBUG)
    async with database.read() as connection:
        (noted,) = (await connection.execute(select(audit).where(audit.c.subject == "tradesense.ingest"))).all()
    assert (str(noted.user_id), noted.action, noted.details) == (
        admin.user_id,
        "logger.set",
        {"level": "debug", "minutes": 5},
    )


async def test_a_level_that_cannot_be_set_is_not_noted(admin: Person, database: Database) -> None:
    for number in range(MOST_LEVELS):
        await made(admin.put(f"/monitoring/loggers/a{number}", json={"level": "debug"}))
    assert (await admin.put("/monitoring/loggers/one-more", json={"level": "debug"})).status_code == 409
    async with database.read() as connection:
        assert not (await connection.execute(select(audit).where(audit.c.subject == "one-more"))).all()


async def test_everything_is_in_one_document(admin: Person) -> None:
    found = await made(admin.get("/monitoring/dashboard"))
    assert found.keys() == {
        "at",
        "scope",
        "health",
        "requests",
        "traces",
        "errors",
        "queries",
        "cache",
        "instances",
        "business",
        "loggers",
    }


@asynccontextmanager
async def tail(app: Served, person: Person, query: str = "") -> AsyncIterator[asyncio.Queue[bytes]]:
    """What the live tail sends, from the first heartbeat on."""
    sent, leave = asyncio.Queue[bytes](), asyncio.Event()
    headers = [(name.lower().encode(), value.encode()) for name, value in person.headers.items()]

    async def receive() -> Message:
        await leave.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.put_nowait(message.get("body", b""))

    scope: Scope = {
        "type": "http",
        "method": "GET",
        "path": "/api/v1/monitoring/tail",
        "raw_path": b"/api/v1/monitoring/tail",
        "query_string": query.encode(),
        "headers": headers,
        "root_path": "",
        "scheme": "http",
        "http_version": "1.1",
        "server": ("localhost", 8000),
        "client": ("127.0.0.1", 1),
        "asgi": {"version": "3.0"},
    }
    async with asyncio.TaskGroup() as group, asyncio.timeout(20):
        group.create_task(app(scope, receive, send))
        while await sent.get() != b":\n\n":
            pass
        yield sent
        leave.set()


async def test_the_tail_shows_requests_and_lines_as_they_come(app: Served, admin: Person) -> None:
    async with tail(app, admin) as sent:
        await made(admin.get("/accounts"))
        logging.getLogger("tradesense.ingest").warning("look here")
        await app.state["keel"].observations.gathering.flush()
        said = await sent.get()
        events = [each.split(b"\ndata: ") for each in said.strip().split(b"\n\n")]
        lines = [(kind, json.loads(line)) for kind, line in events]
        assert (b"event: request", "/api/v1/accounts") in [(kind, line.get("route")) for kind, line in lines]
        assert (b"event: log", "look here") in [(kind, line["event"]) for kind, line in lines]


PATHS = ("traces", "requests", "queries", "cache", "instances", "errors", "dashboard")


@pytest.mark.parametrize("way", ["kill", "pause"])
async def test_while_redis_is_away_administrators_see_what_this_instance_knows(
    embedded: Embedded, valkey: Valkey, way: str
) -> None:
    app = await embedded(redis_url=valkey.url, trace_sample=1)
    admin = await administrator(app)
    await made(admin.get("/accounts", headers=TRACEPARENT))
    assert {(await made(admin.get(f"/monitoring/{path}")))["scope"] for path in PATHS} == {"shared"}
    place = (await made(admin.get("/monitoring/traces?limit=1")))["next"]
    async with tail(app, admin) as sent:
        getattr(valkey, way)()
        try:
            async with asyncio.timeout(20):
                found = {path: await made(admin.get(f"/monitoring/{path}")) for path in PATHS}
                tree = await made(admin.get(f"/monitoring/traces/{TRACE}"))
                unknown = await admin.get(f"/monitoring/traces/{'ab' * 16}")
                further = await admin.get("/monitoring/traces", params={"cursor": place})
                logger = await made(admin.get("/monitoring/loggers/root"))
                change = await admin.put("/monitoring/loggers/root", json={"level": "debug"})
                seen = b""
                while b"monitoring/dashboard" not in seen:
                    seen += await sent.get()
        finally:
            if way == "pause":
                valkey.resume()
    assert {each["scope"] for each in (*found.values(), tree, found["dashboard"]["errors"])} == {"instance"}
    assert {"GET /api/v1/accounts"} <= {each["name"] for each in found["requests"]["routes"]}
    assert TRACE in {each["trace_id"] for each in found["traces"]["items"]}
    assert len(found["instances"]["items"]) == 1
    assert (unknown.status_code, unknown.json()["code"]) == (503, "not_known_here")
    assert (further.status_code, further.json()["code"]) == (400, "place_elsewhere")
    assert (logger["level"], change.status_code) == ("info", 503)
    assert b'event: scope\ndata: {"scope":"instance"}' in seen


def line(**said: Any) -> dict[str, Any]:  # noqa: ANN401 - whatever JSON has
    access = {"logger": "keel.access", "level": "info", "method": "GET", "route": "/a", "status": 200}
    return {**access, "duration_ms": 12.5, **said}


def test_the_tail_can_be_filtered() -> None:
    assert Filter().has(line())
    assert not Filter(level="error").has(line())
    assert Filter(route="/a", status=200, min_ms=10).has(line())
    assert Filter(route="GET /a").has(line())
    assert not Filter(route="/b").has(line())
    assert not Filter(min_ms=20).has(line())
    assert not Filter(status=500).has(line())
    assert not Filter(status=200).has(line(logger="tradesense"))
    (told,) = Filter(text="sold").told(
        [b'{"logger":"x","level":"info","event":"sold"}', b'{"logger":"x","level":"info"}']
    )
    assert told == b'event: log\ndata: {"logger":"x","level":"info","event":"sold"}\n\n'


@pytest.fixture
def migrated_postgresql_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Several instances need a database that several can use."""
    with migrated("postgresql", request, tmp_path) as url:
        yield url


async def test_a_trace_that_crosses_processes_is_one_tree_on_every_instance(
    valkey: Valkey, migrated_postgresql_url: str, tmp_path: Path
) -> None:
    shared: dict[str, Any] = {"database_url": migrated_postgresql_url, "redis_url": valkey.url, "data_dir": tmp_path}
    shared |= {"trace_sample": 0, "rate_limits": "off"}
    async with (
        served(Settings.load({}, **shared, work="workers")) as asked,
        served(Settings.load({}, **shared)) as worker,
    ):
        admin = await administrator(worker)
        user = await asked.user("asks@example.com")
        account = await made(user.post("/accounts", json={"name": "Mine", "starting_balance": "1000"}))
        file = {"file": ("fills.csv", FILLS.format(symbol="AAPL").encode(), "text/csv")}
        data = {"account_id": account["id"], "timezone": "UTC"}
        upload = await made(user.post("/imports", files=file, data=data, headers=TRACEPARENT))
        assert (await ended(user, upload["id"]))["status"] == "done"
        tree = await _with_a_job(admin, asked, worker)
        await asked.state["users"].promote("asks@example.com")
        assert await made(user.get(f"/monitoring/traces/{TRACE}")) == tree
        (listed,) = (await made(user.get("/monitoring/traces", params={"route": "import"})))["items"]
        assert (listed["trace_id"], listed["name"], listed["kind"]) == (TRACE, "POST /api/v1/imports", "http")
        assert (listed["parts"], listed["duration_ms"]) == (2, tree["duration_ms"])
        assert listed["instances"] == tree["instances"]
        root, *rest = tree["spans"]
        assert (tree["scope"], root["kind"], root["name"]) == ("shared", "http", "POST /api/v1/imports")
        assert [each["depth"] for each in tree["spans"]].count(0) == 1
        assert [(each["depth"], each["name"]) for each in rest if each["kind"] == "job"] == [(1, "import")]
        at_once, of_job = ({each["name"] for each in rest if each["depth"] == depth} for depth in (1, 2))
        assert {"cache.load", "INSERT imports"} <= at_once
        assert {"UPDATE imports", "INSERT outbox", "EVALSHA", "publish"} <= of_job


async def _with_a_job(admin: Person, *instances: Served) -> dict[str, Any]:
    """The trace, when what the task did is in it: the import is done a little before its task has ended."""
    async with asyncio.timeout(10):
        while True:
            for each in instances:
                await each.state["keel"].observations.gathering.flush()
            tree: dict[str, Any] = await made(admin.get(f"/monitoring/traces/{TRACE}"))
            if any(each["kind"] == "job" for each in tree["spans"]):
                return tree
            await asyncio.sleep(0.02)
