"""Lanes and those who wake them: in one process, over Redis streams, and where a message is lost."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import redis.asyncio

from keel.ids import uuid7
from keel.tasks import Tasks
from tests.valkey import Cluster, Sentinels, Valkey
from tradesense.work.service.lanes import Lane
from tradesense.work.service.waking import MakeBroker, TaskiqWaker, local, streams

NEVER = timedelta(hours=1)
SOON = timedelta(milliseconds=20)


class Pile:
    """A source: what waits is on a pile; each piece is done when `may_go` lets it."""

    def __init__(self) -> None:
        self.waiting: deque[UUID] = deque()
        self.begun: list[UUID] = []
        self.done: list[UUID] = []
        self.may_go = asyncio.Event()
        self.may_go.set()
        self.changed = asyncio.Event()

    def put(self) -> UUID:
        self.waiting.append(uuid7())
        return self.waiting[-1]

    async def claim(self) -> Coroutine[Any, Any, None] | None:
        return self._do(self.waiting.popleft()) if self.waiting else None

    async def _do(self, task: UUID) -> None:
        self.begun.append(task)
        self.changed.set()
        await self.may_go.wait()
        self.done.append(task)
        self.changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition():
                self.changed.clear()
                await self.changed.wait()


class Process:
    """What one process has: a lane of a pile, and a waker."""

    def __init__(self, tasks: Tasks, waker: TaskiqWaker, lane: Lane) -> None:
        self.tasks = tasks
        self.waker = waker
        self.lane = lane

    def send(self, task: UUID) -> None:
        self.waker.send(self.lane.name, task, self.lane.wake)


@asynccontextmanager
async def process(
    pile: Pile, make: MakeBroker = local, *, at_once: int = 2, poll: timedelta = NEVER, works: bool = True
) -> AsyncIterator[Process]:
    tasks = Tasks()
    waker, lane = TaskiqWaker(tasks, make), Lane("imports", pile, tasks, at_once=at_once, poll=poll)
    if works:
        lane.start()
        waker.receive(lane)
    try:
        yield Process(tasks, waker, lane)
    finally:
        await tasks.close(timedelta(seconds=5))
        await waker.close()


async def _group_is_there(url: str, namespace: str) -> None:
    """A message that is sent before there are workers is found by looking; these tests wait for them instead."""
    async with redis.asyncio.Redis.from_url(url) as client, asyncio.timeout(10):
        while not await client.exists(f"{namespace}:work:{{imports}}"):  # noqa: ASYNC110 - it is elsewhere
            await asyncio.sleep(0.01)


async def test_a_message_within_the_process_begins_what_waits() -> None:
    pile = Pile()
    async with process(pile) as here:
        here.send(pile.put())
        await pile.until(lambda: len(pile.done) == 1)


async def test_a_message_over_redis_begins_what_waits_and_is_acknowledged_when_it_is_done(
    redis_url: str, redis_namespace: str
) -> None:
    pile, make = Pile(), streams(redis_url, redis_namespace)
    stream = f"{redis_namespace}:work:{{imports}}"
    async with process(pile, make), process(Pile(), make, works=False) as web:
        await _group_is_there(redis_url, redis_namespace)
        pile.may_go.clear()
        web.send(pile.put())
        await pile.until(lambda: len(pile.begun) == 1)
        async with redis.asyncio.Redis.from_url(redis_url) as client, asyncio.timeout(10):
            assert (await client.xpending(stream, "workers"))["pending"] == 1
            pile.may_go.set()
            while (await client.xpending(stream, "workers"))["pending"]:  # noqa: ASYNC110 - it is elsewhere
                await asyncio.sleep(0.01)
    assert len(pile.done) == 1
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        assert await client.xinfo_consumers(stream, "workers") == []


async def test_a_worker_without_room_leaves_messages_to_others(redis_url: str, redis_namespace: str) -> None:
    full, free, make = Pile(), Pile(), streams(redis_url, redis_namespace)
    full.may_go.clear()
    async with process(full, make, at_once=1) as busy:
        await _group_is_there(redis_url, redis_namespace)
        busy.send(full.put())
        await full.until(lambda: len(full.begun) == 1)
        async with process(free, make):
            for _ in range(5):
                free.put()
                busy.send(free.waiting[-1])
            await free.until(lambda: len(free.done) == 5)
        full.may_go.set()
    assert len(full.begun) == 1


async def test_what_nobody_was_woken_for_is_found_by_looking() -> None:
    pile = Pile()
    async with process(pile, poll=SOON):
        await asyncio.sleep(0.05)
        pile.put()
        await pile.until(lambda: len(pile.done) == 1)


async def test_one_message_is_enough_for_all_that_waits() -> None:
    pile = Pile()
    async with process(pile, at_once=1) as here:
        pile.put()
        pile.put()
        here.send(pile.put())
        await pile.until(lambda: len(pile.done) == 3)


async def test_a_lane_does_no_more_at_once_than_it_may() -> None:
    pile = Pile()
    pile.may_go.clear()
    async with process(pile, at_once=2) as here:
        for _ in range(5):
            here.send(pile.put())
        await pile.until(lambda: len(pile.begun) == 2)
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(pile.begun) == 2
        pile.may_go.set()
        await pile.until(lambda: len(pile.done) == 5)


async def test_closing_lets_what_runs_finish_and_begins_nothing_more() -> None:
    pile = Pile()
    pile.may_go.clear()
    async with process(pile, at_once=1) as here:
        here.send(pile.put())
        here.send(pile.put())
        await pile.until(lambda: len(pile.begun) == 1)
        here.tasks.start("woken before that", here.lane.work(), finish=True)
        await asyncio.sleep(0)
        closing = asyncio.gather(here.tasks.close(timedelta(seconds=5)))
        await asyncio.sleep(0)
        pile.may_go.set()
        await closing
    assert (len(pile.done), len(pile.waiting)) == (1, 1)


async def test_a_queue_that_cannot_be_read_is_read_again(caplog: pytest.LogCaptureFixture) -> None:
    class Away(Pile):
        is_away = True

        async def claim(self) -> Coroutine[Any, Any, None] | None:
            if self.is_away:
                self.changed.set()
                raise ConnectionError("away")
            return await super().claim()

    pile = Away()
    async with process(pile, poll=SOON):
        pile.put()
        await asyncio.wait_for(pile.changed.wait(), 5)
        pile.is_away = False
        await pile.until(lambda: len(pile.done) == 1)
    assert "cannot be read" in caplog.text


async def test_redis_away_or_emptied_work_goes_on(
    valkey: Valkey, redis_namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    pile, make = Pile(), streams(valkey.url, redis_namespace)
    async with process(pile, make) as here:
        await _group_is_there(valkey.url, redis_namespace)
        valkey.kill()
        here.send(pile.put())
        await pile.until(lambda: len(pile.done) == 1)
        assert "workers look by themselves" in caplog.text
        valkey.start()
        await _group_is_there(valkey.url, redis_namespace)
        here.send(pile.put())
        await pile.until(lambda: len(pile.done) == 2)
    assert caplog.text.count("workers look by themselves") == 1


async def test_messages_travel_on_a_cluster(shared_cluster: Cluster, redis_namespace: str) -> None:
    await _travels(shared_cluster.url, redis_namespace)


async def test_messages_travel_behind_sentinels(sentinels: Sentinels, redis_namespace: str) -> None:
    await _travels(sentinels.url, redis_namespace)


async def _travels(url: str, namespace: str) -> None:
    pile, make = Pile(), streams(url, namespace)
    async with process(pile, make), process(pile, make, works=False) as web:
        pile.may_go.clear()
        async with asyncio.timeout(15):
            while not pile.begun:
                web.send(pile.waiting[0] if pile.waiting else pile.put())  # until there is a group that hears of it
                await asyncio.sleep(0.05)
        pile.may_go.set()
        await pile.until(lambda: bool(pile.done))
