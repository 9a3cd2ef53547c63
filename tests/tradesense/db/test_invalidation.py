"""Between a commit and its answer copies are thrown away, whatever happens to whoever asked for the write."""

import asyncio
import random
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy.exc import IntegrityError

from keel.ids import uuid7
from keel.tasks import Tasks
from tests.tradesense.db.copies import Instance, tag
from tradesense.db.invalidation import account_tag
from tradesense.http.versions import raise_data_version


async def test_a_write_is_committed_then_its_copies_go_and_then_it_is_answered(instance: Instance) -> None:
    user, accounts, order = await instance.add_user(), [uuid7(), uuid7()], list[str]()

    async def look() -> None:
        order.append(f"invalidated with {len(await instance.outbox())} row committed")

    instance.copies.before = look
    await instance.write(user, accounts)
    order.append("answered")
    assert order == ["invalidated with 1 row committed", "answered"]
    assert instance.copies.told == [tag(user), *map(account_tag, accounts)]


async def test_the_tags_of_a_transaction_are_named_once_and_those_of_all_accounts_by_their_user(
    instance: Instance,
) -> None:
    user, account = await instance.add_user(), uuid7()
    async with instance.database.write() as connection:
        for accounts in ([account], [account], None):
            await raise_data_version(connection, user, accounts)
    assert instance.copies.told == [tag(user), account_tag(account)]


async def test_the_writer_is_free_while_copies_are_thrown_away(instance: Instance) -> None:
    first, second = await instance.add_user(), await instance.add_user()

    async def write_another() -> None:
        instance.copies.before = None
        await instance.write(second)

    instance.copies.before = write_another
    await asyncio.wait_for(instance.write(first), 10)
    assert instance.copies.told == [tag(second), tag(first)]


async def test_what_is_done_is_marked_in_the_background(instance: Instance) -> None:
    user = await instance.add_user()
    await instance.write(user)
    assert await instance.undone() == 1
    instance.invalidations.start(instance.database)
    await instance.write(user)
    await instance.settle()
    await instance.write(user)
    await instance.settle()
    assert [row.done_at for row in await instance.outbox()] == [instance.clock.now()] * 3


async def test_what_is_done_is_marked_before_the_end(migrated_url: str, instance: Instance) -> None:
    ending = Instance(migrated_url)
    await ending.write(await ending.add_user())
    assert await instance.undone() == 1
    await ending.close()
    assert await instance.undone() == 0


async def test_an_invalidation_that_fails_fails_no_write_and_leaves_its_row_undone(
    instance: Instance, caplog: pytest.LogCaptureFixture
) -> None:
    user = await instance.add_user()

    async def fail() -> None:
        raise OSError("away")

    instance.copies.before = fail
    instance.invalidations.start(instance.database)
    assert await instance.write(user) == 1
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    instance.copies.before = None
    other = await instance.add_user()
    await instance.write(other)
    await instance.settle(but=1)
    assert [row.user_id for row in await instance.outbox() if row.done_at is None] == [user]
    await instance.look()
    assert await instance.look(timedelta(seconds=1)) == [tag(user)]
    assert await instance.undone() == 0


async def test_whoever_is_cancelled_after_the_commit_leaves_no_copies(instance: Instance) -> None:
    user, reached, released = await instance.add_user(), asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        reached.set()
        await released.wait()

    instance.copies.before = wait
    instance.invalidations.start(instance.database)
    async with Tasks() as tasks:
        writing = tasks.start("a request", instance.write(user))
        await reached.wait()
        writing.cancel()
        await asyncio.wait([writing])
        assert writing.cancelled()
    assert instance.copies.told == []
    released.set()
    await instance.copies.hears(tag(user))
    await instance.settle()


async def test_whenever_a_write_is_cancelled_all_that_is_committed_is_invalidated_in_the_end(
    instance: Instance,
) -> None:
    user, chance, cancelled = await instance.add_user(), random.Random(11), 0
    async with Tasks() as tasks:
        for _ in range(100):
            writing = tasks.start("a request", instance.write(user, [uuid7()]))
            await asyncio.sleep(chance.uniform(0, 0.006))
            writing.cancel()
            await asyncio.wait([writing], timeout=10)
            cancelled += writing.cancelled()
    assert cancelled > 10
    await instance.write(user, [uuid7()])
    told = instance.copies.taken()
    told += await instance.look()
    told += await instance.look(timedelta(seconds=1))
    committed = [account_tag(UUID(account)) for row in await instance.outbox() for account in row.accounts]
    assert committed
    assert {*committed} <= {*told}
    assert await instance.undone() == 0


async def test_a_commit_that_is_cut_short_is_taken_for_one_that_may_come_to_pass(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = await instance.add_user()
    dialect = instance.database._hurried.writer.sync_engine.dialect
    commit = dialect.do_commit

    def commit_and_fail(connection: object) -> None:
        commit(connection)  # type: ignore[arg-type]
        raise asyncio.CancelledError

    instance.invalidations.start(instance.database)
    with monkeypatch.context() as patch:
        patch.setattr(dialect, "do_commit", commit_and_fail)
        with pytest.raises(asyncio.CancelledError):
            await instance.write(user)
    await instance.copies.hears(tag(user))
    await instance.write(other := await instance.add_user())
    await instance.settle(but=1)
    assert [(row.user_id, row.done_at is None) for row in await instance.outbox()] == [(user, True), (other, False)]
    await instance.look()
    assert await instance.look(timedelta(seconds=1)) == [tag(user)]


async def test_a_statement_that_fails_at_the_commit_leaves_no_row(instance: Instance) -> None:
    user = await instance.add_user()

    async def fail() -> None:
        async with instance.database.write() as connection:
            await raise_data_version(connection, user)
            raise IntegrityError("", None, ValueError())

    with pytest.raises(IntegrityError):
        await fail()
    assert await instance.outbox() == []
