"""The caches that race, behind one small interface: this project's own, cashews and aiocache."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from enum import StrEnum
from functools import partial
from typing import Any, Final, NamedTuple, Protocol

from typing_extensions import override

from keel.opening import Keel

TTL_S: Final = 600


class Kind(StrEnum):
    """How a key is read."""

    SHARED = "shared tier"
    MEMORY = "memory"
    VERSION = "with a version"


class How(StrEnum):
    """By what it is invalidated."""

    KEY = "key"
    TAG = "tag"
    PREFIX = "prefix"
    ALL = "everything"


class Place(NamedTuple):
    """A key: the process that writes it, whose it is, and how it is read."""

    number: int
    kind: Kind
    owner: int
    user: str

    @property
    def prefix(self) -> str:
        """What all keys of its user begin with."""
        return f"{self.kind.name.lower()}:{self.user}:"

    @property
    def key(self) -> str:
        """Its name."""
        return f"{self.prefix}{self.number}"

    @property
    def tag(self) -> str:
        """The tag of all keys of its user."""
        return f"user:{self.kind.name.lower()}:{self.user}"


Load = Callable[[], Awaitable[int]]


class Racer(Protocol):
    """A cache in one process."""

    async def read(self, place: Place, load: Load, version: int) -> int:
        """A copy, or what `load` gives; never one of before `version` where the place is read with a version."""

    async def invalidate(self, how: How, places: Sequence[Place]) -> bool:
        """Have all places, which are one user's, computed anew; whether that has completed everywhere."""

    def is_made_good(self) -> bool:
        """Whether invalidations that could not complete at once have completed by now."""


class KeelRacer(Racer):
    """Our own."""

    def __init__(self, keel: Keel) -> None:
        self._cache = keel.cache

    @override
    async def read(self, place: Place, load: Load, version: int) -> int:
        l1_ttl = 0 if place.kind is Kind.SHARED else None
        found: int = await self._cache.get_or_set(
            place.key,
            load,
            ttl=TTL_S,
            tags=(place.tag,),
            l1_ttl=l1_ttl,
            version=version if place.kind is Kind.VERSION else None,
        )
        return found

    @override
    async def invalidate(self, how: How, places: Sequence[Place]) -> bool:
        match how:
            case How.KEY:
                return await self._cache.invalidate(*(place.key for place in places))
            case How.TAG:
                return await self._cache.invalidate_tags(*{place.tag for place in places})
            case How.PREFIX:
                (prefix,) = {place.prefix for place in places}
                return await self._cache.invalidate_prefix(prefix)
            case How.ALL:
                return await self._cache.clear()

    @override
    def is_made_good(self) -> bool:
        return self._cache.stats().mode != "outage"


class CashewsRacer(Racer):
    """cashews; in memory as well, by its own client-side tracking, where `client_side`."""

    def __init__(self, cache: Any) -> None:  # noqa: ANN401 - a peer
        self._cache = cache

        async def read(key: str, tag: str, load: Load) -> int:  # noqa: ARG001 - the key's template reads them
            return await load()

        self._read = cache(ttl=TTL_S, key="{key}", tags=["{tag}"], lock=True)(read)

    @override
    async def read(self, place: Place, load: Load, version: int) -> int:
        found: int = await self._read(key=place.key, tag=place.tag, load=load)
        return found

    @override
    async def invalidate(self, how: How, places: Sequence[Place]) -> bool:
        match how:
            case How.KEY:
                for place in places:
                    await self._cache.delete(place.key)
            case How.TAG:
                await self._cache.delete_tags(*{place.tag for place in places})
            case How.PREFIX:
                await self._cache.delete_match(f"{places[0].prefix}*")
            case How.ALL:
                await self._cache.clear()
        return True

    @override
    def is_made_good(self) -> bool:
        return True


class AiocacheRacer(Racer):
    """aiocache, whose only way to forget several keys is to name each."""

    def __init__(self, cache: Any) -> None:  # noqa: ANN401 - a peer
        self._cache = cache

    @override
    async def read(self, place: Place, load: Load, version: int) -> int:
        from aiocache.decorators import cached_stampede  # noqa: PLC0415 - a peer

        decorator = cached_stampede(lease=2, ttl=TTL_S, key=place.key)
        decorator.cache = self._cache
        found: int = await decorator.decorator(load)
        return found

    @override
    async def invalidate(self, how: How, places: Sequence[Place]) -> bool:
        if how is How.ALL:
            await self._cache.clear()
        for place in places:
            await self._cache.delete(place.key)
        return True

    @override
    def is_made_good(self) -> bool:
        return True


@asynccontextmanager
async def _keel(url: str) -> AsyncIterator[Racer]:
    async with Keel.open(url, "race") as keel:
        yield KeelRacer(keel)


@asynccontextmanager
async def _cashews(url: str, *, client_side: bool) -> AsyncIterator[Racer]:
    from cashews import Cache  # noqa: PLC0415 - a peer

    cache = Cache()
    cache.setup(url, client_side=client_side, suppress=False)
    await cache.init()
    yield CashewsRacer(cache)
    await cache.close()


@asynccontextmanager
async def _aiocache(url: str) -> AsyncIterator[Racer]:
    from aiocache import Cache  # noqa: PLC0415 - a peer
    from aiocache.serializers import JsonSerializer  # noqa: PLC0415 - a peer

    cache = Cache.from_url(url)
    cache.serializer = JsonSerializer()
    yield AiocacheRacer(cache)
    await cache.close()


Opened = Callable[[str], AbstractAsyncContextManager[Racer]]
RACERS: Final[dict[str, Opened]] = {
    "keel": _keel,
    "cashews": partial(_cashews, client_side=False),
    "cashews client-side": partial(_cashews, client_side=True),
    "aiocache": _aiocache,
}
