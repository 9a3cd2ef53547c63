"""Laws of importing: the order of files makes no difference, rebuilding makes none, and a segment is only a cut."""

import random
from decimal import Decimal
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.tradesense.ingest.conftest import World, generic
from tradesense.db.tables import executions, segments, trades
from tradesense.domain.matching import Method
from tradesense.ingest.service import rebuilding
from tradesense.ingest.service.changing import nothing_more

OF_NOTHING = {"ZZZ": Decimal(2)}
"""Multipliers that no book has, and the account has not had either: so all of it is matched anew."""

QUICK = settings(
    max_examples=5,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # a smaller seed makes no simpler case
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def _rows(chance: random.Random) -> list[str]:
    """Fills of two instruments, many of them in the same minute, sorted by time."""
    minutes = sorted(chance.randrange(30) for _ in range(chance.randint(20, 90)))
    return [
        f"2026-01-05 10:{minute:02}:00,{chance.choice('AB')},{chance.choice(['buy', 'sell'])},"
        f"{chance.randint(1, 3)},{chance.randint(1, 9)}"
        for minute in minutes
    ]


async def _account(world: World) -> UUID:
    there = await world.accounts()
    return there[0].id if there else await world.add_account(broker="generic")


@pytest.fixture(autouse=True)
def _small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rebuilding, "SEGMENT_EXECUTIONS", 4)


async def _forget(world: World) -> None:
    for record in await world.imports.list(world.user, None, 100):
        await world.undoing.undo(world.user, record.id)


async def _result(world: World) -> object:
    return [await world.rows(table) for table in (executions, trades, segments)]


@QUICK
@given(st.randoms(use_true_random=False))
async def test_any_order_of_overlapping_files_gives_the_same_trades(world: World, chance: random.Random) -> None:
    await _forget(world)
    account = await _account(world)
    rows = _rows(chance)
    edges = [sorted(chance.choices(range(len(rows) + 1), k=2)) for _ in range(4)]
    files = [rows[begin:end] for begin, end in edges if begin < end] or [rows]
    for part in files:
        await world.take(generic(part), account_id=account)
    one = await _result(world)
    await _forget(world)
    chance.shuffle(files)
    for part in files:
        await world.take(generic(part), account_id=account)
    assert await _result(world) == one


@QUICK
@given(st.randoms(use_true_random=False))
async def test_rebuilding_gives_what_incremental_imports_gave_bit_for_bit(world: World, chance: random.Random) -> None:
    await _forget(world)
    account = await _account(world)
    rows = _rows(chance)
    edges = sorted({0, len(rows), *chance.choices(range(len(rows)), k=4)})
    parts = [rows[begin:end] for begin, end in pairwise(edges)]
    chance.shuffle(parts)
    for part in parts:
        await world.take(generic(part), account_id=account)
    incremental = await world.everything()
    await world.restoring.rebuild(world.user, account, method=Method.FIFO, multipliers=OF_NOTHING, last=nothing_more)
    assert await world.everything() == incremental
    await world.restoring.rebuild_from_files(world.user, account)
    assert await world.everything() == incremental
    assert await world.hidden() == 0


async def test_what_is_matched_from_memory_is_what_is_matched_when_read_back(world: World) -> None:
    numbers = ("1.50", "100", "0.30", "1,000.00", "3")
    rows = [
        f"2026-01-05 10:{n:02}:00,{'AB'[n % 2]},{'sell' if n % 7 % 3 == 2 else 'buy'},{numbers[n % 5]!r},"
        f"{n}.{n:02}0,0.{n % 10}0,1.10"
        for n in range(60)
    ]
    header = "datetime,symbol,side,quantity,price,commission,fees"
    await world.take(generic(rows, header).replace(b"'", b'"'))
    from_memory = await world.everything()
    (account,) = await world.accounts()
    await world.restoring.rebuild(world.user, account.id, method=Method.FIFO, multipliers=OF_NOTHING, last=nothing_more)
    assert len(from_memory["executions"]) == 60
    assert await world.everything() == from_memory
