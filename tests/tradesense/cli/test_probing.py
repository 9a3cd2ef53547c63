"""Ports of processes' own, for probes and collectors."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, closing
from pathlib import Path
from shutil import copyfile
from socket import create_server

import httpx
import pytest

from keel.health.contract import HealthStatus
from tests.application import Served, served
from tests.tradesense.cli.conftest import Run
from tests.tradesense.monitoring.conftest import administrator
from tests.valkey import free_port
from tradesense.cli import ports
from tradesense.cli.ports import metrics_listener
from tradesense.cli.probing import answering
from tradesense.settings import Settings, SettingsInvalid

TOKEN = "sixteen or more characters"


@pytest.fixture
async def app(tmp_path: Path, migrated_sqlite: Path) -> AsyncIterator[Served]:
    """The application on SQLite: it does not matter here what it stands on."""
    copyfile(migrated_sqlite, tmp_path / "tradesense.db")
    async with served(Settings.load({}, data_dir=tmp_path, scrape_token=TOKEN)) as app:
        yield app


async def test_each_process_has_a_port_of_its_own(app: Served) -> None:
    first = free_port()
    settings = Settings.load({}, metrics_port=first)
    async with AsyncExitStack() as stack:
        found: list[int] = []
        for _ in range(2):
            listener = metrics_listener(settings)
            assert listener is not None
            await stack.enter_async_context(answering(listener, app.state))
            found.append(listener.getsockname()[1])
        assert first <= found[0] < found[1]
        for port in found:
            url = f"http://127.0.0.1:{port}/api/v1/monitoring"
            client = await stack.enter_async_context(httpx.AsyncClient(base_url=url))
            for path in ("/health", "/health/live", "/health/ready"):
                assert (await client.get(path)).json()["status"] != HealthStatus.FAIL
            assert (await client.get("/metrics")).status_code == 401
            scraped = await client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
            assert "process_resident_memory_bytes" in scraped.text
            admin = dict((await administrator(app)).headers)
            assert (await client.get("/health/detailed", headers=admin)).json()["checks"]
            answer = await client.get("/requests", headers=admin)
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_the_port_of_the_api_is_left_to_it() -> None:
    first = free_port()
    settings = Settings.load({}, metrics_port=first).model_copy(update={"port": first})
    listener = metrics_listener(settings)
    assert listener is not None
    with closing(listener):
        assert listener.getsockname()[1] > first


@pytest.mark.parametrize("command", ["serve", "worker"])
def test_where_no_port_is_free_that_is_a_mistake_which_ends_the_start(
    run: Run, environment: dict[str, str | None], monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setattr(ports, "MOST_PROCESSES", 1)
    with closing(create_server(("127.0.0.1", 0))) as taken:
        first = taken.getsockname()[1]
        environment["TRADESENSE_METRICS_PORT"] = str(first)
        ran = run(command)
    assert ran.code == 1
    assert f"TRADESENSE_METRICS_PORT: no port is free from {first} on" in ran.err


def test_an_address_that_is_another_machines_is_a_mistake() -> None:
    settings = Settings.load({}, metrics_port=free_port(), metrics_host="192.0.2.1")
    with pytest.raises(SettingsInvalid, match=r"TRADESENSE_METRICS_HOST: 192\.0\.2\.1, port"):
        metrics_listener(settings)


def test_its_address_is_an_address() -> None:
    assert Settings.load({"TRADESENSE_METRICS_HOST": "::"}).metrics_host == "::"
    with pytest.raises(SettingsInvalid, match="TRADESENSE_METRICS_HOST"):
        Settings.load({"TRADESENSE_METRICS_HOST": "everywhere"})
