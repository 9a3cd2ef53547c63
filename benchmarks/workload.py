"""A realistic load: a thousand users look at their dashboards, and now and then write, through a real server.

`python -m benchmarks.workload [--database sqlite|postgresql|both] [--seconds N] [--fill N] [--users N] [--trades N]`.
Users ask by Zipf's law (s = 1) for eight pages, of which seven are kept, 95 % reads; the busiest have the most trades.
Each run has a copy of the same database and a server process of its own: with the cache off, with it on, and on
PostgreSQL with a Valkey beside it. First what is kept is asked for once, the busiest users' pages first, for `fill`
seconds at most (as an earlier hour would have done); then a closed loop measures how much the server can take, for as
long as what follows, as hits are too many until enough was written; then requests arrive at half that rate, whatever
becomes of those before, and each takes from when it was due. Beside them come controls, which take no work: what they
take in the same server is what everything there waits for, and what they take in one that has nothing to do is the
machine's and the client's.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil
import uvloop

from benchmarks.load.asking import KEPT, Clients, People, controls
from benchmarks.load.client import Exchange, Load, going_first, load
from benchmarks.load.figures import Outcome, report
from benchmarks.load.people import settle
from benchmarks.load.places import Place, Server, idle_server, place, server
from keel.clock import SystemClock
from tests.valkey import Valkey, running

HALF: Final = 0.5
CONTROLS: Final = 40.0
"""Controls in a second, of the server and of one beside it."""
_OFF: Final = {"TRADESENSE_CACHE": "off"}


@dataclass(frozen=True)
class Terms:
    """What was asked for on the command line."""

    seconds: float
    fill: float
    users: int
    trades: int
    seed: int


async def drive(name: str, on: Server, people: People, terms: Terms, *, fills: bool) -> Outcome:
    """All phases of one run."""
    clients, earlier = Clients(people), list[Exchange]()
    if fills:
        async with load(on.port, clients, people.first_looks()) as first:
            await first.closed_loop(terms.fill)
        earlier += first.exchanges
    async with load(on.port, clients, people.visits(terms.seed)) as closed:
        await closed.closed_loop(terms.seconds)
    filled, capacity = len(earlier) / len(people.everybody) / len(KEPT), _throughput(closed)
    statements, cpu, own = await asyncio.to_thread(on.queries), on.cpu_s(), time.process_time()
    with idle_server() as idle:
        async with (
            load(on.port, clients, people.visits(terms.seed + 1)) as opened,
            load(on.port, clients, controls()) as same,
            load(idle, clients, controls()) as beside,
        ):
            await asyncio.gather(
                opened.open_loop(terms.seconds, capacity * HALF, terms.seed),
                same.open_loop(terms.seconds, CONTROLS, terms.seed + 1),
                beside.open_loop(terms.seconds, CONTROLS, terms.seed + 2),
            )
    return Outcome(
        name,
        capacity,
        capacity * HALF,
        [*earlier, *closed.exchanges],
        opened.exchanges,
        await asyncio.to_thread(on.queries) - statements,
        terms.seconds,
        ((on.cpu_s() - cpu) / terms.seconds, (time.process_time() - own) / terms.seconds),
        filled,
        (same.exchanges, beside.exchanges),
    )


def _throughput(closed: Load) -> float:
    """Answers in a second, from the middle of the phase on."""
    done = sorted(each.done for each in closed.exchanges)
    later = done[len(done) // 2 :]
    return len(later) / (later[-1] - later[0])


def run(name: str, at: Place, people: People, terms: Terms, environment: Mapping[str, str]) -> Outcome:
    """One run on a copy of the database."""
    with (
        tempfile.TemporaryDirectory() as folder,
        at.copy(name.replace(" ", "_")) as url,
        server(url, Path(folder), environment) as on,
        going_first() as is_first,
    ):
        outcome: Outcome = uvloop.run(drive(name, on, people, terms, fills=environment != _OFF))
    if not is_first:
        print("  (the client is not allowed to go first, and is late itself)")
    return outcome


@contextmanager
def _variants(kind: str) -> Iterator[dict[str, Mapping[str, str]]]:
    """The environments of the runs on a kind of database, the first without a cache."""
    runs: dict[str, Mapping[str, str]] = {f"{kind} without cache": _OFF, f"{kind} with cache": {}}
    if kind == "sqlite":  # a Valkey would be there for nothing: one process serves such a file
        yield runs
        return
    with tempfile.TemporaryDirectory() as folder, running(Valkey(Path(folder))) as valkey:
        yield {**runs, f"{kind} with cache and valkey": {"REDIS_URL": valkey.url}}


def measure(kind: str, terms: Terms) -> None:
    """Fill a database of a kind, and print what all runs on it came to."""
    with tempfile.TemporaryDirectory() as folder, place(kind, Path(folder)) as at, _variants(kind) as variants:
        begun = time.perf_counter()
        people = People(asyncio.run(settle(at.url, terms.users, terms.trades, terms.seed)), SystemClock().now())
        took = time.perf_counter() - begun
        print(f"\n{terms.users:,} users with {terms.trades:,} trades, on {kind} in {took:.0f} s")
        without: Outcome | None = None
        for name, environment in variants.items():
            outcome = run(name, at, people, terms, environment)
            without = without or outcome
            print(*report(outcome, without), sep="\n")
            print(f"  (load of the machine {psutil.getloadavg()[0]:.1f} on {psutil.cpu_count()} CPUs)", flush=True)


def main() -> None:
    """Take the command line."""
    parser = argparse.ArgumentParser(description="How TradeSense does under a realistic load.")
    parser.add_argument("--database", choices=("sqlite", "postgresql", "both"), default="both")
    parser.add_argument("--seconds", type=float, default=6, help="how long each run is measured")
    parser.add_argument("--fill", type=float, default=150, help="how long pages are asked for first, at most")
    parser.add_argument("--users", type=int, default=1_000)
    parser.add_argument("--trades", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    terms = Terms(given.seconds, given.fill, given.users, given.trades, given.seed)
    for kind in ("sqlite", "postgresql") if given.database == "both" else (given.database,):
        measure(kind, terms)


if __name__ == "__main__":
    main()
