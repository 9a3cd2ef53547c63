"""Work in a thread, reading and writing in the event loop: what the database does goes on while the thread computes."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from typing import Any, ParamSpec, TypeVar

from anyio.from_thread import BlockingPortal

from tradesense.db.engine import Database

P = ParamSpec("P")
T = TypeVar("T")


class Desk:
    """Where a worker thread gives the event loop its reading and writing to do.

    Writes happen one at a time and in order; the thread goes on while one is under way, and hears of its error with
    the next one, or at the end of `writing`.
    """

    def __init__(self, database: Database, portal: BlockingPortal) -> None:
        self._database = database
        self._portal = portal
        self._written: Future[Any] | None = None

    def read(self, query: Callable[..., Awaitable[T]], *arguments: object) -> T:
        """What a query gives: a function of a connection and the arguments."""
        return self.read_ahead(query, *arguments).result()

    def read_ahead(self, query: Callable[..., Awaitable[T]], *arguments: object) -> Future[T]:
        """The same, begun now and waited for later."""
        return self._portal.start_task_soon(self._read, query, arguments)

    async def _read(self, query: Callable[..., Awaitable[T]], arguments: tuple[object, ...]) -> T:
        async with self._database.read() as connection:
            return await query(connection, *arguments)

    def call(self, function: Callable[P, Awaitable[T]], *arguments: P.args, **named: P.kwargs) -> T:
        """What a coroutine function gives, once all writes so far are done."""
        self._settle()
        return self._portal.call(lambda: function(*arguments, **named))

    def write(self, function: Callable[P, Awaitable[None]], *arguments: P.args, **named: P.kwargs) -> None:
        """Begin a write, once the one before is done; raises its error."""
        self._settle()
        self._written = self._portal.start_task_soon(lambda: function(*arguments, **named))

    def _settle(self) -> None:
        written, self._written = self._written, None
        if written is not None:
            written.result()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """All writes that begin in this block end in it."""
        try:
            yield
        except BaseException:
            if self._written is not None:
                self._written.exception()
            raise
        self._settle()


async def in_thread(database: Database, work: Callable[[Desk], T], stop: Callable[[], None] = lambda: None) -> T:
    """Do work that takes CPU time. A cancellation waits until the thread has ended, which `stop` tells it to."""
    cancelled = None
    with ThreadPoolExecutor(1) as executor:
        async with BlockingPortal() as portal:
            desk = Desk(database, portal)
            working = asyncio.get_running_loop().run_in_executor(executor, copy_context().run, work, desk)
            while not working.done():
                try:
                    await asyncio.wait([working])
                except asyncio.CancelledError as error:
                    cancelled = error
                    stop()
            working.exception()  # seen, though a cancellation be what is raised
    if cancelled is not None:
        raise cancelled
    return working.result()
