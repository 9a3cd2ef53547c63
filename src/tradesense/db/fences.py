"""Work that one instance does for all: a lock decides which, and the database refuses the writes of any before it.

The lock saves doing it twice; it is a lease, and a holder who stood still beyond it goes on unknowing. So each of its
transactions shows its fencing token first, and one who is not the last to have been let in writes nothing.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import timedelta
from typing import Final

from sqlalchemy import update
from sqlalchemy.dialects import postgresql, sqlite

from keel.locks.contract import LeaseLost, LockNotAcquired, Locks, LockUnavailable
from tradesense.db.engine import Database, WriteConnection, Writing
from tradesense.db.tables import fences

TTL: Final = timedelta(seconds=10)
"""How long the others leave it to one who has died."""
AT_ONCE: Final = timedelta(0)
_FIRST: Final = 1

_LOG: Final = logging.getLogger(__name__)


class FenceLost(Exception):
    """Another instance has been let in since; nothing more may be written for this one."""


class Fences:
    """Lets one instance at a time in, as far as locks can, and its writes through, as long as nobody came after it."""

    def __init__(self, database: Database, locks: Locks) -> None:
        self._database = database
        self._locks = locks

    @asynccontextmanager
    async def alone(self, work: str, *, wait: timedelta = AT_ONCE) -> AsyncIterator[Writing]:
        """Do some work, by its name, as the only instance; gives the writing transactions that it must use.

        They raise `FenceLost` once another was let in. Raises `LockNotAcquired` where another instance is at it for
        longer than `wait`. Where nobody can be asked for the lock the work is not put off: each who begins is let in by
        the database, and whoever began before is not let through any more.
        """
        with suppress(LeaseLost):  # what counts is what the database let through, and it has
            async with AsyncExitStack() as stack:
                fence = None
                with suppress(LockUnavailable):
                    fence = (await stack.enter_async_context(self._locks.lock(work, ttl=TTL, wait=wait))).fence
                yield self._behind(work, await self._raise(work, fence))

    async def once(self, work: str, do: Callable[[Writing], Awaitable[object]]) -> bool:
        """Do some work unless another instance is at it; False where it was that one that did it, or took it over."""
        try:
            async with self.alone(work) as write:
                await do(write)
        except LockNotAcquired:
            return False
        except FenceLost:
            _LOG.info("%s: taken over by another instance", work)
            return False
        return True

    async def _raise(self, work: str, fence: int | None) -> int:
        """Shut out all who came before; None is whoever comes next. Raises `FenceLost` where one came after."""
        insert = (sqlite if self._database.dialect == "sqlite" else postgresql).insert(fences)
        added = insert.values(name=work, fence=_FIRST if fence is None else fence)
        if fence is None:
            raised = added.on_conflict_do_update(index_elements=["name"], set_={"fence": fences.c.fence + 1})
        else:
            is_next = fences.c.fence <= added.excluded.fence
            raised = added.on_conflict_do_update(index_elements=["name"], set_={"fence": fence}, where=is_next)
        async with self._database.write() as connection:
            given: int | None = await connection.scalar(raised.returning(fences.c.fence))
        if given is None:
            raise FenceLost
        return given

    def _behind(self, work: str, fence: int) -> Writing:
        # The row stays locked until the transaction ends: nobody is let in between the check and the commit.
        shown = update(fences).where(fences.c.name == work, fences.c.fence <= fence).values(fence=fence)

        @asynccontextmanager
        async def write() -> AsyncIterator[WriteConnection]:
            async with self._database.write() as connection:
                if not (await connection.execute(shown)).rowcount:
                    raise FenceLost
                yield connection

        return write
