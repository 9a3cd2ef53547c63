"""What others wrote: an instance follows the outbox and throws away its copies, also for writers that have died."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Coroutine, Iterable, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Final

from sqlalchemy import select

from keel.clock import Clock
from tradesense.db import outbox
from tradesense.db.engine import Database, ReadConnection
from tradesense.db.invalidation import Invalidator, ended_by, profile_tag, tags_of, user_tag
from tradesense.db.outbox import Position
from tradesense.db.tables import users
from tradesense.db.writes import Write

POLL: Final = timedelta(seconds=1)
OVERDUE: Final = timedelta(seconds=1)
"""How long a write is left to its writer, who throws copies away between the commit and the answer."""
DEAD: Final = timedelta(seconds=60)
"""After how long a writer that keeps copies of its own is taken for dead if it has not marked its write done."""
UNCERTAIN: Final = timedelta(seconds=30)
"""A reader that has not looked for so long throws everything away: others may have taken it for dead."""
KEPT: Final = timedelta(hours=1)
"""How long rows stay once they are done; far longer than `UNCERTAIN`."""

_LOG: Final = logging.getLogger(__name__)


class OutboxReplay:
    """Follows the outbox.

    Where one store has the copies of all instances (`is_shared`), whoever wrote has thrown them away for everybody,
    unless it died or failed: a write is applied here once it has been seen undone for longer than `OVERDUE`, and no
    sooner, which would throw away copies made since. Tokens that have ended never come back, so what ended them is
    applied as soon as it is seen. Where each instance has copies of its own, what the others write is applied as soon
    as it is seen, and marked done by its writer alone, unless that is dead.

    Two instances that apply the same write do no harm.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        invalidator: Invalidator,
        *,
        is_shared: bool,
        poll: timedelta = POLL,
    ) -> None:
        self._database = database
        self._clock = clock
        self._invalidator = invalidator
        self._is_shared = is_shared
        self._poll = poll
        self._woken = asyncio.Event()
        self._position: Position | None = None
        self._looked_at = clock.now()
        self._first_seen: dict[int, float] = {}
        self._is_failing = False

    async def catch_up(self) -> None:
        """Apply every undone write, whoever made it; before anything is read, so that nothing is missed after."""
        await self._guarded(self._catch_up())

    async def run(self) -> None:
        """Follow the outbox from then on, for ever."""
        while True:
            await self._guarded(self.look())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._poll.total_seconds()):
                    await self._woken.wait()
            self._woken.clear()

    def wake(self) -> None:
        """Look now."""
        self._woken.set()

    async def look(self) -> None:
        """Apply what there is to apply now."""
        now = self._clock.now()
        async with self._database.read() as connection:  # one snapshot: the position is where all of this was read
            position = await outbox.position(connection)
            overdue = self._overdue(await outbox.undone(connection))
            tags, ended = dict.fromkeys(tags_of(overdue)), ended_by(overdue)
            async for part in self._news(connection, now):
                tags |= dict.fromkeys(tags_of(part))
                ended += ended_by(part)
            async for users_tags in self._everybodys(connection, now):
                tags |= dict.fromkeys(users_tags)
        await self._forget(ended)
        await self._invalidate(tags)
        await self._mark_done(overdue)
        self._position, self._looked_at = position, now

    async def forget(self) -> int:
        """Drop rows that have been done for an hour, and say how many."""
        async with self._database.write() as connection:
            return await outbox.forget(connection, self._clock.now() - KEPT)

    async def _catch_up(self) -> None:
        self._looked_at = self._clock.now()
        async with self._database.read() as connection:
            self._position = await outbox.position(connection)
            found = await outbox.undone(connection)
        while found:
            await self._forget(ended_by(found))
            await self._invalidate(tags_of(found))
            if self._is_shared:
                await self._mark_done(found)
            async with self._database.read() as connection:
                found = await outbox.undone(connection, found[-1].id)

    def _overdue(self, undone: Sequence[Write]) -> list[Write]:
        """Those whose writer has had its time. It is measured here: the clocks of others may go wrong."""
        now = self._clock.monotonic()
        self._first_seen = {write.id: self._first_seen.get(write.id, now) for write in undone}
        return [write for write in undone if now - self._first_seen[write.id] >= self._patience(write).total_seconds()]

    def _patience(self, write: Write) -> timedelta:
        if self._is_shared and write.ended:
            return timedelta(0)
        return OVERDUE if self._is_shared or write.origin == self._database.origin else DEAD

    def _is_certain(self, now: datetime) -> bool:
        return self._position is not None and now - self._looked_at <= UNCERTAIN

    async def _news(self, connection: ReadConnection, now: datetime) -> AsyncIterator[list[Write]]:
        """What others have written since the last look, in parts."""
        if self._is_shared or self._position is None or not self._is_certain(now):
            return
        async for writes in outbox.since(connection, self._position):
            yield [write for write in writes if write.origin != self._database.origin]

    async def _everybodys(self, connection: ReadConnection, now: datetime) -> AsyncIterator[list[str]]:
        """The tags of all users, in parts, where it is not known what others have written."""
        if self._is_shared or self._is_certain(now):
            return
        await self._invalidator.forget_all_tokens()
        everybody = await connection.stream_scalars(select(users.c.id))
        async for ids in everybody.partitions(outbox.AT_ONCE):
            yield [tag(each) for each in ids for tag in (user_tag, profile_tag)]

    async def _forget(self, ended: Sequence[bytes]) -> None:
        if ended:
            await self._invalidator.forget_tokens(ended)

    async def _invalidate(self, tags: Iterable[str]) -> None:
        rest = iter(tags)
        while part := list(islice(rest, outbox.AT_ONCE)):
            await self._invalidator.invalidate_tags(*part)

    async def _mark_done(self, writes: Sequence[Write]) -> None:
        if writes:
            async with self._database.write() as connection:
                await outbox.mark_done(connection, [write.id for write in writes], self._clock.now())

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception as error:  # noqa: BLE001 - logged once; whatever it is, a later look may go well
            if not self._is_failing:
                _LOG.warning("the outbox cannot be followed: %r", error)
            self._is_failing = True
        else:
            if self._is_failing:
                _LOG.warning("the outbox is followed again")
            self._is_failing = False
