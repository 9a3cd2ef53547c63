"""Every number of a dashboard over 100,000 trades: ours from packed segments, beside pandas + quantstats and plain SQL.

`python -m benchmarks.statistics [trades]` prints the table. Each peer starts from its own native form of the same
trades (blobs, a data frame with its times already local, a table with its groups already columns), and must agree on
the net P&L and, where it has one, on the Sharpe ratio before its time counts. The peers use floats and answer less:
neither tells exact money, nor confidence intervals, and SQL neither the ratios of daily returns nor Monte Carlo.
"""

import sqlite3
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from time import perf_counter
from typing import Any, Final, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import quantstats.stats as qs

from tradesense.domain.breakdowns import breakdown
from tradesense.domain.buckets import HOLDING_S, PRICE, SIZE
from tradesense.domain.columns import Floats
from tradesense.domain.days import View, calendar
from tradesense.domain.distribution import distribution
from tradesense.domain.equity import Capital, curve
from tradesense.domain.executions import ExecutionId
from tradesense.domain.groupings import By
from tradesense.domain.instruments import AssetClass
from tradesense.domain.ledger import Book, join
from tradesense.domain.money import ZERO, exact
from tradesense.domain.monte_carlo import HORIZON, PATHS, simulate
from tradesense.domain.packing import pack
from tradesense.domain.summary import Terms, summarise
from tradesense.domain.trades import Direction, Realisation, Trade, TradeId

ZONE: Final = ZoneInfo("America/New_York")
BALANCE: Final = Decimal(1_000_000)
FIRST: Final = datetime(2023, 1, 2, 14, 30, tzinfo=UTC)
NOW: Final = datetime(2026, 1, 2, tzinfo=UTC)
SEGMENT: Final = 2048
SYMBOLS: Final = 40

KEYS: Final = ("symbol", "account", "side", "weekday", "hour", "month", "holding", "size", "price")
SERIES: Final = ("sharpe", "sortino", "calmar", "cagr", "volatility", "max_drawdown", "ulcer_index", "tail_ratio")


class Found(NamedTuple):
    """What a way to answer took, and what it must agree on."""

    seconds: float
    net: float
    sharpe: float | None


def day_trader(count: int) -> list[tuple[Book, list[Trade]]]:
    """`count` trades of 40 books over three years of weekdays; every fifth is left in two steps."""
    random = Random(20230103)
    books = [
        Book(f"account {place % 2}", f"S{place}", f"S{place}", AssetClass.STOCK, "USD") for place in range(SYMBOLS)
    ]
    trades: list[list[Trade]] = [[] for _ in books]
    for number in range(count):
        place = random.randrange(SYMBOLS)
        trades[place].append(_trade(random, number, count))
    return list(zip(books, trades, strict=True))


def _trade(random: Random, number: int, count: int) -> Trade:
    day = number * 780 // count
    opened = FIRST + timedelta(days=day // 5 * 7 + day % 5, seconds=random.randrange(20_000))
    quantity, price = Decimal(random.randint(1, 500)), Decimal(random.randint(500, 50_000)) / 100
    exits = []
    closed = opened
    for step in range(1 + (number % 5 == 0)):
        closed += timedelta(seconds=random.randint(5, 3000))
        gross = Decimal(round(random.gauss(4, 150) * 100)) / 100
        exits.append(Realisation(ExecutionId(UUID(int=number * 2 + step)), closed, quantity, gross, Decimal("1.07")))
    with exact():
        return Trade(
            id=TradeId(UUID(int=random.getrandbits(128))),
            anchor=ExecutionId(UUID(int=number)),
            direction=random.choice(list(Direction)),
            opened_at=opened,
            closed_at=closed,
            first=b"",
            last=b"",
            max_quantity=quantity,
            entry_quantity=quantity,
            entry_value=quantity * price,
            exit_quantity=quantity,
            exit_value=ZERO,
            open_quantity=ZERO,
            open_value=ZERO,
            gross=sum((leg.gross for leg in exits), ZERO),
            costs=sum((leg.costs for leg in exits), ZERO),
            open_costs=ZERO,
            executions=1 + len(exits),
            realisations=tuple(exits),
        )


def ours(segments: Sequence[tuple[Book, list[bytes]]]) -> Found:
    """Join the blobs and answer everything, down to what would be JSON."""
    started = perf_counter()
    ledger = join(segments)
    view, capital = View(ledger, ZONE), Capital(BALANCE)
    summary = summarise(view, now=NOW, terms=Terms(capital={"USD": capital}))
    answers: list[Any] = [summary.as_json(), distribution(ledger).as_json(), simulate(ledger, BALANCE).as_json()]
    answers.append([point.as_json() for point in curve(view, capital).points()])
    answers.append([day.as_json() for day in calendar(view)])
    answers.extend([group.as_json() for group in breakdown(view, by)] for by in By)
    return Found(perf_counter() - started, float(answers[0]["net_pnl"]), answers[0]["sharpe"])


def pandas_and_quantstats(trades: pd.DataFrame, exits: pd.DataFrame) -> Found:
    """What a notebook does: group-bys on a frame of trades, quantstats on the daily returns."""
    started = perf_counter()
    net = trades["net"]
    wins, losses = net[net > 0], net[net < 0]
    answers: list[Any] = [
        net.sum(), trades["gross"].sum(), trades["costs"].sum(), (net > 0).mean(), wins.sum() / -losses.sum(),
        net.mean(), wins.mean() / -losses.mean(), np.sqrt(len(net)) * net.mean() / net.std(), wins.max(), losses.min(),
        (trades["closed"] - trades["opened"]).mean(),
    ]  # fmt: skip
    days = exits.groupby(exits["at"].dt.normalize())["net"].agg(["sum", "count"])
    days = days.reindex(pd.bdate_range(days.index[0], days.index[-1], tz=ZONE), fill_value=0.0).tz_localize(None)
    equity = float(BALANCE) + days["sum"].cumsum()
    answers.append(equity / equity.cummax() - 1)
    returns = days["sum"] / equity.shift(fill_value=float(BALANCE))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ratios = {name: getattr(qs, name)(returns) for name in SERIES}
        ratios |= {"var": qs.value_at_risk(returns), "cvar": qs.cvar(returns), "kelly": qs.kelly_criterion(returns)}
    seconds = (trades["closed"] - trades["opened"]).dt.total_seconds()
    groups = {
        "symbol": trades["symbol"], "account": trades["account"], "side": trades["side"],
        "weekday": trades["closed"].dt.day_of_week, "hour": trades["closed"].dt.hour,
        "month": trades["closed"].dt.strftime("%Y-%m"), "holding": _cut(seconds, HOLDING_S.edges),
        "size": _cut(trades["quantity"], SIZE.edges), "price": _cut(trades["price"], PRICE.edges),
    }  # fmt: skip
    for key in KEYS:
        by = trades.groupby(groups[key], observed=True)
        answers.append(by["net"].agg(["sum", "count", "mean", "std"]))
        answers.append((trades["net"] > 0).groupby(groups[key], observed=True).mean())
        answers.append(by[["gross", "costs"]].sum())
    answers.append(np.histogram(net, bins=40))
    answers.append(_shuffled(net.to_numpy()))
    return Found(perf_counter() - started, answers[0], ratios["sharpe"])


def _cut(values: pd.Series, edges: tuple[float, ...]) -> pd.Series:
    return pd.cut(values, [-np.inf, *edges, np.inf], right=False)


def _shuffled(net: Floats) -> Floats:
    """The deepest falls and the ends of a thousand paths, one path after the other."""
    generator = np.random.default_rng(0)
    found = []
    for _ in range(PATHS):
        path = np.cumsum(generator.choice(net, HORIZON))
        found.append((path[-1], (path - np.maximum.accumulate(path)).min()))
    percentiles: Floats = np.percentile(found, [5, 25, 50, 75, 95], axis=0)
    return percentiles


def plain_sql(database: sqlite3.Connection) -> Found:
    """Group-bys on a table, and a window for the drawdown: what an API without columns asks its database."""
    started = perf_counter()
    ((net, *_),) = database.execute(f"SELECT {_FIGURES} FROM trades").fetchall()
    database.execute(_SQL_EQUITY).fetchall()
    for key in ("day", *KEYS):
        database.execute(f"SELECT {key}, {_FIGURES} FROM trades GROUP BY {key}").fetchall()
    database.execute("SELECT round(net / 20), count(*), sum(net) FROM trades GROUP BY 1").fetchall()
    return Found(perf_counter() - started, net, None)


_FIGURES: Final = """
    sum(net), sum(gross), sum(costs), count(*), sum(net > 0), sum(net < 0), avg(net), sum(net * net), max(net),
    min(net), sum(max(net, 0)), sum(min(net, 0)), avg(held)
"""
_SQL_EQUITY: Final = """
    WITH days AS (SELECT day, sum(net) AS net FROM exits GROUP BY day),
    closes AS (SELECT day, 1000000.0 + sum(net) OVER (ORDER BY day) AS equity FROM days)
    SELECT day, equity, equity / max(equity) OVER (ORDER BY day) - 1 FROM closes
"""


def frames(books: list[tuple[Book, list[Trade]]]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The trades and their exits as frames of floats, times in the zone."""
    rows = [(book, trade) for book, trades in books for trade in trades]
    trades = pd.DataFrame(
        {
            "symbol": pd.Categorical([book.symbol for book, _ in rows]),
            "account": pd.Categorical([book.account for book, _ in rows]),
            "side": pd.Categorical([trade.direction.value for _, trade in rows]),
            "opened": pd.DatetimeIndex([trade.opened_at for _, trade in rows]).tz_convert(ZONE),
            "closed": pd.DatetimeIndex([trade.closed_at for _, trade in rows]).tz_convert(ZONE),
            "quantity": [float(trade.max_quantity) for _, trade in rows],
            "price": [float(trade.entry_value / trade.entry_quantity) for _, trade in rows],
            "gross": [float(trade.gross) for _, trade in rows],
            "costs": [float(trade.costs) for _, trade in rows],
        }
    )
    trades["net"] = trades["gross"] - trades["costs"]
    legs = [leg for _, trade in rows for leg in trade.realisations]
    at = pd.DatetimeIndex([leg.at for leg in legs]).tz_convert(ZONE)
    return trades, pd.DataFrame({"at": at, "net": [float(leg.gross - leg.costs) for leg in legs]})


def table(trades: pd.DataFrame, exits: pd.DataFrame) -> sqlite3.Connection:
    """The same as tables, with a column for each group: SQLite knows neither zones nor buckets."""
    held = (trades["closed"] - trades["opened"]).dt.total_seconds()
    closed = trades["closed"]
    columns = {
        "net": trades["net"], "gross": trades["gross"], "costs": trades["costs"], "held": held,
        "day": closed.dt.strftime("%Y-%m-%d"), "weekday": closed.dt.day_of_week, "hour": closed.dt.hour,
        "month": closed.dt.strftime("%Y-%m"), "symbol": trades["symbol"], "account": trades["account"],
        "side": trades["side"], "holding": np.searchsorted(HOLDING_S.edges, held, "right"),
        "size": np.searchsorted(SIZE.edges, trades["quantity"], "right"),
        "price": np.searchsorted(PRICE.edges, trades["price"], "right"),
    }  # fmt: skip
    database = sqlite3.connect(":memory:")
    pd.DataFrame(columns).to_sql("trades", database, index=False)
    days = pd.DataFrame({"day": exits["at"].dt.strftime("%Y-%m-%d"), "net": exits["net"]})
    days.to_sql("exits", database, index=False)
    return database


def measurements(count: int = 100_000) -> Iterator[tuple[str, float]]:
    """Name and seconds of each way to answer about `count` trades: the best of five rounds in which all take turns."""
    books = day_trader(count)
    segments = [(book, [pack(part) for part in _parts(trades)]) for book, trades in books]
    trades, exits = frames(books)
    database = table(trades, exits)
    ways: dict[str, Callable[[], Found]] = {
        "TradeSense": lambda: ours(segments),
        "pandas + quantstats": lambda: pandas_and_quantstats(trades, exits),
        "plain SQL on SQLite": lambda: plain_sql(database),
    }
    rounds = [[way() for way in ways.values()] for _ in range(5)]
    database.close()
    expected = rounds[0][0]
    for name, found in zip(ways, zip(*rounds, strict=True), strict=True):
        first = found[0]
        assert abs(first.net - expected.net) < 1e-4, f"{name} finds {first.net}, not {expected.net}"
        assert first.sharpe is None or abs(first.sharpe - (expected.sharpe or 0)) < 1e-9, f"{name}: {first.sharpe}"
        yield name, min(one.seconds for one in found)


def _parts(trades: list[Trade]) -> Iterator[list[Trade]]:
    return (trades[first : first + SEGMENT] for first in range(0, len(trades), SEGMENT))


def main() -> None:
    """Print the table."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    print(f"every number of a dashboard over {count:,} trades")
    first = None
    for name, seconds in measurements(count):
        first = first or seconds
        print(f"  {name:<28}{seconds * 1000:8.0f} ms{seconds / first:8.1f} x")


if __name__ == "__main__":
    main()
