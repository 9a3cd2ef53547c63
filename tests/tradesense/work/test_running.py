"""The queue of tasks and who runs them: states, attempts, leases, and an effect that happens once."""

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Table, insert, select, update

from keel.errors import Conflict
from keel.tasks import Tasks
from tests.application import Hands
from tradesense.db.engine import Database
from tradesense.db.tables import TaskState, schedules, tasks
from tradesense.work.repository import TaskRecord
from tradesense.work.service import running
from tradesense.work.service.queue import TaskQueue
from tradesense.work.service.running import DIED, LEASE, MOST_ATTEMPTS, TaskRun, TaskRunner


class Office:
    """A queue, who runs it, and a table in which an effect shows: each is a row of `schedules`."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.clock = Hands()
        self.woken: list[UUID] = []
        self.queue = TaskQueue(database, self.clock, self.woken.append)
        self.runner = TaskRunner(database, self.clock)
        self.began: list[TaskRun] = []
        self.fails: list[Exception] = []
        self.runner.handlers["count"] = self.count

    async def count(self, run: TaskRun) -> None:
        self.began.append(run)
        if self.fails:
            raise self.fails.pop()
        async with run.finishing() as connection:
            await connection.execute(insert(schedules).values(name=str(run.record.id), due_at=self.clock.now()))

    async def add(self, subject: str = "") -> UUID:
        task_id = await self.queue.add("count", subject)
        assert task_id is not None
        return task_id

    async def add_endless(self) -> tuple[UUID, Coroutine[Any, Any, None], asyncio.Event]:
        """A task that never ends: its id, what runs it, and what is set once it has begun."""
        began = asyncio.Event()

        async def never(_run: TaskRun) -> None:
            began.set()
            await asyncio.Event().wait()

        self.runner.handlers["count"] = never
        task_id, claimed = await self.add(), await self.runner.claim()
        assert claimed is not None
        return task_id, claimed, began

    async def work(self) -> bool:
        claimed = await self.runner.claim()
        if claimed is not None:
            await claimed
        return claimed is not None

    async def task(self, task_id: UUID) -> TaskRecord:
        found = {each.id: each for each in await self.queue.page(None, None, 100)}
        return found[task_id]

    async def effects(self) -> int:
        return await self.count_of(schedules)

    async def count_of(self, table: Table[Any]) -> int:
        async with self.database.read() as connection:
            return len((await connection.execute(select(table))).all())


@pytest.fixture
def office(database: Database) -> Office:
    return Office(database)


async def test_a_task_is_done_once_with_its_effect(office: Office) -> None:
    task_id = await office.add()
    assert office.woken == [task_id]
    assert await office.work()
    assert not await office.work()
    done = await office.task(task_id)
    assert (done.state, done.attempts, done.claimed_by) == (TaskState.DONE, 1, None)
    assert done.finished_at == office.clock.now()
    assert await office.effects() == 1


async def test_of_those_who_come_at_once_one_gets_the_task(office: Office) -> None:
    await office.add()
    claimed = await asyncio.gather(*(office.runner.claim() for _ in range(4)))
    works = [each for each in claimed if each is not None]
    assert len(works) == 1
    await works[0]
    assert await office.effects() == 1


async def test_one_that_was_taken_over_has_no_effect(office: Office) -> None:
    task_id = await office.add()
    slow = await office.runner.claim()
    office.clock.forward(LEASE * 2)
    quick = await office.runner.claim()
    assert slow is not None
    assert quick is not None
    await quick
    await slow
    assert await office.effects() == 1
    assert (await office.task(task_id)).state is TaskState.DONE


async def test_one_that_fails_after_it_was_taken_over_changes_nothing(office: Office) -> None:
    task_id = await office.add()
    slow = await office.runner.claim()
    office.clock.forward(LEASE * 2)
    assert await office.work()
    office.fails.append(RuntimeError("too late"))
    assert slow is not None
    await slow
    assert (await office.task(task_id)).state is TaskState.DONE


async def test_one_that_fails_is_tried_again_later_and_later_and_then_parked(office: Office) -> None:
    task_id = await office.add()
    pauses: list[timedelta] = []
    for attempt in range(MOST_ATTEMPTS):
        office.fails.append(RuntimeError(f"attempt {attempt}, password=hunter2, me@example.com"))
        assert await office.work()
        found = await office.task(task_id)
        assert found.attempts == attempt + 1
        if found.state is TaskState.QUEUED:
            pauses.append(found.run_after - office.clock.now())
            assert not await office.work()
            office.clock.forward(pauses[-1])
    parked = await office.task(task_id)
    assert parked.state is TaskState.PARKED
    assert parked.error is not None
    assert "RuntimeError: attempt 4" in parked.error
    assert "hunter2" not in parked.error
    assert "me@example.com" not in parked.error
    assert pauses == sorted(pauses)
    assert await office.effects() == 0
    office.clock.forward(timedelta(days=1))
    assert not await office.work()


async def test_one_whose_processes_all_die_is_parked_before_it_kills_another(office: Office) -> None:
    task_id = await office.add()
    for _ in range(MOST_ATTEMPTS):
        claimed = await office.runner.claim()
        assert claimed is not None
        claimed.close()  # the process is gone
        assert not await office.work()
        office.clock.forward(LEASE * 1.1)
    assert await office.work()
    parked = await office.task(task_id)
    assert (parked.state, parked.error) == (TaskState.PARKED, DIED)
    assert office.began == []


async def test_a_refusal_that_says_when_to_come_back_is_no_failure(office: Office) -> None:
    task_id = await office.add()
    for _ in range(MOST_ATTEMPTS * 2):
        office.fails.append(Conflict("busy", retry_after=timedelta(seconds=3)))
        assert await office.work()
        assert (await office.task(task_id)).attempts == 0
        office.clock.forward(timedelta(seconds=3))
    assert await office.work()
    assert (await office.task(task_id)).state is TaskState.DONE


async def test_a_task_that_is_cancelled_is_handed_back(office: Office) -> None:
    task_id, claimed, began = await office.add_endless()
    async with Tasks() as group:
        group.start("working", claimed)
        await began.wait()
    handed_back = await office.task(task_id)
    assert (handed_back.state, handed_back.attempts) == (TaskState.QUEUED, 0)
    office.runner.handlers["count"] = office.count
    assert await office.work()


async def test_a_heartbeat_keeps_the_lease_and_ends_what_has_lost_it(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "LEASE", timedelta(milliseconds=60))
    task_id, claimed, began = await office.add_endless()
    async with Tasks() as group:
        working = group.start("working", claimed)
        await began.wait()
        before = (await office.task(task_id)).claimed_until
        assert before is not None
        office.clock.forward(timedelta(seconds=1))
        while (await office.task(task_id)).claimed_until == before:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.005)
        async with office.database.write() as connection:
            await connection.execute(update(tasks).values(claimed_by="another"))
        await asyncio.wait_for(working, 5)
    assert (await office.task(task_id)).claimed_by == "another"


async def test_a_handler_that_writes_nothing_is_done_when_it_returns(office: Office) -> None:
    async def nothing(_run: TaskRun) -> None:
        """Do what may be done twice."""

    office.runner.handlers["count"] = nothing
    task_id = await office.add()
    assert await office.work()
    assert (await office.task(task_id)).state is TaskState.DONE


async def test_kinds_without_a_handler_are_left_to_others(office: Office) -> None:
    await office.queue.add("unheard of")
    assert not await office.work()


async def test_what_waits_already_is_not_queued_twice(office: Office) -> None:
    await office.add("7")
    assert await office.queue.add("count", "7") is None
    assert await office.queue.add("count", "8") is not None
    office.fails.append(RuntimeError())
    assert await office.work()
    assert await office.queue.add("count", "7") is not None  # the first may have seen too little when it failed


async def test_done_tasks_are_forgotten_and_parked_ones_are_not(office: Office) -> None:
    await office.add()
    assert await office.work()
    async with office.database.write() as connection:
        await office.queue.park(connection, "count", "given up", 3, "why")
    office.clock.forward(timedelta(days=3))
    assert await office.queue.forget_done(office.database.write) == 1
    (left,) = await office.queue.page(None, None, 10)
    assert (left.state, left.error, left.attempts) == (TaskState.PARKED, "why", 3)
