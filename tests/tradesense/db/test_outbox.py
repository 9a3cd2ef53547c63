"""Rows of the outbox: written with what they tell of, read by each follower once, forgotten when they are done."""

import asyncio
import random
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest
from sqlalchemy import select

from keel.ids import uuid7
from tests.tradesense.db.copies import Instance, Start
from tradesense.db import outbox
from tradesense.db.engine import Database
from tradesense.db.outbox import Position
from tradesense.db.tables import users
from tradesense.db.writes import Write
from tradesense.http.versions import raise_data_version


class Reader:
    """Reads on from where it stood."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._position: Position | None = None

    async def read(self) -> list[Write]:
        async with self._database.read() as connection:
            before, name = self._position, uuid7()
            found = await outbox.glance(connection, before, name)
            self._position = found.position
            if before is None:
                return []
            news = [write async for part in outbox.since(connection, before, name) for write in part]
            assert found.is_any_new == bool(news)
            return news


async def test_a_write_leaves_a_row_that_says_whose_it_is_and_which_version_it_made(instance: Instance) -> None:
    user, account = await instance.add_user(), uuid7()
    assert [await instance.write(user, [account]), await instance.write(user)] == [1, 2]
    first, second = await instance.outbox()
    assert (first.user_id, first.version, first.accounts) == (user, 1, [str(account)])
    assert (second.user_id, second.version, second.accounts) == (user, 2, None)
    assert first.origin == second.origin == instance.database.origin
    assert abs(first.created_at - instance.clock.now()) < timedelta(minutes=1)
    assert first.done_at is None


async def test_a_write_that_is_rolled_back_leaves_nothing_and_nobody_hears_of_it(instance: Instance) -> None:
    user = await instance.add_user()

    async def fail() -> None:
        async with instance.database.write() as connection:
            await raise_data_version(connection, user)
            raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        await fail()
    assert await instance.outbox() == []
    assert instance.copies.told == []
    async with instance.database.read() as connection:
        assert await connection.scalar(select(users.c.data_version)) == 0


async def test_instances_have_names_of_their_own(start: Start) -> None:
    origins = [(await start()).database.origin for _ in range(3)]
    assert len(set(origins)) == 3


async def test_a_row_that_becomes_visible_after_a_later_one_is_not_skipped(start: Start) -> None:
    one, other, follower = await start(), await start(), await start()
    if one.database.dialect == "sqlite":
        pytest.skip("SQLite has one writer: its rows become visible in order")
    reader, early, late = Reader(follower.database), await one.add_user(), await one.add_user()
    await reader.read()
    async with AsyncExitStack() as stack:
        connection = await stack.enter_async_context(one.database.write())
        await raise_data_version(connection, early)
        await other.write(late)
        assert [write.user_id for write in await reader.read()] == [late]
        assert await reader.read() == []
    assert [write.user_id for write in await reader.read()] == [early]
    first, second = await one.outbox()
    assert (first.user_id, second.user_id) == (early, late)
    assert await reader.read() == []


async def test_a_follower_reads_every_write_once_whatever_the_order_of_commits(start: Start) -> None:
    writers, follower, chance = [await start(), await start()], await start(), random.Random(7)
    owners = [await writers[0].add_user() for _ in range(8)]
    reader, found = Reader(follower.database), list[int]()
    await reader.read()

    async def write(number: int) -> None:
        user, pauses = owners[number], [chance.uniform(0, 0.01) for _ in range(20)]
        for pause in pauses:
            async with writers[number % 2].database.write() as connection:
                await raise_data_version(connection, user)
                await asyncio.sleep(pause)

    async def follow(writing: asyncio.Future[list[None]]) -> None:
        while not writing.done():
            found.extend(write.id for write in await reader.read())

    await follow(asyncio.gather(*(write(number) for number in range(len(owners)))))
    found.extend(write.id for write in await reader.read())
    assert len(found) == 160
    assert sorted(found) == [row.id for row in await follower.outbox()]


async def test_rows_are_forgotten_an_hour_after_they_are_done_and_undone_ones_never(instance: Instance) -> None:
    user = await instance.add_user()
    for _ in range(2):
        await instance.write(user)
    done, undone = await instance.outbox()
    async with instance.database.write() as connection:
        await outbox.mark_done(connection, [done.id], instance.clock.now())
    instance.clock.forward(timedelta(minutes=59))
    assert await instance.replay.forget(instance.database.write) == 0
    instance.clock.forward(timedelta(minutes=2))
    assert await instance.replay.forget(instance.database.write) == 1
    assert [row.id for row in await instance.outbox()] == [undone.id]


async def test_an_id_that_was_forgotten_is_not_given_again(instance: Instance) -> None:
    user, reader = await instance.add_user(), Reader(instance.database)
    await instance.write(user)
    await reader.read()
    (row,) = await instance.outbox()
    async with instance.database.write() as connection:
        await outbox.mark_done(connection, [row.id], instance.clock.now())
    instance.clock.forward(timedelta(hours=2))
    assert await instance.replay.forget(instance.database.write) == 1
    await instance.write(user)
    assert [write.id > row.id for write in await reader.read()] == [True]
