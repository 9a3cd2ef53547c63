"""The imagined trader behind the demo account."""

import csv
from collections import Counter, defaultdict
from datetime import date, datetime, time

from hypothesis import given, settings
from hypothesis import strategies as st

from tradesense.cli.demo_trades import HEADER, HELD, ImaginedTrader, demo_csv

LAST_DAY = date(2026, 11, 20)


def test_the_same_seed_and_day_give_the_same_file() -> None:
    assert demo_csv(LAST_DAY) == demo_csv(LAST_DAY)
    assert demo_csv(LAST_DAY, seed=8) != demo_csv(LAST_DAY)


def test_the_file_is_in_the_generic_format_with_an_id_for_every_fill() -> None:
    rows = list(csv.DictReader(demo_csv(LAST_DAY, days=30).decode().splitlines()))
    assert set(rows[0]) == set(HEADER)
    assert len({row["id"] for row in rows}) == len(rows) > 50
    assert {row["asset_class"] for row in rows} == {"future", "stock"}
    times = [datetime.fromisoformat(row["datetime"]) for row in rows]
    assert times == sorted(times)


def test_a_future_is_named_by_the_contract_of_its_quarter() -> None:
    names = Counter(fill.market.symbol(fill.at.date()) for fill in ImaginedTrader(7, LAST_DAY, 200).fills())
    assert {name for name in names if name.startswith("MNQ")} == {"MNQM6", "MNQU6", "MNQZ6"}


@given(st.integers(0, 10**6), st.dates(date(2000, 1, 1), date(2050, 1, 1)))
@settings(max_examples=15, deadline=None)
def test_every_day_trade_is_flat_when_its_day_ends_and_one_purchase_is_held(seed: int, last_day: date) -> None:
    positions: dict[tuple[str, object], int] = defaultdict(int)
    for fill in ImaginedTrader(seed, last_day, 40).fills():
        assert fill.at.date().weekday() < 5
        assert time(9, 30) <= fill.at.time() < time(16)
        assert fill.quantity > 0 < fill.ticks
        day = None if fill.market is HELD else fill.at.date()
        positions[fill.market.root, day] += fill.quantity if fill.buy else -fill.quantity
    assert {key: size for key, size in positions.items() if size} == {("XOM", None): HELD.size}
