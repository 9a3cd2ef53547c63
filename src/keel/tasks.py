"""Background tasks, each with a name and an owner: the one place that starts any."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from datetime import timedelta
from types import TracebackType
from typing import Any, Final, Self

_LOG: Final = logging.getLogger(__name__)


class Tasks:
    """A group that owns what it starts.

    One task's error neither stops its siblings nor goes unseen: it is logged and handed to `on_error` with the task's
    name. That may be set later. Leaving the group closes it.
    """

    def __init__(self, on_error: Callable[[str, Exception], None] | None = None) -> None:
        self.on_error = on_error
        self._running: dict[asyncio.Task[Any], bool] = {}
        self._closed = False

    def start(self, name: str, work: Coroutine[Any, Any, Any], *, finish: bool = False) -> asyncio.Task[Any]:
        """Run `work` under `name`; raises RuntimeError when the group is closed.

        Closing the group gives a task that must `finish` its grace, and cancels any other at once.
        """
        if self._closed:
            work.close()
            raise RuntimeError(f"cannot start {name}: its group is closed")
        task = asyncio.create_task(work, name=name)
        self._running[task] = finish
        task.add_done_callback(self._ended)
        return task

    def every(self, interval: timedelta, name: str, work: Callable[[], Coroutine[Any, Any, Any]]) -> asyncio.Task[Any]:
        """Do `work` again and again, `interval` after it was last done; an error is logged, and the next turn comes."""

        async def turns() -> None:
            while True:
                await asyncio.sleep(interval.total_seconds())
                await asyncio.wait([self.start(name, work())])

        return self.start(f"{name}, every {interval}", turns())

    @property
    def names(self) -> list[str]:
        """What is running, oldest first."""
        return [task.get_name() for task in self._running]

    async def close(self, grace: timedelta = timedelta(0)) -> None:
        """End everything, and return when it has ended; idempotent.

        New tasks are refused, those that need not finish are cancelled, the others have `grace` to do so.
        """
        self._closed = True
        self._cancel(finish=False)
        if self._running:
            await asyncio.wait(self._running, timeout=grace.total_seconds())
        self._cancel(finish=True)
        await asyncio.gather(*self._running, return_exceptions=True)

    def _cancel(self, *, finish: bool) -> None:
        for task, must_finish in self._running.items():
            if must_finish is finish:
                task.cancel()

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.pop(task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Exception):
            _LOG.error("task %s failed", task.get_name(), exc_info=error)
            if self.on_error is not None:
                self.on_error(task.get_name(), error)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
