"""Lanes: so many pieces of work at a time, each begun when its message comes, or when somebody looks."""

import asyncio
import contextlib
import logging
from collections.abc import Coroutine
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from sqlalchemy import Exists, select

from keel.clock import Clock
from keel.tasks import Tasks
from tradesense.db.engine import Database
from tradesense.db.postgresql import unhurried

POLL: Final = timedelta(seconds=1)
"""How often a process looks for what nobody was woken for: its message was lost, or its worker died."""

_LOG: Final = logging.getLogger(__name__)


class Source(Protocol):
    """A queue in SQL: the record of what is to be done."""

    async def claim(self) -> Coroutine[Any, Any, None] | None:
        """Claim what has waited longest, and give what does it; None where nothing waits."""


class Queue(Source, Protocol):
    """A source that can be asked together with others."""

    def waiting(self, now: datetime) -> Exists:
        """Whether `claim` would find something, in SQL."""


class Lane:
    """Does what a source has, `at_once` pieces of it in this process.

    What has waited longest comes first, whoever was woken for what. Where `poll` is None, another looks for it.
    """

    def __init__(
        self, name: str, source: Source, tasks: Tasks, *, at_once: int = 2, poll: timedelta | None = POLL
    ) -> None:
        self.name = name
        self._source = source
        self._tasks = tasks
        self._free = asyncio.Semaphore(at_once)
        self._poll = poll
        self._woken = asyncio.Event()
        self._is_open = False

    def start(self) -> None:
        """Begin to look, now and after each `poll`; once that ends, with its group, nothing more is begun."""
        self._is_open = True
        self._tasks.start(f"{self.name}: looking", self._look())

    def wake(self) -> None:
        """Look now."""
        self._woken.set()

    async def room(self) -> None:
        """Wait until there is room for one more."""
        async with self._free:
            pass

    async def work(self) -> None:
        """Do what waits longest, once there is room; what waits after it is then looked for."""
        async with self._free:
            claimed = await self._claimed() if self._is_open else None
            if claimed is None:
                return
            with unhurried():
                await claimed
        self.wake()

    async def _look(self) -> None:
        try:
            while True:
                await self._free.acquire()
                claimed = await self._claimed()
                if claimed is None:
                    self._free.release()
                    await self._rest()
                else:
                    self._tasks.start(self.name, self._go_on(claimed), finish=True)
        finally:
            self._is_open = False

    async def _go_on(self, claimed: Coroutine[Any, Any, None]) -> None:
        """Do it, and look again: more may have become possible."""
        try:
            with unhurried():
                await claimed
        finally:
            self._free.release()
            self.wake()

    async def _rest(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None if self._poll is None else self._poll.total_seconds()):
                await self._woken.wait()
        self._woken.clear()

    async def _claimed(self) -> Coroutine[Any, Any, None] | None:
        try:
            return await self._source.claim()
        except Exception:  # noqa: BLE001 - logged; the database may be back the next time
            _LOG.exception("the queue of %s cannot be read", self.name)
            return None


class Lookout:
    """Looks for all lanes of a process at once: one statement each `POLL`, however many they are."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._lanes: list[tuple[Lane, Queue]] = []

    def add(self, lane: Lane, queue: Queue) -> None:
        """Wake a lane where its queue has something."""
        self._lanes.append((lane, queue))

    async def run(self) -> None:
        """Look for ever."""
        while True:
            await asyncio.sleep(POLL.total_seconds())
            try:
                await self.look()
            except Exception:  # noqa: BLE001 - logged; the database may be back the next time
                _LOG.exception("the queues cannot be read")

    async def look(self) -> None:
        """Wake the lanes that have something to do."""
        now = self._clock.now()
        async with self._database.read() as connection:
            found = (await connection.execute(select(*(queue.waiting(now) for _, queue in self._lanes)))).one()
        for (lane, _), is_waiting in zip(self._lanes, found, strict=True):
            if is_waiting:
                lane.wake()
