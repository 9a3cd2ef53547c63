"""Accounts read again from the kept files."""

from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import update

from tests.tradesense.ingest.conftest import World, generic
from tests.tradesense.ingest.test_importing import FOUR
from tradesense.brokers.contract import Unreadable
from tradesense.db.tables import books


async def test_an_answer_about_suspects_counts_again(world: World, broker_samples: Path) -> None:
    await world.take((broker_samples / "tradovate/orders.csv").read_bytes())
    asked = await world.take((broker_samples / "tradovate/performance.csv").read_bytes())
    await world.answer(asked, suspected_duplicates="skip")
    before = await world.everything()
    (account,) = await world.accounts()
    await world.restoring.rebuild_from_files(world.user, account.id)
    assert await world.everything() == before


async def test_of_a_file_of_two_accounts_each_gets_its_own(world: World) -> None:
    header = "account,datetime,symbol,side,quantity,price"
    await world.take(generic([f"{label},{row}" for label in ("U1", "U2") for row in FOUR], header))
    before = await world.everything()
    for account in await world.accounts():
        await world.restoring.rebuild_from_files(world.user, account.id)
    assert await world.everything() == before


async def test_a_kept_file_that_is_damaged_changes_nothing(world: World) -> None:
    record = await world.take(generic(FOUR))
    before = await world.everything()
    (account,) = await world.accounts()
    world.files.path(record.sha256).write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(Unreadable):
        await world.restoring.rebuild_from_files(world.user, account.id)
    assert await world.everything() == before
    assert await world.hidden() == 0


OPTION = ("2026-01-05 10:00:00,SPY260320C00500000,buy,1,100", "2026-01-05 11:00:00,SPY260320C00500000,sell,1,110")


async def _misread(world: World) -> None:
    """The books' multiplier, as another version has read it."""
    async with world.database.write() as connection:
        await connection.execute(update(books).values(multiplier=5))


async def test_books_get_the_multiplier_that_is_read_now(world: World) -> None:
    await world.take(generic(OPTION[:1]))
    await _misread(world)
    await world.take(generic(OPTION[1:]))
    assert (await world.totals())[2] == Decimal(50)
    (account,) = await world.accounts()
    await world.restoring.rebuild_from_files(world.user, account.id)
    assert (await world.totals())[2] == Decimal(1000)
    assert [row.multiplier for row in await world.rows_of_all(books)] == [Decimal(100)]


async def test_books_keep_their_multiplier_where_a_file_cannot_be_read_again(world: World) -> None:
    await world.take(generic(OPTION[:1]))
    await _misread(world)
    record = await world.take(generic(OPTION[1:]))
    (account,) = await world.accounts()
    world.files.path(record.sha256).write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(Unreadable):
        await world.restoring.rebuild_from_files(world.user, account.id)
    assert (await world.totals())[2] == Decimal(50)
    assert [row.multiplier for row in await world.rows_of_all(books)] == [Decimal(5)]
