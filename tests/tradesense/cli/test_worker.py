"""`tradesense worker`, as far as one process shows it; see also `tests/tradesense/work/test_instances.py`."""

import asyncio
import os
import signal
from contextlib import suppress

import httpx
import pytest
from pydantic import SecretStr

from tests.tradesense.cli.conftest import Run
from tests.valkey import free_port
from tradesense.cli.worker import run as work
from tradesense.settings import Settings


def test_there_is_no_worker_beside_sqlite(run: Run) -> None:
    ran = run("worker")
    assert ran.code == 1
    assert "DATABASE_URL of PostgreSQL" in ran.err


async def test_a_worker_answers_probes_until_it_is_asked_to_end(
    settings: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    port = free_port()
    settings = settings.model_copy(update={"metrics_port": port, "scrape_token": SecretStr("sixteen characters")})
    url, headers = f"http://127.0.0.1:{port}/api/v1/monitoring", {"Authorization": "Bearer sixteen characters"}
    async with asyncio.timeout(20), asyncio.TaskGroup() as group, httpx.AsyncClient() as client:
        group.create_task(work(settings))
        while not await _is_ready(client, f"{url}/health/ready"):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.02)
        scraped = await client.get(f"{url}/metrics", headers=headers)
        os.kill(os.getpid(), signal.SIGTERM)
    assert "job_active" in scraped.text
    assert "log_lines_total" in scraped.text
    assert "working, 2 imports at a time" in capfd.readouterr().err


async def _is_ready(client: httpx.AsyncClient, url: str) -> bool:
    with suppress(httpx.TransportError):
        return (await client.get(url)).is_success
    return False


def test_a_users_rebuild_is_queued_once_per_account(run: Run) -> None:
    run("demo", "--days", "10")
    assert "1 accounts of demo@example.com" in run("user", "rebuild", "demo@example.com").out
    assert run("user", "rebuild", "nobody@example.com").code == 1
