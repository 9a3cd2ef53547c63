"""Matching a million executions of one book: ours beside a pandas and float loop and beside plain SQL.

`python -m benchmarks.matching [executions]` prints the table. Each peer starts from its own native form of the same
fills (NamedTuples, a data frame, a table), and all must agree on the gross P&L before their times count.
"""

import sqlite3
import sys
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from time import perf_counter
from typing import Any, Final
from uuid import UUID

import pandas as pd

from tradesense.domain.executions import Execution, ExecutionId, Side, order_key
from tradesense.domain.matching import Method, match
from tradesense.domain.money import exact

MULTIPLIER: Final = Decimal(2)
COSTS: Final = Decimal("0.62")
OPENING_BELL: Final = datetime(2026, 1, 2, 14, 30, tzinfo=UTC)
_DUST: Final = 1e-9


def scalper(count: int) -> list[Execution]:
    """Fills of a trader who scales in and out of a micro future, is often flat, and now and then turns round."""
    random = Random(20260102)
    start = int(OPENING_BELL.timestamp()) * 1000
    executions, position, ticks = [], 0, 80_000
    for number in range(count):
        ticks += random.randint(-8, 8)
        size = random.randint(1, 5)
        leaves = position != 0 and random.random() < 0.25 + 0.05 * abs(position)
        buys = position < 0 if leaves else random.random() < 0.5
        if leaves and random.random() < 0.6:
            size = abs(position)
        position += size if buys else -size
        identity = UUID(int=(start + number * 1000) << 80 | 7 << 76 | 2 << 62 | number)
        executions.append(
            Execution(
                id=ExecutionId(identity),
                order=order_key((start + number * 1000) * 1000, number, identity.bytes),
                at=OPENING_BELL + timedelta(seconds=number),
                side=Side.BUY if buys else Side.SELL,
                quantity=Decimal(size),
                price=Decimal(ticks) / 4,
                costs=COSTS * size,
            )
        )
    return executions


def ours(executions: list[Execution], method: Method) -> tuple[float, Decimal]:
    """Seconds and gross of our matcher: trades with every realisation, costs pro rata, exact decimals."""
    started = perf_counter()
    grosses = [trade.gross for trade in match(executions, multiplier=MULTIPLIER, method=method)]
    seconds = perf_counter() - started
    with exact():
        return seconds, sum(grosses, Decimal(0))


def pandas_and_floats(executions: list[Execution]) -> tuple[float, Decimal]:
    """Seconds and gross of the loop that notebooks hold: float lots over the rows of a frame, FIFO."""
    frame = pd.DataFrame(
        {
            "at": [execution.at for execution in executions],
            "quantity": [float(_signed(execution)) for execution in executions],
            "price": [float(execution.price) for execution in executions],
            "costs": [float(execution.costs) for execution in executions],
        }
    )
    started = perf_counter()
    trips = pd.DataFrame(
        _float_trips(frame), columns=["opened", "closed", "quantity", "entry", "exit", "gross", "costs"]
    )
    gross = float(trips["gross"].sum()) * float(MULTIPLIER)
    return perf_counter() - started, Decimal(gross)


def plain_sql(executions: list[Execution]) -> tuple[float, Decimal]:
    """Seconds and gross of FIFO in SQLite, in ticks and units: the n-th unit bought meets the n-th unit sold.

    It gives the P&L of each pair of lots, and neither costs nor trades from flat to flat.
    """
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE fills (number INTEGER PRIMARY KEY, quantity INTEGER, ticks INTEGER)")
    rows = ((number, int(_signed(fill)), int(fill.price * 4)) for number, fill in enumerate(executions))
    database.executemany("INSERT INTO fills VALUES (?, ?, ?)", rows)
    started = perf_counter()
    (ticks,) = database.executescript(_SQL_LOTS).execute(_SQL_PAIRS).fetchone()
    return perf_counter() - started, Decimal(ticks) / 4 * MULTIPLIER


def measurements(count: int = 1_000_000) -> Iterator[tuple[str, float]]:
    """Name and seconds of each way to match `count` executions."""
    executions = scalper(count)
    seconds, expected = ours(executions, Method.FIFO)
    yield "TradeSense, FIFO", seconds
    yield "TradeSense, LIFO", ours(executions, Method.LIFO)[0]
    yield "TradeSense, average cost", ours(executions, Method.AVERAGE)[0]
    for name, peer in (("pandas and floats, FIFO", pandas_and_floats), ("plain SQL on SQLite, FIFO", plain_sql)):
        seconds, gross = peer(executions)
        assert abs(gross - expected) < 1, f"{name} finds {gross}, not {expected}"
        yield name, seconds


def main() -> None:
    """Print the table."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    print(f"matching {count:,} executions of one book")
    for name, seconds in measurements(count):
        print(f"  {name:<28}{seconds:8.2f} s")


def _signed(execution: Execution) -> Decimal:
    return execution.quantity if execution.side is Side.BUY else -execution.quantity


def _float_trips(frame: pd.DataFrame) -> Iterator[tuple[Any, ...]]:
    lots: deque[list[Any]] = deque()
    for at, quantity, price, costs in frame.itertuples(index=False):
        rest, unit_costs = quantity, costs / abs(quantity)
        while abs(rest) > _DUST and lots and lots[0][1] * rest < 0:
            opened, held, entry, entry_costs = lots[0]
            closed = min(abs(held), abs(rest))
            sign = 1.0 if held > 0 else -1.0
            yield opened, at, closed, entry, price, (price - entry) * closed * sign, closed * (entry_costs + unit_costs)
            rest += sign * closed
            lots[0][1] -= sign * closed
            if abs(lots[0][1]) < _DUST:
                lots.popleft()
        if abs(rest) > _DUST:
            lots.append([at, rest, price, unit_costs])


_SQL_LOTS: Final = """
    CREATE TEMP TABLE bought (upto INTEGER PRIMARY KEY, ticks INTEGER);
    CREATE TEMP TABLE sold (upto INTEGER PRIMARY KEY, ticks INTEGER);
    INSERT INTO bought SELECT sum(quantity) OVER (ORDER BY number), ticks FROM fills WHERE quantity > 0;
    INSERT INTO sold SELECT sum(-quantity) OVER (ORDER BY number), ticks FROM fills WHERE quantity < 0;
"""
_SQL_PAIRS: Final = """
    WITH cuts AS (SELECT upto FROM bought UNION SELECT upto FROM sold),
    parts AS (SELECT upto, upto - lag(upto, 1, 0) OVER (ORDER BY upto) AS units FROM cuts)
    SELECT sum(units * (
        (SELECT ticks FROM sold WHERE sold.upto >= parts.upto ORDER BY sold.upto LIMIT 1) -
        (SELECT ticks FROM bought WHERE bought.upto >= parts.upto ORDER BY bought.upto LIMIT 1)
    )) FROM parts
"""


if __name__ == "__main__":
    main()
