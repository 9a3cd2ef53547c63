"""What it costs to know who asks: a cached answer through a real server, and the same where each request asks SQL.

And how long a session that one process has ended is still known to another.

`python -m benchmarks.authentication [seconds]` serves a user's portfolio from memory, on SQLite, by the server that
`tradesense serve` runs; it starts itself with `--serve DATA_DIR PORT sql|memory` to do so.
"""

import asyncio
import dataclasses
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

import httpx
import uvloop

from keel.clock import SystemClock
from keel.opening import Keel
from keel.sessions.contract import SessionExpired, token_hash
from keel.sessions.store import Sessions
from tests.valkey import Valkey, free_port, running, until
from tradesense import app as application
from tradesense import wiring
from tradesense.cli.serve import run
from tradesense.db.tables import Role
from tradesense.http.authentication import Principal, UserId
from tradesense.settings import Settings

ROUNDS: Final = 5
CONNECTIONS: Final = 16
ENDED: Final = 2000
PATH: Final = "/portfolio/summary"
_LENGTH: Final = re.compile(rb"(?i)content-length: (\d+)")
PASSWORD: Final = "correct horse battery staple"  # noqa: S105 - of nobody
KINDS: Final = {"sql": "the database is asked for session and user", "memory": "who is known is known"}


@asynccontextmanager
async def asking_sql(settings: Settings) -> AsyncIterator[wiring.State]:
    """The application as it would be without copies of sessions and profiles: two look-ups by index per request."""
    async with wiring.opened(settings) as state:
        users, sessions, clock = state["users"], state["keel"].sessions, SystemClock()
        durable = sessions._store  # noqa: SLF001 - in the place of what is measured

        async def identify(token: str, at_least: int = 0) -> Principal:  # noqa: ARG001 - SQL is never behind
            session = (await durable.use(token_hash(token))).session
            user = await users.get(UserId(UUID(session.user_id)))
            return Principal(
                user.id,
                session.id,
                token,
                user.email,
                user.role is Role.ADMIN,
                user.timezone,
                user.currency,
                user.data_version,
                user.ledger_version,
                user.labels_version,
                clock.now().astimezone(ZoneInfo(user.timezone)).toordinal(),
            )

        state["authentication"] = dataclasses.replace(state["authentication"], identify=identify)
        yield state


def serve(folder: str, port: str, kind: str) -> None:
    """Serve until killed."""
    settings = Settings.load({}, data_dir=Path(folder), port=int(port), log_level="warning", rate_limits="off")
    if kind == "sql":
        create = application.create_app
        setattr(application, "create_app", lambda given: create(given, asking_sql))  # noqa: B010 - what `run` calls
    run(settings)


@contextmanager
def serving(folder: Path, kind: str) -> Iterator[str]:
    """A server process, by its address."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.authentication", "--serve", str(folder), str(port), kind]
    process = subprocess.Popen(command)  # noqa: S603 - this very module
    try:
        until(lambda: _answers(port), 60)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def _answers(port: int) -> bool:
    with closing(socket.socket()) as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


def log_in(url: str) -> bytes:
    """A request for a cached answer, by somebody who has logged in, and who has asked for it before."""
    with httpx.Client(base_url=f"{url}/api/v1") as client:
        credentials = {"email": "trader@example.com", "password": PASSWORD}
        client.post("/auth/register", json=credentials)
        token = client.post("/auth/login", json=credentials).json()["access_token"]
        *_, answer = [client.get(PATH, headers={"Authorization": f"Bearer {token}"}) for _ in range(3)]
        assert answer.headers["X-Cache"] == "hit"
    lines = [f"GET /api/v1{PATH} HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Bearer {token}", "", ""]
    return "\r\n".join(lines).encode()


async def asked(url: str, request: bytes, seconds: float) -> float:
    """Answers a second, over connections that each have one request under way."""
    port, end = int(url.rpartition(":")[2]), time.perf_counter() + seconds

    async def one() -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        answers = 0
        while time.perf_counter() < end:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            assert b" 200 " in head[:15]
            await reader.readexactly(int(_LENGTH.search(head)[1]))  # type: ignore[index]
            answers += 1
        writer.close()
        return answers

    return sum(await asyncio.gather(*(one() for _ in range(CONNECTIONS)))) / seconds


async def lags(url: str, times: int) -> list[float]:
    """Seconds from when a session was ended, for its process, until another process refuses it."""
    found = []
    async with Keel.open(url, "lags") as here, Keel.open(url, "lags") as there:
        while not (here.sessions.is_coherent and there.sessions.is_coherent):  # noqa: ASYNC110 - it is no event
            await asyncio.sleep(0.01)
        for user in range(times):
            token = await here.sessions.create_session(user, {})
            await there.sessions.get(token)
            await here.sessions.invalidate_user_sessions(user)
            found.append(await _until_refused(there.sessions, token))
    return sorted(found)


async def _until_refused(sessions: Sessions, token: str) -> float:
    begun = time.perf_counter()
    while True:
        try:
            await sessions.get(token)
        except SessionExpired:
            return time.perf_counter() - begun
        await asyncio.sleep(0)


def print_lags() -> None:
    """Print the second table."""
    with tempfile.TemporaryDirectory() as place, running(Valkey(Path(place))) as server:
        found = uvloop.run(lags(server.url, ENDED))
    at = [found[int(ENDED * share)] * 1000 for share in (0.5, 0.99)]
    print(f"an end of a session, until another process refuses it: p50 {at[0]:.2f} ms, p99 {at[1]:.2f} ms, ", end="")
    print(f"most {found[-1] * 1000:.2f} ms ({ENDED} ends)")


def main(seconds: float) -> None:
    """Print both tables."""
    found: dict[str, list[float]] = {kind: [] for kind in KINDS}
    with tempfile.TemporaryDirectory() as place, ExitStack() as stack:
        requests = {}
        for kind in KINDS:
            (folder := Path(place) / kind).mkdir()
            url = stack.enter_context(serving(folder, kind))
            requests[kind] = (url, log_in(url))
        for _ in range(ROUNDS):
            for kind, (url, request) in requests.items():
                found[kind].append(uvloop.run(asked(url, request, seconds)))
    ratio = statistics.median(after / before for before, after in zip(*found.values(), strict=True))
    print(f"a cached GET {PATH} by somebody who is logged in; SQLite, one process, {CONNECTIONS} connections")
    for kind, meaning in KINDS.items():
        print(f"  {statistics.median(found[kind]):8.0f} answers a second: {meaning}")
    print(f"  {ratio:8.2f} times as many (median of {ROUNDS} interleaved rounds of {seconds:g} s)")
    print_lags()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        serve(*sys.argv[2:])
    else:
        main(float(sys.argv[1]) if len(sys.argv) > 1 else 2)
