"""Changes to an account: whole or not at all, whatever happens to them."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import func, select, update

from tests.tradesense.ingest.conftest import World, generic
from tests.tradesense.ingest.test_importing import FOUR
from tests.tradesense.ingest.test_manual import AAPL
from tradesense.db.engine import WriteConnection
from tradesense.db.generations import AccountBusy, ClaimLost, Tenure, purge
from tradesense.db.tables import accounts, executions
from tradesense.domain.executions import Side
from tradesense.domain.matching import Method
from tradesense.ingest.service import changing
from tradesense.ingest.service.changing import Change, Changes, TooManyDigits, nothing_more
from tradesense.ingest.service.manual import Entered

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


class Interrupted(Exception):
    """Something went wrong in the middle."""


async def _interrupt(_connection: WriteConnection) -> None:
    raise Interrupted


def _changes(world: World, lease: timedelta = timedelta(seconds=5)) -> Changes:
    return Changes(world.database, world.equipment.clock, lease)


async def test_a_change_that_fails_changes_nothing(world: World) -> None:
    await world.take(generic(FOUR))
    before = await world.everything()
    (account,) = await world.accounts()
    with pytest.raises(Interrupted):
        await world.restoring.rebuild(
            world.user, account.id, method=Method.LIFO, multipliers={"AAPL": Decimal(7)}, last=_interrupt
        )
    assert await world.everything() == before
    assert await world.hidden() == 0
    (account,) = await world.accounts()
    assert account.claimed_by is None


async def test_another_method_and_multiplier_match_anew(world: World) -> None:
    rows = [*FOUR[:1], "2026-01-05 10:30:00,AAPL,buy,10,90", "2026-01-05 11:00:00,AAPL,sell,10,101.5"]
    await world.take(generic(rows))
    (account,) = await world.accounts()
    await world.restoring.rebuild(
        world.user, account.id, method=Method.LIFO, multipliers={"AAPL": Decimal(2)}, last=nothing_more
    )
    assert (await world.totals())[2] == Decimal(230)


async def test_a_change_goes_by_the_account_as_whoever_had_it_before_has_left_it(world: World) -> None:
    account, changes = await world.add_account(), _changes(world)

    async def found() -> Method:
        async with changes.to(world.user, [account]) as (change, _):
            return change.destinations[0].account.method

    async with world.database.write() as connection:
        await connection.execute(update(accounts).values(method=Method.LIFO.value))
        finding = asyncio.get_running_loop().create_task(found())
        await asyncio.sleep(0.1)  # time enough to look, and to wait for the row
    assert await finding is Method.LIFO


async def test_of_two_who_choose_the_same_method_one_matches_anew(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.take(generic(FOUR))
    (account,) = await world.accounts()
    matched: list[int] = []

    async def rebuild(change: Change) -> None:
        matched.append(sum(len(each.landings) for each in change.destinations))

    monkeypatch.setattr(Change, "rebuild", rebuild)

    async def keep(connection: WriteConnection) -> None:
        await connection.execute(update(accounts).values(method=Method.LIFO.value))

    for _ in range(2):
        await world.restoring.rebuild(world.user, account.id, method=Method.LIFO, multipliers={}, last=keep)
    assert matched == [2, 0], "books matched anew"


async def test_numbers_that_cannot_be_added_up_are_refused_and_leave_nothing(world: World) -> None:
    account = await world.add_account()
    tiny, huge = Decimal("0." + "0" * 23 + "1"), Decimal("9" * 26)
    for price in (tiny, huge):
        entered = Entered(AAPL, Side.BUY, Decimal("9" * 26), price, LONG_AGO)
        try:
            await world.manual.add(world.user, account, entered)
        except TooManyDigits:
            break
    else:
        pytest.fail("the sum of the two has more than 60 digits")
    assert await world.hidden() == 0


async def test_a_cancelled_change_is_swept_by_the_next_writer(world: World) -> None:
    await world.take(generic(FOUR))
    before = await world.everything()
    (account,) = await world.accounts()
    changes, begun = _changes(world), asyncio.Event()

    async def change() -> None:
        async with changes.to(world.user, [account.id]) as (under_way, _):
            (destination,) = under_way.destinations
            async with under_way.write() as connection:
                dying = update(executions).where(executions.c.account_id == account.id)
                await connection.execute(dying.values(died=destination.claim.generation))
            begun.set()
            await asyncio.sleep(60)

    working = asyncio.gather(change())
    await begun.wait()
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    assert await world.everything() == before
    await world.restoring.rebuild(world.user, account.id, method=Method.FIFO, multipliers={}, last=nothing_more)
    assert await world.everything() == before


async def test_a_change_waits_for_another_and_gives_up_at_last(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changing, "_TRIES", 2)
    account = await world.add_account()
    other = Tenure(world.database, world.equipment.clock, timedelta(minutes=1))
    async with world.database.write() as connection:
        await other.claim(connection, account)
    with pytest.raises(AccountBusy):
        await world.manual.add(world.user, account, Entered(AAPL, Side.BUY, Decimal(1), Decimal(1), LONG_AGO))


async def test_a_change_that_lost_its_claim_writes_nothing_more(world: World) -> None:
    account = await world.add_account()
    changes = _changes(world, timedelta(milliseconds=30))

    async def lose() -> None:
        async with changes.to(world.user, [account]) as (change, _):
            async with world.database.write() as connection:
                await connection.execute(update(accounts).values(claimed_by="another"))
            await asyncio.sleep(0.1)
            async with change.write():
                pytest.fail("the fence is open")

    with pytest.raises(ClaimLost):
        await lose()


async def test_publishing_without_the_claim_is_refused(world: World) -> None:
    account = await world.add_account()
    tenure = Tenure(world.database, world.equipment.clock, timedelta(minutes=1))
    async with world.database.write() as connection:
        await tenure.claim(connection, account)
        await connection.execute(update(accounts).values(claimed_by="another"))

    async def publish() -> None:
        async with world.database.write() as connection:
            await tenure.publish(connection)

    with pytest.raises(ClaimLost):
        await publish()


async def test_what_a_person_deleted_is_purged_after_its_time(world: World) -> None:
    await world.take(generic(FOUR))
    (account,) = await world.accounts()
    place = [column.name for column in executions.c if column.name not in {"born", "died"}].index("id")
    await world.manual.delete(world.user, (await world.rows(executions))[0][place])
    count = select(func.count()).select_from(executions)
    async with world.database.read() as connection:
        assert await connection.scalar(count) == 4
    now = world.equipment.clock.now()
    await purge(world.database, account.id, 2, now - timedelta(days=30))
    async with world.database.read() as connection:
        assert await connection.scalar(count) == 4
    await purge(world.database, account.id, 2, now + timedelta(days=1))
    async with world.database.read() as connection:
        assert await connection.scalar(count) == 3
