"""What is known of the product's requests afterwards, and what must never be."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import structlog
from sqlalchemy import text

from keel import span
from keel.context import hex_id
from keel.logs.assembly import Logs
from keel.logs.contract import Source
from keel.traces.otlp import encode_segments
from keel.traces.statements import REPEATED
from tests.application import PASSWORD, Person, Serve, Served
from tests.tradesense.monitoring.conftest import administrator
from tradesense.portfolio.service import Portfolio

CARD = "4111 1111 1111 1111"
COOKIE = "hunter2-in-a-cookie"
SECRET = "hunter2-in-a-body"
EMAIL = "planted@example.org"
WITH_A_LITERAL = "SELECT id FROM users WHERE email = 'planted@example.org' OR email = :a"
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def log_file(tmp_path: Path) -> Path:
    return tmp_path / "app.log"


@pytest.fixture
async def app(serve: Serve, log_file: Path) -> Served:
    return await serve(log_file=log_file, trace_sample=1.0)


def written(app: Served, log_file: Path) -> str:
    """All lines so far."""
    observers = app.state["keel"].traces.observers
    (logs,) = (each for each in observers if isinstance(each, Logs))
    logs.flush()
    return log_file.read_text()


async def test_each_request_has_a_line_and_a_trace_that_name_each_other(app: Served, log_file: Path) -> None:
    user = await app.user()
    answered = await user.get("/portfolio/summary", headers={"X-Correlation-ID": "order-7"})
    assert answered.headers["x-correlation-id"] == "order-7"
    await user.get("/portfolio/summary")
    written(app, log_file)
    found = [each for each in lines(log_file) if each.get("route") == "/api/v1/portfolio/summary"]
    first, second = found
    assert (first["user_id"], first["correlation_id"], first["status"]) == (user.user_id, "order-7", 200)
    assert first["request_id"] == answered.headers["x-request-id"]
    assert (first["cache"], second["cache"]) == ("miss", "hit")
    assert first["db_queries"] > 0
    assert second["db_queries"] == 0
    (segment,) = app.state["keel"].traces.ring.of(first["trace_id"])
    assert hex_id(segment.span_id) == first["span_id"]
    assert len([each for each in segment.spans if each.name.startswith("SELECT")]) == first["db_queries"]


async def test_an_error_is_in_the_line_of_its_request(
    app: Served, log_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: object) -> None:
        raise ValueError("the books do not balance")

    monkeypatch.setattr(Portfolio, "summary", fails)
    user = await app.user()
    assert (await user.get("/portfolio/summary")).status_code == 500
    written(app, log_file)
    (line,) = (each for each in lines(log_file) if each["level"] == "error" and each["event"] == "request")
    assert (line["status"], line["exception"]["type"]) == (500, "ValueError")
    assert line["exception"]["frames"][-1]["function"].endswith("fails")


async def test_a_line_of_any_module_names_its_request_and_no_secret(
    app: Served, log_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def summary(*_: object) -> None:
        logging.getLogger("tradesense.portfolio.service").warning("asked by %s", EMAIL, extra={"password": SECRET})
        raise ValueError

    monkeypatch.setattr(Portfolio, "summary", summary)
    user = await app.user()
    headers = {"X-Request-ID": "tea-1", "X-Correlation-ID": "order-7", "traceparent": TRACEPARENT}
    await user.get("/portfolio/summary", headers=headers)
    written(app, log_file)
    (said,) = (each for each in lines(log_file) if each["logger"] == "tradesense.portfolio.service")
    ids = ("request_id", "correlation_id", "trace_id", "user_id")
    assert [said[name] for name in ids] == ["tea-1", "order-7", TRACEPARENT.split("-")[1], user.user_id]
    assert said["event"].startswith("asked by email:")
    assert (said["level"], SECRET in str(said)) == ("warning", False)
    assert {"timestamp", "service", "version", "environment", "instance", "span_id"} <= said.keys()


@pytest.mark.parametrize(("level", "seen"), [("info", False), ("debug", True)])
async def test_probes_and_collectors_have_lines_for_who_wants_to_know_everything(
    serve: Serve, log_file: Path, level: str, *, seen: bool
) -> None:
    app = await serve(log_file=log_file, log_level=level, scrape_token="sixteen or more characters")
    person = await app.person()
    app.state["health"].drain()
    scraping = {"Authorization": "Bearer sixteen or more characters"}
    paths = {"health": 200, "health/live": 200, "health/ready": 503, "metrics": 200}
    for path, status in paths.items():
        assert (await person.get(f"/monitoring/{path}", headers=scraping)).status_code == status
    await person.get("/monitoring/metrics")
    written(app, log_file)
    found = [(each["route"], each["level"]) for each in lines(log_file) if each["event"] == "request"]
    probes = [(f"/api/v1/monitoring/{path}", "debug") for path in paths] if seen else []
    assert found == [*probes, ("/api/v1/monitoring/metrics", "info")]


async def monitored_by(admin: Person) -> str:
    """All that administrators are shown of what has happened."""
    dashboard = await admin.get("/monitoring/dashboard")
    at_a_glance = dashboard.json()
    traces = [f"traces/{each['trace_id']}" for each in at_a_glance["traces"]["items"]]
    groups = [f"errors/{each['fingerprint']}" for each in at_a_glance["errors"]["items"]]
    assert groups
    more = [await admin.get(f"/monitoring/{path}") for path in (*traces, *groups, "queries", "requests", "metrics")]
    assert all(each.is_success for each in more)
    return "".join(each.text for each in (dashboard, *more))


async def test_planted_secrets_appear_nowhere(app: Served, log_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    user = await app.user(EMAIL)
    token = user.headers["Authorization"].removeprefix("Bearer ")
    database = app.state["portfolio"]._database

    async def fails(*_: object) -> None:
        said = {"password": SECRET, "nested": [{"authorization": f"Bearer {token}"}, ["cookie", COOKIE]], "card": CARD}
        structlog.get_logger("planted").warning("for %s", EMAIL, body=said, url=f"/?token={token}&mail={EMAIL}")
        logging.getLogger("planted").error("login %s password=%s", EMAIL, SECRET, extra={"headers": {"Cookie": COOKIE}})
        with span("planted", {"http.request.header.cookie": COOKIE, "url.query": f"token={token}", "who": EMAIL}):
            async with database.read() as connection:
                for _turn in range(REPEATED):
                    await connection.execute(text(WITH_A_LITERAL), {"a": SECRET})
                await connection.execute(text("SELECT :a FROM nowhere WHERE b = :b"), {"a": SECRET, "b": token})

    monkeypatch.setattr(Portfolio, "summary", fails)
    asked = {"password": SECRET, "card": CARD, "q": EMAIL}
    answered = await user.get("/portfolio/summary", params=asked, headers={"Cookie": f"session={COOKIE}"})
    assert answered.status_code == 500
    await user.post("/auth/login", json={"email": EMAIL, "password": SECRET})
    await user.get(f"/nowhere/token={token}/{EMAIL}", headers={"User-Agent": f"bot {EMAIL} {CARD}"})
    keel = app.state["keel"]
    segments = list(keel.traces.ring.newest())
    redaction = next(each for each in keel.traces.observers if isinstance(each, Logs)).redaction
    shown = written(app, log_file) + encode_segments(segments, Source(), redaction).decode()
    await keel.observations.gathering.flush()
    _, followed = await keel.observations.store.lines("0-0", 1000)
    monitored = await monitored_by(await administrator(app))
    assert "planted" in monitored
    assert '"repeated":[{' in monitored
    assert b"planted" in b"".join(followed)
    shown += monitored + b"".join(followed).decode()
    assert "OperationalError" in shown or "ProgrammingError" in shown
    for secret in (PASSWORD, token, COOKIE, CARD, CARD.replace(" ", ""), SECRET, EMAIL, EMAIL.replace("@", "%40")):
        assert secret not in shown
