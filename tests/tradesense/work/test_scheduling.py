"""What is done again and again: due once per turn for all instances, and caught up with."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keel.locks.contract import LockNotAcquired
from keel.opening import Keel
from tests.application import Hands
from tests.queries import counting
from tradesense.db.engine import Database, Writing
from tradesense.db.fences import FenceLost, Fences
from tradesense.db.tables import TaskState
from tradesense.work import repository
from tradesense.work.repository import TaskRecord
from tradesense.work.service.running import TaskRunner
from tradesense.work.service.scheduling import Scheduler, Turn, chore

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
START, END = datetime(2020, 1, 1), datetime(2040, 1, 1)  # noqa: DTZ001 - hypothesis adds the zone
times = st.datetimes(START, END, timezones=st.just(UTC))


@given(times, st.timedeltas(timedelta(0), DAY - timedelta(microseconds=1)))
def test_a_daily_turn_comes_at_its_time_of_each_day(now: datetime, at: timedelta) -> None:
    turn = Turn(DAY, at)
    following = turn.after(now)
    assert now < following <= now + DAY
    midnight = following.replace(hour=0, minute=0, second=0, microsecond=0)
    assert following - midnight == at
    assert turn.after(following) == following + DAY
    assert turn.first(now) <= now


def test_a_turn_of_an_interval_first_comes_after_one() -> None:
    now = datetime(2026, 3, 2, 12, 7, tzinfo=UTC)
    assert Turn(HOUR).first(now) == now + HOUR
    assert Turn(HOUR).after(now) == now + HOUR


class Instances:
    """Several schedulers on one database, with one clock and the locks of one process."""

    def __init__(self, database: Database, keel: Keel) -> None:
        self.database = database
        self.clock = Hands()
        self.fences = Fences(database, keel.locks)
        self.woken: list[UUID] = []
        self.all = [Scheduler(database, self.clock, self.fences, self.woken.append) for _ in range(3)]
        for each in self.all:
            each.add("tidying", Turn(HOUR))

    async def look(self) -> None:
        """All of them at once; who finds another at it leaves it to them."""

        async def one(scheduler: Scheduler) -> None:
            with contextlib.suppress(LockNotAcquired, FenceLost):
                await scheduler.look()

        await asyncio.gather(*(one(each) for each in self.all))

    async def tasks(self) -> list[TaskRecord]:
        async with self.database.read() as connection:
            return list(await repository.page(connection, None, None, 100))


@pytest.fixture
async def instances(database: Database, keel: Keel) -> Instances:
    return Instances(database, keel)


@pytest.fixture
async def keel() -> AsyncIterator[Keel]:
    async with Keel.open() as keel:
        yield keel


async def test_each_turn_is_queued_once_for_all_instances(instances: Instances) -> None:
    await instances.look()
    assert await instances.tasks() == []
    runner = TaskRunner(instances.database, instances.clock)
    done: list[Writing] = []

    async def tidy(write: Writing) -> None:
        done.append(write)

    runner.handlers["tidying"] = chore(instances.fences, "tidying", tidy)
    for turn in range(3):
        instances.clock.forward(HOUR)
        await instances.look()
        assert [each.state for each in await instances.tasks()].count(TaskState.QUEUED) == 1
        assert len(instances.woken) == turn + 1
        work = await runner.claim()
        assert work is not None
        await work
    assert len(done) == 3


async def test_what_is_new_is_scheduled_by_one_statement(instances: Instances) -> None:
    scheduler = instances.all[0]
    for name in ("sweeping", "polishing"):
        scheduler.add(name, Turn(DAY))
    with counting(instances.database) as asked:
        await scheduler.look()
    assert sum("INTO schedules" in each for each in asked) == 1
    async with instances.database.read() as connection:
        assert sorted(await repository.scheduled(connection)) == ["polishing", "sweeping", "tidying"]


async def test_turns_that_were_missed_are_made_up_for_once(instances: Instances) -> None:
    await instances.look()
    instances.clock.forward(DAY)
    await instances.look()
    await instances.look()
    (task,) = await instances.tasks()
    assert task.kind == "tidying"
    instances.clock.forward(HOUR - timedelta(seconds=1))
    await instances.look()
    assert len(await instances.tasks()) == 1


async def test_a_turn_that_nobody_has_done_yet_is_not_queued_again(instances: Instances) -> None:
    await instances.look()
    for _ in range(3):
        instances.clock.forward(HOUR)
        await instances.look()
    assert len(await instances.tasks()) == 1


async def test_a_scheduler_that_fails_looks_again(
    instances: Instances, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    scheduler, looked = instances.all[0], asyncio.Event()
    failures = [LockNotAcquired("scheduling", 1), RuntimeError("away")]

    async def look() -> None:
        if failures:
            raise failures.pop(0)
        looked.set()

    monkeypatch.setattr(scheduler, "look", look)
    monkeypatch.setattr("tradesense.work.service.scheduling.LOOK", timedelta(milliseconds=1))
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.3):
            await scheduler.run()
    assert looked.is_set()
    assert "cannot be found out" in caplog.text
