"""Three instances and two workers, as processes, on one Valkey and one PostgreSQL."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from sqlalchemy import func, select
from websockets.asyncio.client import connect

from tests.application import PASSWORD
from tests.conftest import migrated
from tests.valkey import free_port
from tradesense.db.engine import Database
from tradesense.db.tables import accounts, executions, imports

PROGRAM = Path(__file__).with_name("instance_process.py")
PATIENCE_S = 150.0
"""Five processes begin at once, on however busy a machine."""
WORKS = "working, 1 imports at a time"
ROWS = 8_000
FILE = "datetime,symbol,side,quantity,price,id\n" + "".join(
    f"2026-02-{1 + n // 86400:02} {n // 3600 % 24:02}:{n // 60 % 60:02}:{n % 60:02},S{n % 5},"
    f"{('buy', 'sell')[n // 5 % 2]},1,{9 + n % 7},{n}\n"
    for n in range(ROWS)
)


class House:
    """Processes of one installation."""

    def __init__(self, nursery: asyncio.subprocess.Process, environment: dict[str, str], folder: Path) -> None:
        self.pids: list[int] = []
        self._nursery = nursery
        self._environment = environment
        self._folder = folder
        self._logs: dict[int, Path] = {}

    async def start(self, *arguments: str) -> int:
        log = self._folder / f"{arguments[0]}{len(self.pids)}.log"
        log.touch()
        asked = {"arguments": arguments, "environment": self._environment, "log": str(log)}
        assert self._nursery.stdin is not None
        assert self._nursery.stdout is not None
        self._nursery.stdin.write(json.dumps(asked).encode() + b"\n")
        self.pids.append(int(await self._nursery.stdout.readline()))
        self._logs[self.pids[-1]] = log
        return self.pids[-1]

    def said(self, pid: int) -> str:
        return self._logs[pid].read_text()

    async def serve(self) -> httpx.AsyncClient:
        port = free_port()
        await self.start("serve", "--port", str(port))
        return httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}/api/v1", timeout=30)


@pytest.fixture
def postgresql_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    with migrated("postgresql", request, tmp_path) as url:
        yield url


@pytest.fixture
async def house(
    postgresql_url: str, tmp_path: Path, redis_url: str, redis_namespace: str
) -> AsyncIterator[tuple[House, Database]]:
    environment = {
        "DATABASE_URL": postgresql_url,
        "REDIS_URL": redis_url,
        "TRADESENSE_DATA_DIR": str(tmp_path / "data"),
        "TRADESENSE_ENVIRONMENT": redis_namespace,
        "TRADESENSE_RATE_LIMITS": "off",
        "TRADESENSE_WORK": "workers",
    }
    pipe = asyncio.subprocess.PIPE
    nursery = await asyncio.create_subprocess_exec(sys.executable, str(PROGRAM), stdin=pipe, stdout=pipe)
    house, database = House(nursery, environment, tmp_path), Database(postgresql_url)
    yield house, database
    await database.close()
    for pid in house.pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    nursery.terminate()
    await nursery.communicate()


async def _answers(client: httpx.AsyncClient) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            with suppress(httpx.TransportError):
                await client.get("/auth/me")
                return
            await asyncio.sleep(0.05)


async def _works(installation: House, worker: int) -> None:
    """Until then a worker is busy with starting."""
    async with asyncio.timeout(PATIENCE_S):
        while WORKS not in installation.said(worker):  # noqa: ASYNC110 - it is elsewhere
            await asyncio.sleep(0.05)


@asynccontextmanager
async def _heard(client: httpx.AsyncClient, channel: str) -> AsyncIterator[AsyncIterator[Any]]:
    """What is told of imports on a channel, from now on, on a socket of an instance."""
    url = str(client.base_url.copy_with(scheme="ws")) + "events"
    async with connect(url, additional_headers={"Authorization": client.headers["Authorization"]}) as socket:
        await socket.send(json.dumps({"type": "subscribe", "channel": channel}))
        while json.loads(await socket.recv())["type"] != "subscribed":
            pass
        messages = (each["data"] async for text in socket if (each := json.loads(text))["type"] == "message")
        yield (data async for data in messages if data["type"] == "import")


def _busiest(pids: list[int], before: dict[int, float]) -> int:
    return max(pids, key=lambda pid: _cpu_s(pid) - before[pid])


def _cpu_s(pid: int) -> float:
    return psutil.Process(pid).cpu_times().user


@pytest.mark.slow
async def test_an_upload_to_one_is_imported_by_a_worker_whose_death_loses_and_doubles_nothing(
    house: tuple[House, Database],
) -> None:
    installation, database = house
    first, second, third = [await installation.serve() for _ in range(3)]
    workers = [await installation.start("worker", "--imports", "1") for _ in range(2)]
    await asyncio.gather(*map(_answers, (first, second, third)), *(_works(installation, each) for each in workers))

    credentials = {"email": "trader@example.com", "password": PASSWORD}
    assert (await first.post("/auth/register", json=credentials)).status_code == 201
    token = (await first.post("/auth/login", json=credentials)).json()["access_token"]
    for client in (first, second, third):
        client.headers["Authorization"] = f"Bearer {token}"

    before = {pid: _cpu_s(pid) for pid in workers}
    me = (await first.get("/auth/me")).json()["id"]
    async with _heard(second, f"user:{me}") as told, asyncio.timeout(PATIENCE_S):
        sent = {"file": ("fills.csv", FILE, "text/csv")}
        upload = await first.post("/imports", files=sent, data={"timezone": "UTC"})
        while (await anext(told))["percent"] < 50:
            pass
        killed = _busiest(workers, before)
        os.kill(killed, signal.SIGKILL)
        while (end := await anext(told))["status"] == "running":
            pass
    assert (end["status"], end["executions"]) == ("done", ROWS)
    done = (await third.get(f"/imports/{upload.json()['id']}")).json()
    assert (done["status"], done["executions"], done["duplicates"]) == ("done", ROWS, 0)
    assert (await third.get("/portfolio/summary")).json()["trades"] == ROWS // 2
    async with database.read() as connection:
        assert (await connection.scalar(select(imports.c.attempts)) or 0) >= 2
        assert await connection.scalar(select(func.count()).select_from(executions)) == ROWS
        hidden = select(func.count()).join(accounts, accounts.c.id == executions.c.account_id)
        assert await connection.scalar(hidden.where(executions.c.born != accounts.c.generation)) == 0
    for client in (first, second, third):
        await client.aclose()
    (survivor,) = (pid for pid in workers if pid != killed)
    os.kill(survivor, signal.SIGTERM)
    async with asyncio.timeout(PATIENCE_S):
        while psutil.pid_exists(survivor):  # noqa: ASYNC110 - it is elsewhere
            await asyncio.sleep(0.02)
    assert "Traceback" not in installation.said(survivor)
