"""Accounts read again from the kept files."""

from pathlib import Path

import pytest

from tests.tradesense.ingest.conftest import World, generic
from tests.tradesense.ingest.test_importing import FOUR
from tradesense.brokers.contract import Unreadable


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
