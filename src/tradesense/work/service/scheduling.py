"""What is done again and again: queued when it is due, once for all instances."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from keel.clock import Clock
from keel.locks.contract import LockNotAcquired
from tradesense.db.engine import Database, Writing
from tradesense.db.fences import FenceLost, Fences
from tradesense.work import repository
from tradesense.work.service.queue import Wake, enqueue
from tradesense.work.service.running import TaskRun

LOOK: Final = timedelta(seconds=15)
"""How often each process looks what is due."""
NAME: Final = "scheduling"

Chore = Callable[[Writing], Awaitable[object]]
"""Work that is done again and again; it writes through the transactions that it is given."""

_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Turn:
    """How often something is due: every so often or, with `offset`, at that time into each period of that length."""

    interval: timedelta
    offset: timedelta | None = None

    def first(self, now: datetime) -> datetime:
        """When it is due for the first time: after an interval, or in this period if that may still be."""
        return now + self.interval if self.offset is None else self.after(now - self.interval)

    def after(self, due_at: datetime) -> datetime:
        """When it is due next, having been due then: one interval on, or the next time that is `offset` in a period."""
        if self.offset is None:
            return due_at + self.interval
        since = due_at - datetime.min.replace(tzinfo=due_at.tzinfo) - self.offset
        return due_at + self.interval - since % self.interval


class Scheduler:
    """Queues a task for each chore that is due. What was due more than once meanwhile is due once."""

    def __init__(self, database: Database, clock: Clock, fences: Fences, wake: Wake) -> None:
        self._database = database
        self._clock = clock
        self._fences = fences
        self._wake = wake
        self._turns: dict[str, Turn] = {}

    def add(self, name: str, turn: Turn) -> None:
        """Let a task of the kind `name` be queued whenever it is its turn."""
        self._turns[name] = turn

    async def run(self) -> None:
        """Look what is due, for ever."""
        while True:
            try:
                await self.look()
            except (LockNotAcquired, FenceLost):
                _LOG.debug("another instance is scheduling")
            except Exception:  # noqa: BLE001 - logged; the database may be back the next time
                _LOG.exception("what is due cannot be found out")
            await asyncio.sleep(LOOK.total_seconds() * random.uniform(0.8, 1.2))

    async def look(self) -> None:
        """Queue what is due now; raises `LockNotAcquired`, `FenceLost` where another instance does."""
        now = self._clock.now()
        async with self._database.read() as connection:
            known = await repository.scheduled(connection)
            due = await repository.due(connection, self._turns, now)
        unknown = self._turns.keys() - known
        if due or unknown:
            async with self._fences.alone(NAME) as write:
                if unknown:
                    async with write() as connection:
                        first = {name: self._turns[name].first(now) for name in unknown}
                        await repository.add_schedules(connection, first)
                for name, due_at in due:
                    await self._queue(write, name, due_at, now)

    async def _queue(self, write: Writing, name: str, due_at: datetime, now: datetime) -> None:
        """Queue a task and let the next be due later, in one transaction: each turn is queued by one instance."""
        turn = self._turns[name]
        async with write() as connection:
            is_ours = await repository.move_on(connection, name, due_at, max(turn.after(due_at), turn.after(now)))
            if not is_ours or await repository.is_queued(connection, name, ""):
                return
            task_id = await enqueue(connection, now, name)
        self._wake(task_id)


def chore(fences: Fences, name: str, do: Chore) -> Callable[[TaskRun], Awaitable[None]]:
    """What does the tasks of a chore: the only instance at it, whose writes end with its lock."""

    async def handle(_run: TaskRun) -> None:
        await fences.once(name, do)

    return handle
