"""What the cache promises, and the words it uses: options, the loader's context, events, and the shared tier."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any, NamedTuple, Protocol, TypeVar

import msgspec

from keel.errors import Unavailable

S = TypeVar("S")
T = TypeVar("T")

Seconds = float | timedelta
"""A duration: seconds, or a timedelta."""

Load = Callable[[], Awaitable[Any]] | Callable[["Loading"], Awaitable[Any]]
"""What computes a value. It may take one positional parameter, its `Loading`."""


class NoPrincipal(Exception):
    """A user's own entry was asked for where nobody is known to be asking; nothing was read or written."""


class OtherPrincipal(Exception):
    """A user's own entry was asked for on behalf of somebody else; nothing was read or written."""


class NameRefused(ValueError):
    """A key, tag or prefix with half a surrogate pair in it, which no server can be sent."""


class PatternRefused(ValueError):
    """A pattern that is no prefix. Only `group:*` can be invalidated at once; for anything else give entries tags."""


class LoadTimedOut(Unavailable):
    """Computing the value took longer than its `hard_timeout`."""

    def __init__(self) -> None:
        super().__init__("Computing this took too long; try again.")


class NotModified(Exception):
    """Raised by a loader to say that `Loading.previous` still holds: it is kept for another ttl."""


class Event(StrEnum):
    """What happens to entries."""

    HIT = "hit"
    STALE = "stale"
    MISS = "miss"
    LOADED = "loaded"
    FAILED = "failed"
    DISCARDED = "discarded"
    INVALIDATED = "invalidated"


Listener = Callable[[Event, str], None]
"""Is told of each event with the key, tag or prefix that it concerns; called in the loop, so it must be quick."""


@dataclass(frozen=True, slots=True)
class Options:
    """How an entry is kept.

    `ttl` is for how long a value is fresh, `stale_ttl` for how long after that it may still be served while it is
    computed anew, or when that fails. `l1_ttl` bounds the age of a copy in memory over a shared tier (300 s unless
    given; 0 keeps none there). `refresh_at` is the share of the ttl after which a hit has the value computed anew in
    the background; without it that moment is drawn by XFetch from how long computing takes. `soft_timeout` is how long
    a reader who has a stale copy waits for a new one. `negative_ttl` is the ttl of None. `hard_timeout` bounds
    computing. All in seconds.
    """

    ttl: float
    stale_ttl: float = 0.0
    l1_ttl: float | None = None
    refresh_at: float | None = None
    soft_timeout: float | None = None
    negative_ttl: float | None = None
    hard_timeout: float | None = 60.0

    def __post_init__(self) -> None:
        """Refuse what could only be a mistake."""
        if self.ttl <= 0:
            raise ValueError("ttl must be more than 0 seconds")
        if self.stale_ttl < 0:
            raise ValueError("stale_ttl must be at least 0 seconds")
        if self.refresh_at is not None and not 0 < self.refresh_at < 1:
            raise ValueError("refresh_at is a share of the ttl between 0 and 1")


def seconds(duration: Seconds) -> float:
    """The duration in seconds."""
    return duration.total_seconds() if isinstance(duration, timedelta) else float(duration)


@dataclass(slots=True)
class Loading:
    """What a loader may know and say about the value it computes.

    `ttl` and `stale_ttl` (seconds) may be changed; `version` raised to the version of the data that was read;
    `store = False` keeps the value out of the cache. `previous` is the value of before where `has_previous`: raise
    `NotModified` to keep it.
    """

    key: str
    ttl: float
    stale_ttl: float
    version: int | None
    add_tags: Callable[[tuple[str, ...]], Awaitable[None]]
    previous: Any = None
    has_previous: bool = False
    store: bool = True

    async def tag(self, *tags: str) -> None:
        """Give the value more tags. To be awaited before that is read which the tags stand for."""
        await self.add_tags(tags)


class Names(NamedTuple):
    """The names of an entry: its key, the prefixes that cover it and its tags."""

    key: str
    prefixes: tuple[str, ...]
    tags: tuple[str, ...]


Versions = tuple[bytes | None, ...]
"""Of the root, of an entry's prefixes and of its tags, in this order; None where there is none."""


class Places(NamedTuple):
    """Where an entry's value lies in the shared tier, and the versions of all that invalidates it."""

    value: str
    versions: tuple[str, ...]


class Stamps(msgspec.Struct, frozen=True, gc=False):
    """The versions of everything that can invalidate an entry, as the server gave them: `root`, prefixes, tags.

    None where the server has none (never issued, evicted, flushed).
    """

    versions: Versions

    @property
    def complete(self) -> bool:
        """Whether a value may be stored under them."""
        return None not in self.versions


class Stored(msgspec.Struct, frozen=True, gc=False):
    """A value as the shared tier keeps it. `fresh_until` is the wall clock in seconds since 1970.

    `id` names this very value; `cost_s` is how long computing it took; `ttl` what it was given, 0 where that is not
    known; `is_soft` that it was invalidated softly.
    """

    id: bytes
    payload: bytes
    fresh_until: float
    expires: float
    stamps: Stamps
    tags: tuple[str, ...]
    version: int | None = None
    cost_s: float = 0.0
    ttl: float = 0.0
    is_soft: bool = False


class Look(msgspec.Struct, frozen=True, gc=False):
    """What a look at the shared tier found: the value, where there is one that still counts, and today's versions.

    `seen` is the id of what lies there even where it does not count. A value that has more tags than were asked for is
    not judged: it is to be looked at again with the `tags` it has.
    """

    found: Stored | None
    stamps: Stamps
    seen: bytes = b""
    tags: tuple[str, ...] | None = None


class Leased(NamedTuple):
    """The right to compute a value, and to store it unless it is invalidated meanwhile."""

    token: bytes


class Busy(NamedTuple):
    """Somebody else computes the value; their right ends in `ends_s` at the latest, unless they renew it."""

    ends_s: float


class Changed(NamedTuple):
    """There is another value than the one that was seen: look again."""


class SharedTier(Protocol):
    """What several processes share. All raise `RedisUnavailable` where it is away."""

    @property
    def trusted_s(self) -> float:
        """The greatest age of a copy in memory that nothing was heard about: the last resort."""

    def look(self, names: Names) -> Awaitable[Look]:
        """The value and the versions, in one round trip."""

    def places(self, names: Names) -> Places:
        """Where `read` finds an entry."""

    def read(self, places: Places, take: Callable[[S, bytes | None, Versions], T], who: S) -> Awaitable[T]:
        """As `look`, but whatever `take` makes of the bytes that lie there, and of the versions, when they come."""

    def judge(self, names: Names, found: bytes | None, versions: Versions) -> Look:
        """The look that such bytes and versions make."""

    async def issue(self, names: Names, stamps: Stamps) -> Stamps:
        """`stamps` with a version for each that was missing."""

    async def versions(self, tags: tuple[str, ...]) -> tuple[bytes, ...]:
        """Today's versions of tags, issued where there were none."""

    async def lease(self, key: str, seen: bytes) -> Leased | Busy | Changed:
        """Take the right to compute the value that follows the one with the id `seen` (empty where there is none)."""

    async def renew(self, key: str, lease: Leased) -> bool:
        """Prolong a lease; False where it is gone."""

    async def release(self, key: str, lease: Leased) -> None:
        """Give a lease back without a value."""

    async def fill(self, key: str, lease: Leased, value: Stored) -> bool:
        """Store a value; False, with nothing stored, where the lease is gone."""

    async def claim(self, key: str) -> Leased:
        """Invalidate a key and take the right to store a value, whoever computes one now."""

    async def invalidate(self, marks: Iterable["Mark"]) -> None:
        """Carry out invalidations."""

    async def enter(self, identity: str) -> None:
        """Begin with the servers of this `identity`: if it is a new one, every value of before counts no more."""


class Kind(StrEnum):
    """What an invalidation is about."""

    KEY = "k"
    TAG = "t"
    PREFIX = "p"
    ROOT = "e"


class Mark(NamedTuple):
    """One invalidation; a soft one leaves the stale copy to be served within its stale_ttl."""

    kind: Kind
    name: str
    soft: bool = False


@dataclass(frozen=True, slots=True)
class GroupStats:
    """Counters of the keys that begin with the same word."""

    memory_hits: int = 0
    shared_hits: int = 0
    stale_hits: int = 0
    misses: int = 0
    loads: int = 0
    coalesced: int = 0
    discarded: int = 0
    errors: int = 0

    @property
    def hits(self) -> int:
        """Answers from the cache, stale ones among them."""
        return self.memory_hits + self.shared_hits + self.stale_hits

    @property
    def hit_rate(self) -> float:
        """Share of the reads that were answered from the cache; 0 where there were none."""
        reads = self.hits + self.misses
        return self.hits / reads if reads else 0.0


@dataclass(frozen=True, slots=True)
class CacheStats:
    """How the cache does. `mode` is `memory`, `live`, `gap` (no tracking: memory is not read) or `outage`."""

    mode: str
    bytes: int
    limit_bytes: int
    entries: int
    evictions: int
    total: GroupStats
    groups: Mapping[str, GroupStats] = field(default_factory=dict)
