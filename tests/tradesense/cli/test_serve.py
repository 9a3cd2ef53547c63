"""`tradesense serve`: the server as a person starts and stops it."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx

from tests.tradesense.cli.conftest import Run


@contextmanager
def served(environment: dict[str, str | None], *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server in a process of its own, and its URL; killed in the end if it still runs."""
    with closing(socket.create_server(("127.0.0.1", 0))) as found:
        port = found.getsockname()[1]
    command = [str(Path(sys.executable).with_name("tradesense")), "serve", "--port", str(port), *options]
    given = {"PATH": os.defpath, **{name: value for name, value in environment.items() if value is not None}}
    with subprocess.Popen(command, env=given, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process, f"http://127.0.0.1:{port}"
        finally:
            process.kill()


def answer(url: str, within_s: float = 30) -> httpx.Response:
    """The first answer to a GET, once there is anybody to give one."""
    until = time.monotonic() + within_s
    while True:
        try:
            return httpx.get(url)
        except httpx.TransportError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


def stopped(process: subprocess.Popen[str]) -> tuple[str, str]:
    """What a server wrote to its standard output and error, after it was told to end and did."""
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=20)
    assert process.returncode in (0, -signal.SIGTERM)
    return out, err


def test_a_first_start_creates_a_demo_account_that_can_be_looked_around_in(
    environment: dict[str, str | None], tmp_path: Path
) -> None:
    with served(environment, "--demo") as (process, url):
        assert answer(f"{url}/openapi.json").json()["info"]["title"] == "TradeSense"
        assert answer(f"{url}/api/v1/auth/me").status_code == 401
        assert process.stdout is not None
        first = process.stdout.readline()
        told = re.fullmatch(r"Demo account: (\S+), password (\S+) .*\n", first)
        assert told is not None
        credentials = {"email": told[1], "password": told[2]}
        login = httpx.post(f"{url}/api/v1/auth/login", json=credentials).json()
        bearer = {"Authorization": f"Bearer {login['access_token']}"}
        summary = httpx.get(f"{url}/api/v1/portfolio/summary", headers=bearer).json()
        assert summary["trades"] > 100
        assert summary["equity"] is not None
        listen = f"{url}/api/v1/events/stream?channel=user:{login['user']['id']}"
        with httpx.stream("GET", listen, headers=bearer) as listening:
            heard = listening.iter_lines()
            assert next(heard) == "retry: 2000"
            _, err = stopped(process)  # which no listener holds up
            assert [line for line in heard if line][-1] == 'data: {"type":"end","reason":"shutdown"}'
    assert url.replace("127.0.0.1", "localhost") in err
    assert (tmp_path / "data" / "tradesense.db").exists()


def test_a_port_that_is_taken_is_named_before_anything_begins(run: Run) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        ran = run("serve", "--demo", "--port", str(port))
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == f"cannot listen on 127.0.0.1, port {port}: Address already in use\n"


def test_a_demo_account_that_is_there_is_left_as_it_is(environment: dict[str, str | None], run: Run) -> None:
    run("demo", "--days", "10")
    with served(environment, "--demo") as (process, url):
        assert answer(f"{url}/openapi.json").status_code == 200
        assert "Demo account" not in stopped(process)[0]
