"""One computation of one value, shared by everybody who waits for it."""

import asyncio
import contextlib
import inspect
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from keel.cache.codec import Codec
from keel.cache.coherence import Seen, Watched
from keel.cache.contract import (
    Busy,
    Event,
    Leased,
    Load,
    Loading,
    LoadTimedOut,
    Look,
    Names,
    NotModified,
    Options,
    Places,
    SharedTier,
    Stamps,
)
from keel.cache.counting import Group
from keel.cache.frame import Opened
from keel.cache.keys import group
from keel.context import budget
from keel.errors import Unavailable
from keel.redis.contract import CommandRefused, RedisUnavailable
from keel.tasks import Tasks
from keel.traces.spans import part

LONGEST_WAIT_S: Final = 5.0
"""How long a value is waited for that another process computes, before it is computed here as well."""
SECOND_WAIT_S: Final = 0.05
"""How long the shared tier is waited for, in all, where the reader has waited for an answer of it in vain already."""
RENEWED_S: Final = 0.7
_SHORTEST_PAUSE_S: Final = 0.002
_LONGEST_PAUSE_S: Final = 0.05
_LOG: Final = logging.getLogger(__name__)


class Known(msgspec.Struct, gc=False, eq=False):
    """What is worked out once for all who ask for an entry by its key and tags."""

    names: Names
    group: Group
    watched: Watched
    places: Places
    """Where it lies in the shared tier."""
    opened: Opened | None = None
    """What was found there the last time."""


class Manner(NamedTuple):
    """How the values of a function are kept; `private` ones are somebody's own."""

    options: Options
    codec: Codec
    private: bool = False


class Ask(msgspec.Struct, gc=False):
    """What is asked for, by whom it may be used, and how it is computed."""

    known: Known
    manner: Manner
    load: Load
    version: int | None
    began: float
    """When its reader began to look, by the monotonic clock."""
    outcome: Event = Event.MISS
    """How it was answered: HIT, STALE or MISS."""
    had_no_answer: bool = False
    """Whether its reader has waited for the shared tier in vain."""

    @property
    def names(self) -> Names:
        """Of the entry."""
        return self.known.names

    @property
    def group(self) -> Group:
        """Its counters."""
        return self.known.group

    @property
    def options(self) -> Options:
        """How it is kept."""
        return self.manner.options

    @property
    def codec(self) -> Codec:
        """How it is written."""
        return self.manner.codec


class Copy(msgspec.Struct, gc=False):
    """A value that was found or computed. From `early` on it is computed anew ahead of its time.

    Times are of the monotonic clock, in seconds; `ttl` is what it was given, 0 where that is not known.
    """

    value: Any
    fresh_until: float
    expires: float
    early: float
    tags: tuple[str, ...]
    version: int | None
    cost_s: float
    id: bytes = b""
    length: int = 0
    """Bytes of the value as it was encoded, if it was."""
    ttl: float = 0.0

    @property
    def is_fresh(self) -> bool:
        """Whether its ttl still runs."""
        return monotonic() < self.fresh_until

    def serves(self, version: int | None) -> bool:
        """Whether it was computed from data of that version, or a later one."""
        return version is None or (self.version is not None and self.version >= version)


@dataclass(slots=True)
class Made:
    """What a loader has made, and under which versions and marks it may be stored."""

    value: Any
    loading: Loading
    cost_s: float
    tags: tuple[str, ...]
    stamps: Stamps
    seen: Seen
    began: float
    """When it was begun, after which it knows of no invalidation; by the monotonic clock."""


class Examined(NamedTuple):
    """What lies in the shared tier, the copy it makes where it counts, and the marks from before it was looked at."""

    look: Look
    copy: Copy | None
    seen: Seen


class Unclear(NamedTuple):
    """A look at the shared tier that is no plain hit, and the marks from before it; neither where nothing was said."""

    look: Look | None
    seen: Seen | None


UNANSWERED: Final = Unclear(None, None)


class Shelf(Protocol):
    """Where a flight takes from and puts to: the tiers."""

    shared: SharedTier | None

    @property
    def is_open(self) -> bool:
        """Whether the shared tier may be used."""

    async def examine(self, ask: Ask) -> Examined:
        """Look into the shared tier; raises RedisUnavailable."""

    def observe_more(self, seen: Seen, tags: tuple[str, ...]) -> Seen:
        """`seen` with the cells of more tags, as they are now."""

    def keep(self, known: Known, manner: Manner, copy: Copy, seen: Seen) -> None:
        """Keep a copy in memory, if what was `seen` has not moved and memory is to be trusted."""

    async def store(self, ask: Ask, made: Made, lease: Leased | None) -> bool:
        """Keep what was computed, where that is still right; whether it was stored with the lease."""


@dataclass(slots=True, eq=False)
class Flight:
    """A computation under way. `seen` are the marks from before anything was read for it."""

    shelf: Shelf
    ask: Ask
    seen: Seen
    look: Look | None
    previous: Copy | None
    tasks: Tasks
    future: asyncio.Future[Any]
    tell: Callable[[Event, str], None]
    began: float = field(default_factory=monotonic, init=False)
    _made_tags: tuple[str, ...] = field(default=(), init=False)
    _stamps: Stamps = field(default=Stamps(()), init=False)
    _lease: Leased | None = field(default=None, init=False)

    def serves(self, version: int | None) -> bool:
        """Whether a reader who comes now may have its result: nothing it depends upon was invalidated since."""
        mine = self.ask.version
        return self.seen.unmoved and (version is None or (mine is not None and mine >= version))

    def is_as_young_as(self, ask: Ask) -> bool:
        """Whether it has begun after a reader came, so that it knows of all that was invalidated before, elsewhere too.

        Of an older one that is not known: what is heard of an invalidation may come later than the answers of those who
        wait for it, or not at all while a connection is cut.
        """
        return self.shelf.shared is None or self.began >= ask.began

    async def run(self) -> None:
        """Find or compute the value, keep it, and hand it, or the error, to all who wait."""
        with budget(None):
            try:
                value = await self._find_or_load()
            except Exception as error:  # noqa: BLE001 - handed to those who wait
                self._fail(error)
            else:
                if not self.future.done():
                    self.future.set_result(value)
            finally:
                await self._give_back()

    def end(self) -> None:
        """It runs no more: one that was cancelled, perhaps before it began, leaves nobody waiting."""
        if not self.future.done():
            self._fail(Unavailable("The cache is being closed."))

    def _fail(self, error: Exception) -> None:
        self.ask.group.errors += 1
        self.tell(Event.FAILED, self.ask.names.key)
        if not self.future.done():
            self.future.set_exception(error)
            self.future.exception()  # those who wait have it; where nobody does, it is no error of the loop's

    async def _find_or_load(self) -> Any:  # noqa: ANN401 - the caller's own value
        if self.shelf.shared is not None:
            found = await self._claim(self.shelf.shared)
            if found is not None:
                return found.value
        with part("cache.load", {"cache.group": group(self.ask.names.key)}):
            return await self._load()

    # The right to compute

    async def _claim(self, shared: SharedTier) -> Copy | None:
        """Take the lease, or what another process has computed meanwhile; neither where the tier is away or slow."""
        try:
            if not self.shelf.is_open:
                raise RedisUnavailable("the shared tier is closed")
            with budget(SECOND_WAIT_S if self.ask.had_no_answer else None):
                return await self._take_turns(shared)
        except (RedisUnavailable, CommandRefused) as error:
            _LOG.debug("a value is computed without the shared cache: %s", error)
            return None

    async def _take_turns(self, shared: SharedTier) -> Copy | None:
        pause, give_up = _SHORTEST_PAUSE_S, monotonic() + LONGEST_WAIT_S
        look = self.look
        if look is None:
            look, copy = await self._examine()
            if copy is not None:
                return copy
        while True:
            answer = await shared.lease(self.ask.names.key, look.seen)
            if isinstance(answer, Leased):
                self._lease = answer
                self._stamps = look.stamps
                if not look.stamps.complete:
                    self._stamps = await shared.issue(self.ask.names, look.stamps)
                return None
            if monotonic() > give_up:
                return None
            if isinstance(answer, Busy):
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))
                pause = min(pause * 1.6, _LONGEST_PAUSE_S)
            look, copy = await self._examine()
            if copy is not None:
                return copy

    async def _examine(self) -> tuple[Look, Copy | None]:
        """What lies there now; a copy where it is a newer and fresh one, which is kept in memory as well."""
        look, copy, seen = await self.shelf.examine(self.ask)
        known = None if self.previous is None else self.previous.id
        if copy is None or copy.id == known or not copy.serves(self.ask.version) or not copy.is_fresh:
            return look, None
        self.shelf.keep(self.ask.known, self.ask.manner, copy, seen)
        return look, copy

    async def _renew(self, shared: SharedTier, lease: Leased) -> None:
        with contextlib.suppress(RedisUnavailable, CommandRefused):
            while True:
                await asyncio.sleep(RENEWED_S)
                if not self.seen.unmoved:
                    await self._give_back()
                    return
                if not await shared.renew(self.ask.names.key, lease):
                    return

    async def _give_back(self) -> None:
        """Let others compute, where what is computed here cannot be stored."""
        lease, self._lease = self._lease, None
        if lease is not None and self.shelf.shared is not None:
            with contextlib.suppress(RedisUnavailable, CommandRefused):
                await self.shelf.shared.release(self.ask.names.key, lease)

    # Computing

    async def _load(self) -> Any:  # noqa: ANN401 - the caller's own value
        ask, previous = self.ask, self.previous
        loading = Loading(
            ask.names.key,
            ask.options.ttl,
            ask.options.stale_ttl,
            ask.version,
            self._add_tags,
            None if previous is None else previous.value,
            previous is not None,
        )
        self._made_tags = ask.names.tags
        started = monotonic()
        value = await self._loaded(loading)
        made = Made(value, loading, monotonic() - started, self._made_tags, self._stamps, self.seen, self.began)
        ask.group.loads += 1
        self.tell(Event.LOADED, ask.names.key)
        if loading.store:
            await self._store(made)
        return value

    async def _store(self, made: Made) -> None:
        lease = self._lease
        if await self.shelf.store(self.ask, made, lease):
            self._lease = None
        elif lease is not None:
            self.ask.group.discarded += 1
            self.tell(Event.DISCARDED, self.ask.names.key)

    async def _loaded(self, loading: Loading) -> Any:  # noqa: ANN401 - the caller's own value
        renewing = None
        if self._lease is not None and self.shelf.shared is not None:
            renewing = self.tasks.start("renewing a lease", self._renew(self.shelf.shared, self._lease))
        try:
            return await self._in_time(loading)
        except NotModified:
            if not loading.has_previous:
                raise
            return loading.previous
        finally:
            if renewing is not None:
                renewing.cancel()

    async def _in_time(self, loading: Loading) -> Any:  # noqa: ANN401 - the caller's own value
        limit = asyncio.timeout(self.ask.options.hard_timeout)
        try:
            async with limit:
                return await _call(self.ask.load, loading)
        except TimeoutError:
            if limit.expired():
                raise LoadTimedOut from None
            raise

    async def _add_tags(self, tags: tuple[str, ...]) -> None:
        """More tags, with their marks and versions as they are before that is read which they stand for."""
        more = tuple(dict.fromkeys(each for each in tags if each not in self._made_tags))
        self.seen = self.shelf.observe_more(self.seen, more)
        self._made_tags += more
        if self._lease is not None and self.shelf.shared is not None and more:
            try:
                added = await self.shelf.shared.versions(more)
            except (RedisUnavailable, CommandRefused):
                await self._give_back()
            else:
                self._stamps = Stamps(self._stamps.versions + added)


async def _call(load: Load, loading: Loading) -> Any:  # noqa: ANN401 - the caller's own value
    """The loader's value; one that is cancelled from within has failed, which is no cancellation of those who wait."""
    call: Callable[..., Awaitable[Any]] = load
    try:
        return await (call(loading) if _takes_loading(load) else call())
    except asyncio.CancelledError:
        if (task := asyncio.current_task()) is not None and task.cancelling():
            raise
        raise RuntimeError("the loader was cancelled from within") from None


def _takes_loading(load: Load) -> bool:
    """Whether the loader has a positional parameter without a default."""
    if inspect.isfunction(load):
        return load.__code__.co_argcount > len(load.__defaults__ or ())
    positional = {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}
    parameters = inspect.signature(load).parameters.values()
    return any(each.kind in positional and each.default is each.empty for each in parameters)
