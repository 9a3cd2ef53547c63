"""What one instance does for all: the others leave it alone, and whoever stood still too long writes nothing more."""

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine
from datetime import timedelta
from typing import Any, TypeVar

import pytest
from sqlalchemy import func, select

from keel.locks.contract import LockNotAcquired
from keel.opening import Keel
from tests.tradesense.db.copies import Instance, Start
from tests.valkey import free_port
from tradesense.db import fences as db_fences
from tradesense.db.engine import Database, Writing
from tradesense.db.fences import FenceLost, Fences
from tradesense.db.tables import fences, users

WORK = "some work"

T = TypeVar("T")


class Pair:
    """Two instances with the same locks."""

    def __init__(self, here: Instance, there: Instance) -> None:
        self.here, self.there = here, there


@pytest.fixture
async def pair(start: Start) -> Pair:
    return Pair(await start(), await start())


@pytest.fixture
async def forgotten(migrated_url: str) -> AsyncIterator[Pair]:
    """Two instances between which locks hold no more, as when a server has been emptied."""
    pair = Pair(Instance(migrated_url), Instance(migrated_url))
    yield pair
    await pair.here.close()
    await pair.there.close()


async def _count(write: Writing) -> int:
    async with write() as connection:
        return (await connection.execute(select(func.count()).select_from(users))).scalar_one()


async def _wait(instance: Instance) -> None:
    async with instance.fences.alone(WORK, wait=timedelta(seconds=20)) as write:
        assert await _count(write) == 0


def _start(work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    return asyncio.get_running_loop().create_task(work)


async def test_of_two_instances_one_does_it_and_the_other_leaves_it(pair: Pair) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()
    done: list[str] = []

    async def slowly(_write: Writing) -> None:
        begun.set()
        await go_on.wait()
        done.append("here")

    async def at_once(_write: Writing) -> None:
        done.append("there")

    doing = _start(pair.here.fences.once(WORK, slowly))
    await begun.wait()
    assert not await pair.there.fences.once(WORK, at_once)
    assert await pair.there.fences.once("other work", at_once)
    go_on.set()
    assert await doing
    assert done == ["there", "here"]
    assert await pair.there.fences.once(WORK, at_once)


async def test_who_waits_comes_after(pair: Pair) -> None:
    async with pair.here.fences.alone(WORK):
        with pytest.raises(LockNotAcquired):
            async with pair.there.fences.alone(WORK):
                raise AssertionError("never inside")
        waiting = _start(_wait(pair.there))
    await waiting


async def test_a_holder_after_whom_another_was_let_in_writes_nothing(forgotten: Pair) -> None:
    async with forgotten.here.fences.alone(WORK) as old:
        assert await _count(old) == 0
        async with forgotten.there.fences.alone(WORK) as new:
            with pytest.raises(FenceLost):
                await _count(old)
            assert await _count(new) == 0
        with pytest.raises(FenceLost):
            await _count(old)


async def test_work_that_was_taken_over_counts_as_not_done(forgotten: Pair, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger=db_fences.__name__)

    async def overtaken(write: Writing) -> None:
        assert await forgotten.there.fences.once(WORK, _count)
        await _count(write)

    assert not await forgotten.here.fences.once(WORK, overtaken)
    assert "taken over" in caplog.text


async def test_nobody_is_let_in_with_an_older_token(forgotten: Pair) -> None:
    async with forgotten.here.database.write() as connection:
        await connection.execute(fences.insert().values(name=WORK, fence=1 << 62))
    with pytest.raises(FenceLost):
        async with forgotten.here.fences.alone(WORK):
            raise AssertionError("never inside")
    assert not await forgotten.here.fences.once(WORK, _count)


async def test_a_transaction_that_has_shown_its_token_ends_before_another_is_let_in(forgotten: Pair) -> None:
    order: list[str] = []

    async def come_after() -> None:
        async with forgotten.there.fences.alone(WORK):
            order.append("let in")

    async with forgotten.here.fences.alone(WORK) as write:
        async with write():
            coming = _start(come_after())
            await asyncio.sleep(0.05)  # time enough to be let in, were it possible
            order.append("about to commit")
        await coming
    assert order == ["about to commit", "let in"]


async def test_a_holder_that_stood_still_beyond_its_lease_is_refused(
    migrated_url: str, redis_url: str, redis_namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(db_fences, "TTL", timedelta(seconds=0.2))
    here, there = Database(migrated_url), Database(migrated_url)
    async with (
        Keel.open(redis_url, redis_namespace) as one,
        Keel.open(redis_url, redis_namespace) as other,
        Fences(here, one.locks).alone(WORK) as old,
    ):
        time.sleep(0.3)  # noqa: ASYNC251 - the process stands still, and renews nothing
        async with Fences(there, other.locks).alone(WORK, wait=timedelta(seconds=20)) as new:
            assert await _count(new) == 0
        with pytest.raises(FenceLost):
            await _count(old)
    await here.close()
    await there.close()


async def test_without_the_server_of_locks_the_work_is_done_and_the_last_to_begin_does_it(migrated_url: str) -> None:
    database = Database(migrated_url)
    async with Keel.open(f"redis://127.0.0.1:{free_port()}/0", "ns") as keel:
        sole = Fences(database, keel.locks)
        assert await sole.once(WORK, _count)
        async with sole.alone(WORK) as old, sole.alone(WORK) as new:
            with pytest.raises(FenceLost):
                await _count(old)
            assert await _count(new) == 0
    await database.close()


async def test_once_the_locks_are_back_their_tokens_are_newer_than_what_was_given_without(pair: Pair) -> None:
    unlocked = pair.here.fences
    assert await unlocked._raise(WORK, None) == 1
    async with pair.there.fences.alone(WORK) as write:
        assert await _count(write) == 0
        with pytest.raises(FenceLost):
            await _count(unlocked._behind(WORK, 1))
        given = await unlocked._raise(WORK, None)
        with pytest.raises(FenceLost):
            await _count(write)
        assert await _count(unlocked._behind(WORK, given)) == 0
