"""`tradesense worker`, as far as one process shows it; see also `tests/tradesense/work/test_instances.py`."""

import asyncio
import os
import signal

import pytest

from tests.tradesense.cli.conftest import Run
from tradesense.cli.worker import run as work
from tradesense.settings import Settings


def test_there_is_no_worker_beside_sqlite(run: Run) -> None:
    ran = run("worker")
    assert ran.code == 1
    assert "DATABASE_URL of PostgreSQL" in ran.err


async def test_a_worker_ends_when_it_is_asked_to(settings: Settings, capfd: pytest.CaptureFixture[str]) -> None:
    asyncio.get_running_loop().call_later(0.2, os.kill, os.getpid(), signal.SIGTERM)
    await asyncio.wait_for(work(settings), 20)
    assert "working, 2 imports at a time" in capfd.readouterr().err


def test_a_users_rebuild_is_queued_once_per_account(run: Run) -> None:
    run("demo", "--days", "10")
    assert "1 accounts of demo@example.com" in run("user", "rebuild", "demo@example.com").out
    assert run("user", "rebuild", "nobody@example.com").code == 1
