"""What others wrote: an instance follows the outbox and throws away its copies, also for writers that have died."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Collection, Coroutine, Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from typing import Any, Final

from sqlalchemy import select

from keel.clock import Clock
from keel.locks.contract import LockNotAcquired
from tradesense.db import outbox
from tradesense.db.engine import Database, ReadConnection, Writing
from tradesense.db.fences import TTL, FenceLost, Fences
from tradesense.db.invalidation import Heard, Invalidator, ended_by, profile_tag, tags_of, unheard, user_tag
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
REPLAY: Final = "replaying the outbox"
"""What one instance does for all where they share copies."""

_LOG: Final = logging.getLogger(__name__)


class OutboxReplay:
    """Follows the outbox.

    Where one store has the copies of all instances, whoever wrote has thrown them away for everybody, unless it died or
    failed: a write is applied once it has been seen undone for longer than `OVERDUE`, and no sooner, which would throw
    away copies made since; and by one instance for all, which `sharing` decides. Tokens that have ended never come
    back, so what ended them is applied as soon as it is seen, by each. Where each instance has copies of its own
    (`sharing` is None), what the others write is applied as soon as it is seen, and marked done by its writer alone,
    unless that is dead.

    Two instances that apply the same write do no harm, beside the work. `heard` is told of the writes that are applied.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        invalidator: Invalidator,
        *,
        sharing: Fences | None,
        poll: timedelta = POLL,
        heard: Heard = unheard,
    ) -> None:
        self._database = database
        self._clock = clock
        self._invalidator = invalidator
        self._sharing = sharing
        self._poll = poll
        self._heard = heard
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
            before = self._position if self._sharing is None and self._is_certain(now) else None
            found = await outbox.glance(connection, before, self._database.origin)
            overdue = self._overdue(await outbox.undone(connection) if found.is_any_undone else [])
            writes = [*overdue]
            if before is not None and found.is_any_new:
                async for part in outbox.since(connection, before, self._database.origin):
                    writes += part
            tags, ended = dict.fromkeys(tags_of(writes)), ended_by(writes)
            async for users_tags in self._everybodys(connection, now):
                tags |= dict.fromkeys(users_tags)
        await self._forget(ended)
        if self._sharing is None:
            await self._invalidate(tags)
            self._heard(writes)
            await self._mark_done(overdue, self._database.write)
        elif overdue:
            await self._sharing.once(REPLAY, partial(self._replay, {write.id for write in overdue}))
        self._position, self._looked_at = found.position, now

    async def forget(self, write: Writing) -> int:
        """Drop rows that have been done for an hour, and say how many."""
        async with write() as connection:
            return await outbox.forget(connection, self._clock.now() - KEPT)

    async def _catch_up(self) -> None:
        self._looked_at = self._clock.now()
        async with self._database.read() as connection:
            self._position = await outbox.position(connection)
            found = await outbox.undone(connection)
        if not found:
            return
        if self._sharing is None:
            await self._replay_all(None)
            return
        with contextlib.suppress(LockNotAcquired, FenceLost):  # what another leaves undone is found by the first looks
            async with self._sharing.alone(REPLAY, wait=TTL) as write:
                await self._replay_all(write)

    async def _replay_all(self, write: Writing | None) -> None:
        """Apply what is undone, and mark it where there is something to `write` with."""
        last = 0
        while found := await self._undone(last):
            await self._forget(ended_by(found))
            await self._invalidate(tags_of(found))
            self._heard(found)
            if write is not None:
                await self._mark_done(found, write)
            last = found[-1].id

    async def _replay(self, overdue: Collection[int], write: Writing) -> None:
        """Apply those of the `overdue` ids that nobody has applied before the lock was ours."""
        rest = [each for each in await self._undone() if each.id in overdue]
        await self._invalidate(tags_of(rest))
        self._heard(rest)
        await self._mark_done(rest, write)

    async def _undone(self, after: int = 0) -> list[Write]:
        async with self._database.read() as connection:
            return await outbox.undone(connection, after)

    def _overdue(self, undone: Sequence[Write]) -> list[Write]:
        """Those whose writer has had its time. It is measured here: the clocks of others may go wrong."""
        now = self._clock.monotonic()
        self._first_seen = {write.id: self._first_seen.get(write.id, now) for write in undone}
        return [write for write in undone if now - self._first_seen[write.id] >= self._patience(write).total_seconds()]

    def _patience(self, write: Write) -> timedelta:
        if self._sharing is not None and write.ended:
            return timedelta(0)
        return OVERDUE if self._sharing is not None or write.origin == self._database.origin else DEAD

    def _is_certain(self, now: datetime) -> bool:
        return self._position is not None and now - self._looked_at <= UNCERTAIN

    async def _everybodys(self, connection: ReadConnection, now: datetime) -> AsyncIterator[list[str]]:
        """The tags of all users, in parts, where it is not known what others have written."""
        if self._sharing is not None or self._is_certain(now):
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

    async def _mark_done(self, writes: Sequence[Write], write: Writing) -> None:
        if writes:
            async with write() as connection:
                await outbox.mark_done(connection, [each.id for each in writes], self._clock.now())

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
