"""The background work of one process: the queue, the lanes that it works in, and what is due when."""

import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Final, Protocol
from uuid import UUID

from keel.clock import Clock
from keel.tasks import Tasks
from tradesense.db.engine import Database
from tradesense.db.fences import Fences
from tradesense.work.service import collecting
from tradesense.work.service.lanes import Lane, Lookout, Queue
from tradesense.work.service.queue import TaskQueue
from tradesense.work.service.running import Handler, TaskRunner
from tradesense.work.service.scheduling import Chore, Scheduler, Turn, chore

AT_ONCE: Final = 2
"""Tasks that a process runs at a time, beside its imports."""
TIDY_EVERY: Final = timedelta(hours=1)
TASKS: Final = "tasks"

SWITCH_S: Final = 0.0005
"""Seconds after which a thread that computes yields to the event loop: a login hops some 40 times between threads. On a
loaded machine its worst case beside an import fell from 834 to 481 ms; the import took as long as by the default."""


class Waker(Protocol):
    """Carries the message that a lane has something to do to a process that has room for it."""

    def send(self, lane: str, task_id: UUID, otherwise: Callable[[], None]) -> None:
        """Send it, in the background; call `otherwise` where it cannot be sent."""

    def receive(self, lane: Lane) -> None:
        """Let a lane work at each message that comes, as far as it has room."""

    async def close(self) -> None:
        """Close the connections; what was received must have ended."""


class Nobody:
    """Wakes nobody: whoever works finds it by looking."""

    def send(self, lane: str, task_id: UUID, otherwise: Callable[[], None]) -> None:
        """Leave it to them."""

    def receive(self, lane: Lane) -> None:
        """Nothing comes."""

    async def close(self) -> None:
        """Nothing is open."""


class Work:
    """What this process does in the background, if it does, and how it tells others that there is something.

    Where it does not work itself it queues, and wakes who does.
    """

    def __init__(
        self, database: Database, clock: Clock, tasks: Tasks, fences: Fences, waker: Waker, *, is_working: bool = True
    ) -> None:
        self.queue = TaskQueue(database, clock, partial(self.wake, TASKS))
        self.is_working = is_working
        self._fences = fences
        self._tasks = tasks
        self._waker = waker
        self._runner = TaskRunner(database, clock)
        self._scheduler = Scheduler(database, clock, fences, partial(self.wake, TASKS))
        self._lookout = Lookout(database, clock)
        self._lanes: dict[str, Lane] = {}
        self.add_lane(TASKS, self._runner, AT_ONCE)
        self.every(TIDY_EVERY, "forgetting tasks", self.queue.forget_done)

    def handle(self, kind: str, handler: Handler) -> None:
        """Let tasks of a kind be done by `handler`; a process without one leaves them to others."""
        self._runner.handlers[kind] = handler

    def every(self, interval: timedelta, name: str, do: Chore) -> None:
        """Do a chore every so often, by one instance for all."""
        self._add_chore(name, Turn(interval), do)

    def daily(self, at: timedelta, name: str, do: Chore) -> None:
        """Do a chore once a day (UTC), `at` so long after midnight, and soon where today's turn was missed."""
        self._add_chore(name, Turn(timedelta(days=1), at), do)

    def add_lane(self, name: str, queue: Queue, at_once: int) -> None:
        """Let what a queue of its own has be done in a lane of its own."""
        self._lanes[name] = lane = Lane(name, queue, self._tasks, at_once=at_once, poll=None)
        self._lookout.add(lane, queue)

    def wake(self, lane: str, task_id: UUID) -> None:
        """Tell whoever works in a lane that there is something; it is found without, but later."""
        self._waker.send(lane, task_id, self._lanes[lane].wake)

    def soon(self, kind: str, subject: str) -> None:
        """Queue a task in the background, for what it is no loss to leave undone when the process ends."""
        with suppress(RuntimeError):  # it is ending
            self._tasks.start(f"queueing {kind}", self.queue.add(kind, subject))

    def start(self) -> None:
        """Begin, where this process works. Any process collects garbage less from now on, and switches threads more."""
        collecting.for_serving()
        sys.setswitchinterval(SWITCH_S)
        if not self.is_working:
            return
        for lane in self._lanes.values():
            lane.start()
            self._waker.receive(lane)
        self._tasks.start("looking for work", self._lookout.run())
        self._tasks.start("scheduling", self._scheduler.run())

    async def close(self) -> None:
        """Let go of what carries messages, once all tasks have ended."""
        await self._waker.close()

    def _add_chore(self, name: str, turn: Turn, do: Chore) -> None:
        self.handle(name, chore(self._fences, name, do))
        self._scheduler.add(name, turn)


def taskiq_waker(tasks: Tasks, redis_url: str | None, namespace: str) -> Waker:
    """Messages by taskiq: over streams of this Redis, under the namespace, or within the process without one."""
    from tradesense.work.service import waking  # noqa: PLC0415 - a quarter of a second, for who works or has work done

    make = waking.local if redis_url is None else waking.streams(redis_url, namespace)
    return waking.TaskiqWaker(tasks, make)
