"""Executions entered and deleted by hand."""

import asyncio
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from keel.ids import uuid7
from tests.tradesense.ingest.conftest import World, generic
from tests.tradesense.ingest.test_importing import FOUR
from tradesense.accounts.service import AccountNotFound
from tradesense.db.tables import executions, trades
from tradesense.domain.executions import Side
from tradesense.domain.instruments import AssetClass, Instrument
from tradesense.ingest.service.changing import Change
from tradesense.ingest.service.manual import Entered, ExecutionNotFound

AAPL = Instrument("AAPL", AssetClass.STOCK, "USD", "AAPL")


def _entered(side: Side, hour: int, price: str, quantity: int = 10) -> Entered:
    return Entered(AAPL, side, Decimal(quantity), Decimal(price), datetime(2026, 1, 5, hour, tzinfo=UTC))


async def test_an_execution_by_hand_makes_a_trade_at_once(world: World) -> None:
    account = await world.add_account()
    _, first = await world.manual.add(world.user, account, _entered(Side.BUY, 10, "100"))
    _, second = await world.manual.add(world.user, account, _entered(Side.SELL, 11, "101.5"))
    assert second == first + 1
    assert await world.totals() == (2, 1, Decimal(15))
    assert await world.hidden() == 0


async def test_an_execution_that_lands_before_others_rematches_them(world: World) -> None:
    await world.take(generic(FOUR))
    (account,) = await world.accounts()
    await world.manual.add(world.user, account.id, _entered(Side.BUY, 9, "90"))
    assert await world.totals() == (5, 2, Decimal(115))


async def test_deleting_an_execution_rematches_its_book_and_keeps_it_for_a_while(world: World) -> None:
    account = await world.add_account()
    kept, _ = await world.manual.add(world.user, account, _entered(Side.BUY, 10, "100"))
    gone, _ = await world.manual.add(world.user, account, _entered(Side.SELL, 11, "101.5"))
    await world.manual.delete(world.user, gone)
    assert await world.totals() == (1, 1, Decimal(0))
    assert [row[0] for row in await world.rows(executions)] == [kept]
    assert await world.hidden() == 1
    with pytest.raises(ExecutionNotFound):
        await world.manual.delete(world.user, gone)


async def test_an_imported_execution_can_be_deleted_and_comes_back_with_its_file(world: World) -> None:
    await world.take(generic(FOUR))
    before = await world.rows(trades)
    (account,) = await world.accounts()
    place = [column.name for column in executions.c].index("id") - 2
    await world.manual.delete(world.user, (await world.rows(executions))[0][place])
    assert len(await world.rows(executions)) == 3
    await world.restoring.rebuild_from_files(world.user, account.id)
    assert len(await world.rows(executions)) == 3
    again = await world.take(generic(FOUR))
    assert again.executions == 1
    assert await world.rows(trades) == before


async def test_two_at_once_wait_for_each_other(world: World) -> None:
    account = await world.add_account()
    await asyncio.gather(*(world.manual.add(world.user, account, _entered(Side.BUY, hour, "100")) for hour in range(5)))
    assert (await world.totals())[0] == 5


async def test_what_is_not_there_is_refused(world: World) -> None:
    with pytest.raises(AccountNotFound):
        await world.manual.add(world.user, uuid7(), _entered(Side.BUY, 10, "100"))
    with pytest.raises(ExecutionNotFound):
        await world.manual.delete(world.user, uuid7())


async def test_a_deletion_shows_only_once_it_is_published(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    account = await world.add_account()
    added, _ = await world.manual.add(world.user, account, _entered(Side.BUY, 10, "100"))

    async def fail(_change: Change) -> None:
        raise RuntimeError("on purpose")

    with monkeypatch.context() as patch:
        patch.setattr(Change, "rebuild", fail)
        with pytest.raises(RuntimeError, match="on purpose"):
            await world.manual.delete(world.user, added)
    (row,) = await world.rows_of_all(executions)
    assert row.deleted_at is None
