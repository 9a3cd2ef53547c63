"""Lanes and who looks for them."""

import asyncio
from collections.abc import Coroutine
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Exists, exists, false, literal, select, true

from keel.tasks import Tasks
from tests.application import Hands
from tests.queries import counting
from tradesense.db.engine import Database
from tradesense.db.postgresql import hurries
from tradesense.work.service import lanes
from tradesense.work.service.lanes import Lane, Lookout


class Desk:
    """A queue that nobody is woken for; `has_work` is what SQL says, once it is asked again where it `fails`."""

    def __init__(self) -> None:
        self.has_work = False
        self.fails = False
        self.asked = asyncio.Semaphore(0)

    def waiting(self, _now: datetime) -> Exists:
        if self.fails:
            self.fails = False
            raise OSError("the database is away")
        return exists(select(literal(1)).where(true() if self.has_work else false()))

    async def claim(self) -> Coroutine[Any, Any, None] | None:
        self.asked.release()
        return None


async def test_one_statement_looks_for_all_lanes_and_wakes_those_that_have_something(database: Database) -> None:
    lookout, idle, busy = Lookout(database, Hands()), Desk(), Desk()
    async with asyncio.timeout(10), Tasks() as tasks:
        for desk in (idle, busy):
            lane = Lane("a desk", desk, tasks, poll=None)
            lookout.add(lane, desk)
            lane.start()
            await desk.asked.acquire()
        busy.has_work = True
        with counting(database) as statements:
            await lookout.look()
        await busy.asked.acquire()
        assert idle.asked.locked()
        assert len({each for each in statements if each.startswith("SELECT")}) == 1


async def test_work_takes_its_time_and_who_looks_for_it_does_not() -> None:
    noted, done = [], asyncio.Semaphore(0)

    async def work() -> None:
        noted.append(("work", hurries()))
        done.release()

    class Pile:
        async def claim(self) -> Coroutine[Any, Any, None] | None:
            noted.append(("claim", hurries()))
            return work()

    async with asyncio.timeout(10), Tasks() as tasks:
        lane = Lane("a pile", Pile(), tasks, at_once=1)
        lane.start()
        await done.acquire()
        await lane.work()
        await done.acquire()
    assert set(noted) == {("claim", True), ("work", False)}


async def test_an_outage_of_the_database_does_not_end_the_looking(
    database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(lanes, "POLL", timedelta(milliseconds=1))
    lookout, desk = Lookout(database, Hands()), Desk()
    desk.fails, desk.has_work = True, True
    async with asyncio.timeout(10), Tasks() as tasks:
        lane = Lane("a desk", desk, tasks, poll=None)
        lookout.add(lane, desk)
        lane.start()
        await desk.asked.acquire()
        tasks.start("looking", lookout.run())
        await desk.asked.acquire()
    assert "the queues cannot be read" in caplog.text
