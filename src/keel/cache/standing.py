"""How far the two tiers can be trusted right now, and what is done when a server comes back.

live: the shared tier is open and every invalidation is heard. gap: it is open, but some may not be heard; memory is not
read. outage: it is away; memory goes on for a short while, invalidations made here are kept. On the way back everything
invalidated here in the last minute is invalidated again and the servers' identity is compared, before anything is read.
"""

import asyncio
import logging
from collections import OrderedDict
from enum import StrEnum
from time import monotonic
from typing import Final

from keel.cache.coherence import Coherence
from keel.cache.contract import Kind, Mark, SharedTier
from keel.cache.keys import ServerKeys, safe
from keel.cache.memory import MemoryTier
from keel.context import budget
from keel.redis.contract import CommandRefused, RedisUnavailable
from keel.tasks import Tasks

REPLAYED_S: Final = 60.0
"""Invalidations made in this time before a return are made again: an answer may have been lost with the server."""
MOST_PENDING: Final = 5_000
"""Invalidations made good one by one, in half a second; if there are more, everything is invalidated instead."""
AT_ONCE: Final = 100
"""How many travel together: few enough that all are answered in the time that one call may take."""
RETRY_S: Final = 0.2

_EVERYTHING: Final = Mark(Kind.ROOT, "")
_LOG: Final = logging.getLogger(__name__)


class Mode(StrEnum):
    """How the cache works right now."""

    MEMORY = "memory"
    LIVE = "live"
    GAP = "gap"
    OUTAGE = "outage"


class Standing:
    """The state of one cache that has a shared tier; watches its connection and listens to its invalidations."""

    def __init__(
        self, shared: SharedTier, keys: ServerKeys, coherence: Coherence, memory: MemoryTier, tasks: Tasks
    ) -> None:
        self._shared = shared
        self._keys = keys
        self._coherence = coherence
        self._memory = memory
        self._tasks = tasks
        self._pending: dict[Mark, int] = {}
        self._made = 0
        self._recent = OrderedDict[Mark, float]()
        self._recovery: asyncio.Task[None] | None = None
        self._tracked = False
        self.is_open = False
        """Whether the shared tier may be read."""
        self.is_trusted = False
        """Whether memory may be read as it is."""
        self.gap_since = monotonic()
        self.gap_stamp = coherence.stamp
        """What `Coherence.stamp` was when the last gap began."""

    @property
    def mode(self) -> Mode:
        """How the cache works right now."""
        if not self.is_open:
            return Mode.OUTAGE
        return Mode.LIVE if self.is_trusted else Mode.GAP

    # What the connection tells

    def went_up(self, identity: str) -> None:
        """The servers can be reached: make good what they may have missed, then open."""
        self._recover_anew(identity)

    def went_down(self) -> None:
        """The servers are away."""
        self._stop_recovery()
        self.is_open = False
        self._begin_gap()

    def lost(self) -> None:
        """Invalidations may no longer be heard."""
        self._tracked = False
        self._begin_gap()

    def live(self) -> None:
        """Every invalidation is heard from now on."""
        self._tracked = True
        self._end_gap()

    def changed(self, notices: list[bytes] | None) -> None:
        """Somebody has invalidated something; None for everything."""
        if notices is None:
            self._coherence.hear_all()
            return
        for notice in notices:
            what = self._keys.read_notice(notice)
            if what is not None:
                self.hear(*what)

    def hear(self, kind: Kind, safe_name: str) -> None:
        """Copies in memory that this concerns count no more."""
        self._coherence.hear(kind, safe_name)
        if kind is Kind.KEY:
            self._memory.drop(safe_name)

    # What is invalidated here

    async def invalidate(self, marks: list[Mark]) -> bool:
        """Invalidate everywhere; False where the shared tier is away, which then is told on its return."""
        self._hear_own(marks)
        lots = [marks[at : at + AT_ONCE] for at in range(0, len(marks), AT_ONCE)]
        try:
            return all([await self._send(lot) for lot in lots])
        finally:
            # Again: a read that began before the servers knew may have brought the old value into memory.
            self._hear_own(marks)

    def postpone(self, marks: list[Mark]) -> None:
        """Invalidate here now, and in the shared tier, which does not answer, on its return."""
        self._hear_own(marks)
        self._note(marks)
        self._close_until_repeated()

    def _hear_own(self, marks: list[Mark]) -> None:
        for mark in marks:
            self.hear(mark.kind, safe(mark.name))

    def _note(self, marks: list[Mark]) -> None:
        now = monotonic()
        self._made += 1
        for mark in marks:
            self._pending[mark] = self._made
            self._recent[mark] = now
            self._recent.move_to_end(mark)
        while self._recent[oldest := next(iter(self._recent))] < now - REPLAYED_S:
            del self._recent[oldest]
        if len(self._recent) > MOST_PENDING:
            self._recent = OrderedDict({_EVERYTHING: now})
        if len(self._pending) > MOST_PENDING:
            self._pending = {_EVERYTHING: self._made}

    async def _send(self, marks: list[Mark]) -> bool:
        self._note(marks)
        if not self.is_open:
            return False
        try:
            await self._carry_out(marks)
        except (RedisUnavailable, CommandRefused) as error:
            _LOG.warning("an invalidation did not reach the shared cache, and is repeated: %s", error)
            self._close_until_repeated()
            return False
        return True

    async def _carry_out(self, marks: list[Mark]) -> None:
        made = {mark: self._pending.get(mark) for mark in marks}
        await self._shared.invalidate(marks)
        for mark, which in made.items():
            if self._pending.get(mark) == which:  # else it was made again meanwhile, perhaps after the server's turn
                self._pending.pop(mark, None)

    def _close_until_repeated(self) -> None:
        """What was invalidated here must not be read from the shared tier, where it may still lie."""
        if self.is_open:
            self._recover_anew(None)

    # The way back

    def _recover_anew(self, identity: str | None) -> None:
        self.went_down()
        self._recovery = self._tasks.start("recovery of the cache", self._recover(identity))

    def _stop_recovery(self) -> None:
        if self._recovery is not None:
            self._recovery.cancel()
            self._recovery = None

    async def _recover(self, identity: str | None) -> None:
        with budget(None):
            while True:
                try:
                    await self._make_good(identity)
                except (RedisUnavailable, CommandRefused) as error:
                    _LOG.warning("the shared cache cannot be opened yet: %s", error)
                    await asyncio.sleep(RETRY_S)
                else:
                    break
        self.is_open = True
        self._coherence.hear_all()  # copies from the outage: what was invalidated elsewhere since then is not known
        self._end_gap()

    async def _make_good(self, identity: str | None) -> None:
        oldest = monotonic() - REPLAYED_S
        for mark, at in self._recent.items():
            if at >= oldest:
                self._pending.setdefault(mark, self._made)
        if identity is not None:
            await self._shared.enter(identity)
        while self._pending:
            await self._carry_out(list(self._pending)[:AT_ONCE])

    def _begin_gap(self) -> None:
        if self.is_trusted:
            self.is_trusted = False
            self.gap_since = monotonic()
            self._coherence.stamp += 1
            self.gap_stamp = self._coherence.stamp

    def _end_gap(self) -> None:
        if self.is_open and self._tracked and not self.is_trusted:
            self._coherence.hear_all()
            self.is_trusted = True
