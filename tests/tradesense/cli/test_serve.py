"""`tradesense serve`: the server as a person starts and stops it."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

Server = tuple[subprocess.Popen[str], str]


@pytest.fixture
def server(environment: dict[str, str | None]) -> Iterator[Server]:
    with closing(socket.create_server(("127.0.0.1", 0))) as found:
        port = found.getsockname()[1]
    command = Path(sys.executable).with_name("tradesense")
    given = {"PATH": os.defpath, **{name: value for name, value in environment.items() if value is not None}}
    with subprocess.Popen(
        [command, "serve", "--port", str(port)], env=given, stderr=subprocess.PIPE, text=True
    ) as process:
        yield process, f"http://127.0.0.1:{port}"
        process.kill()


def answer(url: str, within_s: float = 20) -> httpx.Response:
    until = time.monotonic() + within_s
    while True:
        try:
            return httpx.get(url)
        except httpx.TransportError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


def test_it_creates_its_database_serves_and_ends_when_it_is_told_to(server: Server, tmp_path: Path) -> None:
    process, url = server
    assert answer(f"{url}/openapi.json").json()["info"]["title"] == "TradeSense"
    assert answer(f"{url}/api/v1/auth/me").status_code == 401
    assert (tmp_path / "data" / "tradesense.db").exists()
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) in (0, -signal.SIGTERM)
    assert process.stderr is not None
    assert url.replace("127.0.0.1", "localhost") in process.stderr.read()
