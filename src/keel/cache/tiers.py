"""The two tiers of one cache: which copies in memory count right now, and what is put where."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterable
from math import log
from time import monotonic
from typing import Any, Final

from msgspec import structs

from keel.cache import frame
from keel.cache.codec import Undecodable, Unencodable
from keel.cache.coherence import Coherence, Seen, marks, soft_marks
from keel.cache.contract import (
    Event,
    Kind,
    Leased,
    Listener,
    Mark,
    Options,
    SharedTier,
    Stamps,
    Stored,
    Versions,
)
from keel.cache.flights import UNANSWERED, Ask, Copy, Examined, Known, Made, Manner, Unclear
from keel.cache.frame import new_id
from keel.cache.keys import check, safe
from keel.cache.memory import Entry, MemoryTier
from keel.cache.standing import Mode, Standing
from keel.clock import wall_ns
from keel.context import budget
from keel.redis.contract import CommandRefused, RedisUnavailable

OUTAGE_AGE_S: Final = 10.0
"""How long memory goes on when the shared tier is away."""
JITTER: Final = 0.1
"""The share by which a ttl is cut at random, so that what was computed together does not expire together."""
MOST_EARLY: Final = 37
"""XFetch draws no moment that is ahead by more than so many times the cost: -log of the least that `random` gives."""
PRIVATE_TAG: Final = "user:"
"""Entries with a tag that begins so are somebody's own."""
_ALWAYS_CHECKED: Final = -1
_Glancing = tuple[Known, Manner, int | None, Seen]
"""What is asked for, how it is kept, which version of the data is wanted, and the marks from before."""
_LOG: Final = logging.getLogger(__name__)


class Tiers:
    """Memory alone, or memory over a shared tier with its `standing`. `alone`: no other process shares the data."""

    def __init__(
        self,
        memory: MemoryTier,
        coherence: Coherence,
        *,
        shared: SharedTier | None = None,
        standing: Standing | None = None,
        alone: bool = False,
    ) -> None:
        self.memory = memory
        self.coherence = coherence
        self.shared = shared
        self.standing = standing
        self.listeners: list[Listener] = []
        """Are told of every hit by whoever finds it."""
        self._alone = alone
        self._find: Callable[[str], Entry | None] = memory.find

    @property
    def is_open(self) -> bool:
        """Whether the shared tier may be used."""
        return self.standing is not None and self.standing.is_open

    @property
    def mode(self) -> Mode:
        """How far the tiers can be trusted."""
        return Mode.MEMORY if self.standing is None else self.standing.mode

    # Finding

    def peek(self, key: str, version: int | None = None) -> Entry | None:
        """The copy in memory that may be answered with right now; None where it takes more than memory to say."""
        entry = self._find(key)
        if entry is None or monotonic() >= entry.refresh_from:
            return None
        if entry.stamp != self.coherence.stamp and not self._still_fresh(entry, version):
            return None
        if version is not None and (entry.version is None or entry.version < version):
            return None
        return entry

    def in_memory(self, ask: Ask) -> Copy | None:
        """The copy in memory if it counts, be it fresh or stale."""
        entry = self._find(ask.names.key)
        if entry is None or monotonic() >= min(entry.hard_until, entry.expires) or not self._counts(entry, ask.version):
            return None
        is_soft = soft_marks(entry.cells) != entry.soft
        if is_soft and entry.expires <= entry.fresh_until:
            return None
        fresh_until = 0.0 if is_soft else entry.fresh_until
        copy = Copy(entry.value, fresh_until, entry.expires, 0.0, ask.names.tags, entry.version, entry.cost_s, entry.id)
        return copy if copy.serves(ask.version) else None

    def _still_fresh(self, entry: Entry, version: int | None) -> bool:
        if soft_marks(entry.cells) != entry.soft or not self._counts(entry, version):
            return False
        if self.standing is None or self.standing.is_trusted:
            entry.stamp = self.coherence.stamp
        return True

    def _counts(self, entry: Entry, version: int | None) -> bool:
        """Whether a copy in memory may be used, soft invalidations aside."""
        if marks(entry.cells) != entry.total:
            return False
        standing = self.standing
        if standing is None or standing.is_trusted:
            return True
        if standing.is_open:
            return False
        is_of_before = _ALWAYS_CHECKED < entry.stamp < standing.gap_stamp
        if is_of_before and monotonic() >= standing.gap_since + OUTAGE_AGE_S:
            return False
        if entry.private and not self._alone:
            return version is not None and entry.version is not None and entry.version >= version
        return True

    async def examine(self, ask: Ask, glanced: Unclear | None = None) -> Examined:
        """Look into the shared tier, unless that was done; raises RedisUnavailable.

        A value with more tags takes a second look.
        """
        look, seen = glanced or UNANSWERED
        if look is None or seen is None:
            seen = self.coherence.observe(ask.names)
            look = await self._the_shared.look(ask.names)
        if look.tags is None:
            return Examined(look, _copy_of(ask, look.found), seen)
        names = ask.names._replace(tags=look.tags)
        seen = self.coherence.observe(names)
        wider = await self._the_shared.look(names)
        return Examined(structs.replace(look, seen=wider.seen), _copy_of(ask, wider.found), seen)

    def glance(self, known: Known, manner: Manner, version: int | None = None) -> Awaitable[Any] | None:
        """A look into the shared tier, where that is open and memory has nothing that might be of use.

        It gives the value itself, kept in memory and counted, where that is as good as any; else an `Unclear`; it
        raises RedisUnavailable. Most reads of the tier come to this, so they are judged where the reply is read.
        """
        standing, shared = self.standing, self.shared
        if standing is None or not standing.is_open or shared is None or self._find(known.names.key) is not None:
            return None
        watched, coherence = known.watched, self.coherence
        seen = watched.seen if watched.stamp == coherence.stamp else coherence.seen(watched)
        return shared.read(known.places, self._glanced, (known, manner, version, seen))

    def _glanced(self, who: _Glancing, found: bytes | None, versions: Versions) -> Any:  # noqa: ANN401 - the caller's own value
        known, manner, version, seen = who
        if found is not None:
            try:
                opened = known.opened = frame.opened(found, known.opened)
                head = opened.head
                if (
                    head.stamps == versions
                    and head.tags == known.names.tags
                    and not opened.is_soft
                    and _is_good(head, manner.options, version)
                ):
                    value = manner.codec.decode(frame.payload(found, opened))
                    if manner.options.l1_ttl != 0:
                        self.keep(known, manner, _found_copy(manner.options, value, frame.read(found)), seen)
                    known.group.shared_hits += 1
                    for listener in self.listeners:
                        listener(Event.HIT, known.names.key)
                    return value
            except Undecodable:
                pass
        return Unclear(self._the_shared.judge(known.names, found, versions), seen)

    @property
    def _the_shared(self) -> SharedTier:
        if self.shared is None:
            raise RedisUnavailable("There is no shared tier.")
        return self.shared

    def observe_more(self, seen: Seen, tags: tuple[str, ...]) -> Seen:
        """`seen` with the cells of more tags, as they are now."""
        check(tags)
        return self.coherence.add(seen, tags)

    # Keeping

    def keep(self, known: Known, manner: Manner, copy: Copy, seen: Seen, since: float | None = None) -> None:
        """Keep a copy in memory, if what was `seen` has not moved and memory is to be trusted.

        `since` is when it was begun to be made, if that is not just now; by the monotonic clock.
        """
        standing, stamp = self.standing, self.coherence.stamp
        if standing is None or self.shared is None:
            age = copy.expires  # there is no other copy
        elif manner.options.l1_ttl is None:
            age = self.shared.trusted_s
        else:
            age = manner.options.l1_ttl
        if not age or not seen.unmoved:
            return
        now, private = monotonic(), manner.private or any(each.startswith(PRIVATE_TAG) for each in copy.tags)
        if standing is not None and not standing.is_trusted:
            if standing.is_open or (private and not self._alone and copy.version is None):
                return
            # What was made began to go out of date when it was begun, or when nothing could be heard any more.
            age = min(age, max(now if since is None else since, standing.gap_since) + OUTAGE_AGE_S - now)
            stamp = _ALWAYS_CHECKED if private and not self._alone else stamp
        self.memory.put(known.names.key, _entry(known, copy, seen, now + age, stamp, private=private), copy.length)

    async def store(self, ask: Ask, made: Made, lease: Leased | None) -> bool:
        """Keep what was computed, where that is still right; whether it was stored with the lease."""
        copy = _made_copy(ask, made)
        filled = is_unshared = False
        if lease is not None and self.is_open and made.stamps.complete and made.seen.unmoved:
            try:
                filled = await self._the_shared.fill(ask.names.key, lease, _stored(ask, copy, made.stamps))
            except RedisUnavailable:
                ask.group.errors += 1
            except (CommandRefused, Unencodable) as error:
                # It is heard of what invalidates a copy in memory, wherever else there is one.
                _LOG.warning("a value is kept in memory alone: %s", error)
                ask.group.errors += 1
                is_unshared = True
        if filled or is_unshared or not self.is_open:
            self.keep(ask.known, ask.manner, copy, made.seen, made.began)
        return filled

    async def put(self, ask: Ask, value: Any) -> bool:  # noqa: ANN401 - the caller's own value
        """Keep a value whatever there is; False where the shared tier is away, which then is told to forget the key."""
        copy = _new_copy(ask, value, ask.options.ttl, ask.options.stale_ttl, ask.version)
        mark = Mark(Kind.KEY, ask.names.key)
        if self.standing is None:
            self.invalidate_here([mark])
            self.keep(ask.known, ask.manner, copy, self.coherence.observe(ask.names))
            return True
        if self.is_open:
            try:
                with budget():
                    await self._put_shared(ask, copy)
            except RedisUnavailable:
                self.standing.postpone([mark])
            except CommandRefused:
                await self.standing.invalidate([mark])
            else:
                self.standing.hear(mark.kind, safe(mark.name))
                return True
        else:
            self.standing.postpone([mark])
        self.keep(ask.known, ask.manner, copy, self.coherence.observe(ask.names))
        return False

    async def _put_shared(self, ask: Ask, copy: Copy) -> None:
        """Nothing older is left, even where somebody invalidates the key, or sets another value, before this one."""
        shared, key = self._the_shared, ask.names.key
        stored = _stored(
            ask, copy, Stamps(())
        )  # before anything is done: a value that cannot be written changes nothing
        lease, look = await asyncio.gather(shared.claim(key), shared.look(ask.names))
        stamps = look.stamps if look.stamps.complete else await shared.issue(ask.names, look.stamps)
        await shared.fill(key, lease, structs.replace(stored, stamps=stamps))

    async def invalidate(self, marks_: list[Mark]) -> bool:
        """Invalidate everywhere; False where the shared tier is away and must be told later."""
        if self.standing is not None:
            return await self.standing.invalidate(marks_)
        self.invalidate_here(marks_)
        return True

    def invalidate_here(self, marks_: Iterable[Mark]) -> None:
        """Invalidate in memory where that is all there is. A soft mark leaves the copy, which then counts as stale."""
        for kind, name, soft in marks_:
            self.coherence.hear(kind, safe(name), soft=soft)
            if kind is Kind.KEY and not soft:
                self.memory.drop(name)
            elif kind is Kind.KEY:
                self._soften(name)
            elif kind is Kind.ROOT:
                self.memory.drop_all()

    def _soften(self, key: str) -> None:
        entry = self._find(key)
        if entry is not None:
            entry.expires = min(entry.expires, monotonic() + entry.expires - entry.fresh_until)
            entry.fresh_until = entry.refresh_from = 0.0


def _entry(known: Known, copy: Copy, seen: Seen, hard_until: float, stamp: int, *, private: bool) -> Entry:
    # The key's own cell is needed only where the server knows the key by another name; else the entry is dropped by it.
    own = seen.cells[0]
    key = known.names.key
    cells, total, soft = seen
    if safe(key) == key:
        cells, total, soft = cells[1:], total - own.mark, soft - own.soft
    return Entry(
        value=copy.value,
        fresh_until=copy.fresh_until,
        refresh_from=min(copy.early, hard_until),
        hard_until=hard_until,
        expires=copy.expires,
        version=copy.version,
        cells=cells,
        total=total,
        soft=soft,
        stamp=stamp,
        group=known.group,
        private=private,
        cost_s=copy.cost_s,
        id=copy.id,
    )


def _made_copy(ask: Ask, made: Made) -> Copy:
    loading, options = made.loading, ask.options
    ttl = options.negative_ttl if made.value is None and options.negative_ttl is not None else loading.ttl
    copy = _new_copy(ask, made.value, ttl, loading.stale_ttl, loading.version)
    copy.tags, copy.cost_s = made.tags, made.cost_s
    copy.early = _early(options, ttl, copy.fresh_until, made.cost_s)
    return copy


def _new_copy(ask: Ask, value: Any, ttl: float, stale_ttl: float, version: int | None) -> Copy:  # noqa: ANN401 - the caller's own value
    fresh_until = monotonic() + ttl * (1 - JITTER * random.random())
    tags = ask.names.tags
    return Copy(value, fresh_until, fresh_until + stale_ttl, fresh_until, tags, version, 0.0, new_id(), ttl=ttl)


def _early(options: Options, ttl: float, fresh_until: float, cost_s: float) -> float:
    """When a value is computed ahead of its time: at a share of its ttl, or by XFetch (beta = 1)."""
    if options.refresh_at is not None:
        return fresh_until - ttl * (1 - options.refresh_at)
    return fresh_until + cost_s * log(1.0 - random.random())


def _copy_of(ask: Ask, stored: Stored | None) -> Copy | None:
    """What lies in the shared tier, decoded; None where it cannot be, or may not be served stale and is."""
    if stored is None or (stored.is_soft and stored.expires <= stored.fresh_until):
        return None
    try:
        value = ask.codec.decode(stored.payload)
    except Undecodable:
        return None
    return _found_copy(ask.options, value, stored)


def _found_copy(options: Options, value: Any, stored: Stored) -> Copy:  # noqa: ANN401 - the caller's own value
    ahead = monotonic() - wall_ns() / 1e9
    fresh_until = 0.0 if stored.is_soft else stored.fresh_until + ahead
    early = _early(options, stored.ttl or options.ttl, fresh_until, stored.cost_s)
    return Copy(
        value,
        fresh_until,
        stored.expires + ahead,
        early,
        stored.tags,
        stored.version,
        stored.cost_s,
        stored.id,
        len(stored.payload),
    )


def _is_good(head: frame.Head, options: Options, version: int | None) -> bool:
    """Whether a value that counts is fresh and new enough, and sure not to be due to be computed ahead of its time."""
    left = head.fresh_until - wall_ns() / 1e9
    if version is not None and (head.version is None or head.version < version):
        return False
    if options.refresh_at is not None:
        return left > (head.ttl or options.ttl) * (1 - options.refresh_at)
    return left > MOST_EARLY * head.cost_s


def _stored(ask: Ask, copy: Copy, stamps: Stamps) -> Stored:
    behind = wall_ns() / 1e9 - monotonic()
    return Stored(
        copy.id,
        ask.codec.encode(copy.value),
        copy.fresh_until + behind,
        copy.expires + behind,
        stamps,
        copy.tags,
        copy.version,
        copy.cost_s,
        copy.ttl,
    )
