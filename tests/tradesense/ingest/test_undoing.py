"""Imports taken back."""

import os
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import update

from tests.tradesense.ingest.conftest import World, generic
from tests.tradesense.ingest.test_importing import FOUR
from tradesense.db.generations import AccountBusy, Tenure
from tradesense.db.tables import ImportStatus, cash_movements, executions, files, imports, segments, trades
from tradesense.ingest.repository.queue import ImportNotFound

NOTHING = (0, 0, 0)


async def test_undoing_an_import_takes_its_executions_and_trades_back(world: World) -> None:
    record = await world.take(generic(FOUR))
    await world.undoing.undo(world.user, record.id)
    assert await world.totals() == NOTHING
    assert await world.rows(segments) == []
    assert await world.hidden() == 0
    with pytest.raises(ImportNotFound):
        await world.imports.get(world.user, record.id)


async def test_an_execution_goes_with_its_last_source(world: World) -> None:
    first = await world.take(generic(FOUR[:3]))
    second = await world.take(generic(FOUR[1:]))
    await world.undoing.undo(world.user, first.id)
    assert len(await world.rows(executions)) == 3
    await world.undoing.undo(world.user, second.id)
    assert await world.totals() == NOTHING


async def test_what_was_taken_back_can_come_again(world: World) -> None:
    record = await world.take(generic(FOUR))
    before = await world.rows(executions), await world.rows(trades)
    await world.undoing.undo(world.user, record.id)
    await world.take(generic(FOUR))
    assert (await world.rows(executions), await world.rows(trades)) == before


async def test_undoing_one_of_two_files_leaves_what_the_other_alone_would_have_made(world: World) -> None:
    header = "datetime,symbol,side,quantity,price"
    late = ["2026-01-05,AAPL,buy,1,10", "2026-01-05,AAPL,sell,2,11", "2026-01-05,AAPL,buy,3,12"]
    await world.take(generic(late[1:], header))
    alone = await world.rows(executions), await world.rows(trades)
    both = await world.take(generic(late, header))
    assert (await world.rows(executions), await world.rows(trades)) != alone
    await world.undoing.undo(world.user, both.id)
    assert (await world.rows(executions), await world.rows(trades)) == alone
    assert await world.hidden() == 0


async def test_an_import_that_waits_for_an_answer_is_deleted_at_once(world: World) -> None:
    record = await world.take(generic(["01/02/2026 10:00:00,AAPL,buy,10,100"]))
    await world.undoing.undo(world.user, record.id)
    with pytest.raises(ImportNotFound):
        await world.answer(record, date_order="dmy")


async def test_cash_movements_go_with_their_last_source(world: World, broker_samples: Path) -> None:
    content = (broker_samples / "ibkr/flex-statement.xml").read_bytes()
    records = [await world.take(content, name="flex.xml") for _ in range(2)]
    moved = await world.rows(cash_movements)
    await world.undoing.undo(world.user, records[0].id)
    assert await world.rows(cash_movements) == moved
    await world.undoing.undo(world.user, records[1].id)
    assert await world.rows(cash_movements) == []


async def test_an_account_that_is_being_imported_into_is_busy(world: World) -> None:
    record = await world.take(generic(FOUR))
    waiting = await world.upload(generic(FOUR[:1]))
    claimed = await world.runner._claim()
    assert claimed is not None
    tenure: Tenure = claimed[1]
    (account,) = await world.accounts()
    async with world.database.write() as connection:
        await tenure.claim(connection, account.id)
    with pytest.raises(AccountBusy) as refused:
        await world.undoing.undo(world.user, record.id)
    assert refused.value.retry_after is not None
    async with world.database.write() as connection:
        await tenure.release(connection)
    await world.undoing.undo(world.user, record.id)
    assert (await world.totals())[0] == 0
    assert (await world.imports.get(world.user, waiting.id)).status is ImportStatus.RUNNING


async def test_a_large_import_is_taken_back_page_by_page(world: World) -> None:
    rows = [
        f"2026-01-{1 + number // 1440 % 28:02} {number // 60 % 24:02}:{number % 60:02}:00,S{number % 7},"
        f"{'buy' if number // 7 % 2 else 'sell'},1,{100 + number % 13}"
        for number in range(1300)
    ]
    first = await world.take(generic(rows))
    extra = await world.take(generic(["2026-03-01 10:00:00,S1,buy,1,5"]))
    assert first.executions == 1300
    await world.undoing.undo(world.user, first.id)
    assert await world.totals() == (1, 1, Decimal(0))
    await world.undoing.undo(world.user, extra.id)
    assert await world.hidden() == 0


async def test_a_deleted_import_is_forgotten_after_its_time_and_its_file_with_it(world: World) -> None:
    kept, gone = await world.take(generic(FOUR)), await world.take(generic(FOUR[:1]))
    await world.undoing.undo(world.user, gone.id)
    await world.imports.purge_deleted(world.database.write)
    assert world.files.path(gone.sha256).exists()
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    async with world.database.write() as connection:
        await connection.execute(update(imports).where(imports.c.id == gone.id).values(deleted_at=long_ago))
        await connection.execute(update(files).values(created_at=long_ago))
    for record in (kept, gone):
        os.utime(world.files.path(record.sha256), (0, 0))
    await world.imports.purge_deleted(world.database.write)
    assert not world.files.path(gone.sha256).exists()
    assert world.files.path(kept.sha256).exists()
    assert [record.id for record in await world.imports.list(world.user, None, 10)] == [kept.id]
