"""Metrics over HTTP: for administrators and for who collects them, in the form they like; by a real Prometheus, too."""

import asyncio
import json
import re
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import uvicorn
from prometheus_client.openmetrics import parser
from prometheus_client.parser import text_string_to_metric_families as read_text

from tests.application import Person, Served
from tests.conftest import CHECKOUT
from tests.samples import fill
from tests.tradesense.monitoring.conftest import Embedded
from tests.valkey import free_port
from tradesense.settings import MASK, Settings

TOKEN: Final = "a-token-of-the-collector"
SCRAPE: Final = {"Authorization": f"Bearer {TOKEN}"}
WITHIN_S: Final = 20.0
_CONFIGURATION: Final = """
global: {{scrape_interval: 200ms, scrape_timeout: 200ms}}
scrape_configs:
- job_name: tradesense
  metrics_path: /api/v1/monitoring/metrics
  authorization: {{credentials: {token}}}
  static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""


@pytest.fixture
async def app(embedded: Embedded) -> Served:
    return await embedded(scrape_token=TOKEN)


async def told(person: Person) -> dict[str, dict[tuple[str, ...], float]]:
    answer = await person.get("/monitoring/metrics", headers=SCRAPE)
    assert answer.status_code == 200
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in read_text(answer.text):
        for each in family.samples:
            found.setdefault(each.name, {})[tuple(each.labels[name] for name in sorted(each.labels))] = each.value
    return found


async def test_they_are_for_administrators_and_for_the_token(app: Served, admin: Person, user: Person) -> None:
    anyone = await app.person()
    assert (await anyone.get("/monitoring/metrics")).status_code == 401
    assert (await anyone.get("/monitoring/metrics", headers={"Authorization": "Bearer nonsense"})).status_code == 401
    assert (await user.get("/monitoring/metrics")).status_code == 403
    assert (await admin.get("/monitoring/metrics")).status_code == 200
    assert (await anyone.get("/monitoring/metrics", headers=SCRAPE)).status_code == 200
    assert (await anyone.get("/portfolio/summary", headers=SCRAPE)).status_code == 401


async def test_without_a_token_only_administrators_see_them(embedded: Embedded) -> None:
    person = await (await embedded()).person()
    assert (await person.get("/monitoring/metrics", headers={"Authorization": "Bearer "})).status_code == 401
    assert (await person.get("/monitoring/metrics", headers={"Authorization": "Bearer None"})).status_code == 401


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("*/*", "text/plain; version=0.0.4; charset=utf-8"),
        ("application/json", "application/json"),
        ("application/openmetrics-text", "application/openmetrics-text; version=1.0.0; charset=utf-8"),
    ],
)
async def test_their_form_is_as_one_likes(app: Served, accept: str, media_type: str) -> None:
    person = await app.person()
    answer = await person.get("/monitoring/metrics", headers={**SCRAPE, "Accept": accept})
    assert answer.headers["content-type"] == media_type
    if "json" in accept:
        assert {each["name"] for each in answer.json()["metrics"]} >= {"process_cpu_seconds", "cache_memory_bytes"}
    elif "openmetrics" in accept:
        list(parser.text_string_to_metric_families(answer.text))  # type: ignore[no-untyped-call]
    else:
        list(read_text(answer.text))


async def test_they_tell_of_requests_by_route_and_of_what_stands_beneath(user: Person) -> None:
    await fill(user)
    await user.get("/trades/01890000-0000-7000-8000-000000000000")
    await user.get("/made/up/path")
    found = await told(user)
    counts = found["http_server_request_duration_seconds_count"]
    assert counts["GET", "/api/v1/trades/{trade_id}", "404"] == 1
    assert counts["GET", "unmatched", "404"] == 1
    assert counts["POST", "/api/v1/auth/login", "200"] == 1
    assert found["http_server_active_requests"] == {(): 1}
    assert found["http_server_response_body_size_bytes_sum"]["GET", "/api/v1/trades"] > 0
    assert found["http_server_db_queries_total"]["GET", "/api/v1/trades"] >= 1
    assert found["sessions_began_total"] == {(): 1}
    assert found["db_client_connections"].keys() >= {("write", "idle"), ("write", "used")}
    assert found["tradesense_users_active"] == {(): 1}
    assert found["event_loop_lag_seconds_count"][()] >= 0
    assert found["log_lines_total"].keys() == {("written",), ("dropped",), ("failed",)}
    assert sum(found["trace_segments_total"].values()) > 0


async def test_they_tell_of_the_business_of_the_day(user: Person) -> None:
    await fill(user)
    found = await told(user)
    async with asyncio.timeout(5):
        while "tradesense_today_users" not in found:
            found = await told(user)
    assert found["tradesense_today_users"] == {(): 1}
    assert found["tradesense_today_imports"] == {("generic", "done"): 1}
    assert found["tradesense_today_executions"] == {(): 4}
    assert found["tradesense_today_trades"] == {(): 0}


async def test_every_metric_is_documented(user: Person) -> None:
    await fill(user)
    documented = set(re.findall(r"`([a-z_]+)`", (CHECKOUT / "docs" / "metrics.md").read_text()))
    answer = await user.get("/monitoring/metrics", headers={**SCRAPE, "Accept": "application/json"})
    for family in answer.json()["metrics"]:
        told = family["name"] + ("_total" if family["type"] == "counter" else "")
        assert {told, family["name"]} & documented, told


def test_the_token_is_a_secret() -> None:
    settings = Settings.load({"TRADESENSE_SCRAPE_TOKEN": TOKEN})
    assert settings.shown()["TRADESENSE_SCRAPE_TOKEN"] == MASK
    assert TOKEN not in repr(settings)


@asynccontextmanager
async def listening(app: Served) -> AsyncIterator[int]:
    """The application behind a port; its lifespan runs already."""
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, port=port, lifespan="off", log_config=None))
    serving = app.state["tasks"].start("serving", server._serve())
    async with asyncio.timeout(5):
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)
    try:
        yield port
    finally:
        server.should_exit = True
        await asyncio.wait([serving])


@asynccontextmanager
async def collecting(folder: Path, port: int) -> AsyncIterator[httpx.AsyncClient]:
    """A Prometheus that scrapes the port; a client of its API."""
    (folder / "prometheus.yml").write_text(_CONFIGURATION.format(token=TOKEN, port=port))
    own = free_port()
    process = subprocess.Popen(  # noqa: ASYNC220 - it runs beside
        [  # noqa: S607 - of the PATH
            "prometheus",
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{own}",
            "--enable-feature=exemplar-storage",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{own}/api/v1") as client:
            yield client
    finally:
        process.kill()
        process.wait()


async def asked(client: httpx.AsyncClient, query: str) -> list[Any]:
    """What a query finds, once it finds anything."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            try:
                answer = await client.get("/query", params={"query": query})
            except httpx.TransportError:
                await asyncio.sleep(0.1)
                continue
            found: list[Any] = json.loads(answer.text)["data"]["result"] if answer.is_success else []
            if found:
                return found
            await asyncio.sleep(0.1)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("prometheus") is None, reason="Prometheus is not installed")
async def test_prometheus_collects_them(app: Served, tmp_path: Path) -> None:
    async with listening(app) as port, collecting(tmp_path, port) as prometheus:
        (up,) = await asked(prometheus, "up == 1")
        assert up["metric"]["job"] == "tradesense"
        query = 'http_server_request_duration_seconds_count{route="/api/v1/monitoring/metrics",status="200"}'
        (count,) = await asked(prometheus, query)
        assert count["metric"]["method"] == "GET"
        assert int(count["value"][1]) >= 1
