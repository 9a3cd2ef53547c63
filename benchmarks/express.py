"""What a cached answer costs inside the server, without a socket: from a request's first byte to its answer's last.

`GET /api/v1/portfolio/summary` by somebody who is logged in, on SQLite and Valkey, limited, logged, traced and
measured as ever. Connections are the server's own objects on transports that take what is written and do nothing.
Printed is the CPU time per request of the thread that serves, and of all others, which write the log, in medians over
rounds; so nobody else's work on the machine counts. `--profile` prints where the first of it goes.
"""

import argparse
import asyncio
import cProfile
import pstats
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, cast

import httpx
import uvloop
from uvicorn.config import Config
from uvicorn.server import ServerState

from benchmarks.observability import median
from keel.asgi.serving import ExpressProtocol
from tests.valkey import Valkey, running
from tradesense.app import create_app
from tradesense.settings import Settings

PATH: Final = "/api/v1/portfolio/summary"
CONNECTIONS: Final = 16
PASSWORD: Final = "correct horse battery staple"  # noqa: S105 - of nobody


class Nowhere(asyncio.Transport):
    """A connection that takes everything; `last` is what was written last."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 50_000), "sockname": ("127.0.0.1", 8000)})
        self.last = b""

    def write(self, data: Any) -> None:  # noqa: ANN401 - bytes of any kind
        """Take it."""
        self.last = data

    def is_closing(self) -> bool:
        """It lasts."""
        return False

    def close(self) -> None:
        """Nothing."""

    def pause_reading(self) -> None:
        """Nothing."""

    def resume_reading(self) -> None:
        """Nothing."""


@asynccontextmanager
async def connections(folder: Path, redis_url: str) -> AsyncIterator[tuple[list[ExpressProtocol], bytes]]:
    """Connections to the application, and a request whose answer it has in memory."""
    settings = Settings.load(
        {},
        data_dir=folder / "data",
        redis_url=redis_url,
        log_file=folder / "log",
        limit_api="100000000/min",
    )
    app = create_app(settings)
    async with app.router.lifespan_context(app) as opened:
        state: dict[str, Any] = {**(opened or {})}

        async def served(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI's
            await app({**scope, "state": state}, receive, send)

        async with httpx.AsyncClient(transport=httpx.ASGITransport(served), base_url="http://localhost") as client:
            credentials = {"email": "trader@example.com", "password": PASSWORD}
            await client.post("/api/v1/auth/register", json=credentials)
            token = (await client.post("/api/v1/auth/login", json=credentials)).json()["access_token"]
            client.cookies.clear()
            for _ in range(5):
                (await client.get(PATH, headers={"Authorization": f"Bearer {token}"})).raise_for_status()
        config = Config(app, log_config=None, access_log=False, proxy_headers=False, lifespan="off", ws="none")
        config.load()
        server = ServerState()
        server.default_headers = [(b"date", b"Mon, 02 Mar 2026 12:00:00 GMT")]
        made = [ExpressProtocol(config, server, state) for _ in range(CONNECTIONS)]
        for each in made:
            each.connection_made(Nowhere())
        yield made, f"GET {PATH} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
        for each in made:
            each.connection_lost(None)


async def asked(made: list[ExpressProtocol], request: bytes, times: int) -> tuple[float, float]:
    """Microseconds of CPU for a request: of this thread, and of the others.

    The loop gets its turn after each lot, as it would between one look at its sockets and the next, and longer where
    something goes the long way, as for want of permits.
    """
    own, every = time.thread_time(), time.process_time()
    for _ in range(times // CONNECTIONS):
        for each in made:
            each.data_received(request)
        await asyncio.sleep(0)
        while not all(each.cycle.response_complete for each in made):  # noqa: ASYNC110 - it is no event
            await asyncio.sleep(0.001)
    own = time.thread_time() - own
    await asyncio.sleep(0.1)  # for who writes the lines
    every = time.process_time() - every
    return own / times * 1e6, (every - own) / times * 1e6


async def measure(rounds: int, times: int, *, profiled: bool) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name, running(Valkey(Path(name))) as valkey:
        async with connections(Path(name), valkey.url) as (made, request):
            await _until_hot(made[0], request)
            found = [await asked(made, request, times) for _ in range(rounds)]
            serving, others = (median(list(each)) for each in zip(*found, strict=True))
            print(f"{PATH} from memory, {CONNECTIONS} connections, {rounds} rounds of {times} requests")
            for what, (middle, low, high) in (("in the thread that serves", serving), ("in all others", others)):
                print(f"  {what:<28}{middle:6.1f} [{low:.1f}, {high:.1f}] µs of CPU a request")
            if profiled:
                profile = cProfile.Profile()
                profile.enable()
                await asked(made, request, times)
                profile.disable()
                pstats.Stats(profile).sort_stats("tottime").print_stats(45)


async def _until_hot(connection: ExpressProtocol, request: bytes) -> None:
    """Ask until it is answered at once."""
    transport = cast("Nowhere", connection.transport)
    async with asyncio.timeout(10):
        while True:
            transport.last = b""
            connection.data_received(request)
            if transport.last:
                return
            await asyncio.sleep(0.05)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="The CPU time of a cached answer inside the server.")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--requests", type=int, default=4000, help="in each round")
    parser.add_argument("--profile", action="store_true", help="print which functions take it")
    given = parser.parse_args()
    uvloop.run(measure(given.rounds, given.requests, profiled=given.profile))


if __name__ == "__main__":
    main()
