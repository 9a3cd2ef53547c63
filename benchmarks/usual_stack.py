"""A dashboard's first answer through a real server: ours, the usual stack's, and a bare endpoint's with the same bytes.

`GET /api/v1/portfolio/summary`, by somebody who is logged in, cached, rate limited, logged, measured and traced, on
PostgreSQL and Valkey; `benchmarks.usual.stack` says what the others are. All run at once, on uvicorn and on granian,
and are asked in turns, by one process over 16 connections; the server and who asks have a core each, where there are
two. Beside answers a second stands the CPU time that the server's process spends on one, which what else the machine
does does not change as much. Ratios are medians over the rounds with their 95 % interval.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx
import psutil
import uvloop

from benchmarks.load.people import settle
from benchmarks.load.places import place
from benchmarks.observability import median
from benchmarks.usual.asking import asked
from benchmarks.usual.serving import SERVERS
from benchmarks.usual.stack import PATH
from tests.valkey import Valkey, free_port, running, until

NAMES: Final = {
    "bare": "bare FastAPI, the same bytes",
    "usual": "the usual stack",
    "ours": "TradeSense",
}
TRADES: Final = 500
_WITHOUT_LIMIT: Final = "100000000/min"


@dataclass
class Contender:
    """An application behind a server, and what came of asking it."""

    process: psutil.Popen
    port: int
    request: bytes = b""
    rates: list[float] = field(default_factory=list)
    """Answers a second."""
    costs: list[float] = field(default_factory=list)
    """Microseconds of CPU for one."""

    def cpu_s(self) -> float:
        """Seconds of CPU that the server has used, with the processes that it has started."""
        every = [self.process, *self.process.children(recursive=True)]
        return sum(sum(each.cpu_times()[:2]) for each in every)

    def ask(self, seconds: float) -> None:
        """One turn."""
        before = self.cpu_s()
        answers = uvloop.run(asked(self.port, self.request, seconds))
        self.costs.append((self.cpu_s() - before) / max(answers, 1) * 1e6)
        self.rates.append(max(answers, 1) / seconds)

    def look(self, headers: Mapping[str, str]) -> bytes:
        """Ask until it is cached, and remember how to ask."""
        lines = [f"GET {PATH} HTTP/1.1", "Host: localhost", *(f"{name}: {value}" for name, value in headers.items())]
        self.request = "\r\n".join([*lines, "", ""]).encode()
        answers = [httpx.get(f"http://127.0.0.1:{self.port}{PATH}", headers=dict(headers)) for _ in range(5)]
        assert all(each.status_code == 200 for each in answers), answers[-1].text
        assert answers[-1].headers.get("x-cache", "hit") == "hit"
        assert answers[-1].headers.get("x-fastapi-cache", "HIT") == "HIT"
        return answers[-1].content


@contextmanager
def serving(name: str, server: str, environment: Mapping[str, str], folder: Path) -> Iterator[Contender]:
    """A server process."""
    port, log = free_port(), folder / f"{name}-{server}"
    variables = {
        **environment,
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": ":".join(sys.path),
        "PORT": str(port),
        "TRADESENSE_DATA_DIR": f"{log}-data",
        "LOG_FILE": f"{log}.log",
    }
    with Path(f"{log}.out").open("wb") as output:
        command = [sys.executable, "-m", "benchmarks.usual.serving", name, server]
        process = psutil.Popen(command, env=variables, stdout=output, stderr=subprocess.STDOUT)
    if (psutil.cpu_count() or 1) > 1:
        process.cpu_affinity([0])
    try:
        until(lambda: _answers(port), 60)
        yield Contender(process, port)
    finally:
        for each in [*process.children(recursive=True), process]:
            each.kill()
        process.wait()


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/nothing").status_code == 404
    except httpx.TransportError:
        return False


def enter(contender: Contender, name: str, token: str, body: Path) -> None:
    """Let it be asked by whoever it knows, for the same as the others."""
    headers = {}
    if name == "usual":
        sent = httpx.post(f"http://127.0.0.1:{contender.port}/login")
        headers["Cookie"] = f"session={sent.cookies['session']}"
    elif name == "ours":
        headers["Authorization"] = f"Bearer {token}"
    content = contender.look(headers)
    if body.exists():
        assert json.loads(content) == json.loads(body.read_bytes())
    else:
        body.write_bytes(content)


def report(found: Mapping[tuple[str, str], Contender], share: float) -> None:
    """Print the tables."""
    for server in SERVERS:
        print(f"{PATH} on {server}")
        for name, meaning in NAMES.items():
            each = found[name, server]
            rate, cost = median(each.rates)[0], median(each.costs)[0]
            print(f"  {meaning:<32}{rate:10,.0f} answers a second{cost:10,.1f} µs of CPU each")
        ours = found["ours", server]
        for name in ("bare", "usual"):
            other = found[name, server]
            rates = _ratio(ours.rates, other.rates)
            costs = _ratio(other.costs, ours.costs)
            print(f"  ours against {NAMES[name]}: {rates} times the throughput, 1/{costs} of the CPU")
    print(f"(who asks used {share:.0%} of a core; load of the machine {psutil.getloadavg()[0]:.1f})")


def _ratio(ones: list[float], others: list[float]) -> str:
    middle, low, high = median([one / other for one, other in zip(ones, others, strict=True)])
    return f"{middle:.2f} [{low:.2f}, {high:.2f}]"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="TradeSense beside the usual stack and bare FastAPI.")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=1, help="how long each turn is")
    given = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        database = stack.enter_context(place("postgresql", folder))
        person = asyncio.run(settle(database.url, 1, TRADES, 1))[0]
        valkey = stack.enter_context(running(Valkey(folder)))
        url, body = stack.enter_context(database.copy("asked")), folder / "body.json"
        environment = {
            "DATABASE_URL": url,
            "REDIS_URL": valkey.url,
            "BODY": str(body),
            "TRADESENSE_LIMIT_API": _WITHOUT_LIMIT,
        }
        found = {}
        for name in reversed(NAMES):  # ours first: the others answer what it does
            for server in SERVERS:
                contender = stack.enter_context(serving(name, server, environment, folder))
                enter(contender, name, person.token, body)
                found[name, server] = contender
        if (psutil.cpu_count() or 1) > 1:
            os.sched_setaffinity(0, set(os.sched_getaffinity(0)) - {0})
        began, own = time.perf_counter(), time.process_time()
        for _ in range(given.rounds):
            for contender in found.values():
                contender.ask(given.seconds)
        report(found, (time.process_time() - own) / (time.perf_counter() - began))


if __name__ == "__main__":
    main()
