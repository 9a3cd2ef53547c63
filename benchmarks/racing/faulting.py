"""Traffic over two caches that share servers, while something is done to the servers: what requests are answered."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from time import monotonic
from typing import Final, NamedTuple

from benchmarks.racing.runner import quantile
from keel.cache.hybrid import HybridCache
from keel.context import budget
from keel.opening import Keel
from keel.tasks import Tasks

KEYS: Final = 60
LOAD_S: Final = 0.005
PRIVATE: Final = "user:"
LONGEST_LAG_S: Final = 10.0
"""For how long a cache that hears of nothing may go on with what it has in memory (KEEL.md)."""


class Place(NamedTuple):
    """A key with its tag; `in_memory` where copies of it are kept there."""

    key: str
    tag: str
    in_memory: bool


PLACES: Final = tuple(
    Place(f"fault:{number}", f"{PRIVATE if number % 2 else 'owner:'}{number % 10}", number % 3 > 0)
    for number in range(KEYS)
)


class Answer(NamedTuple):
    """One request: when it came and how long it took."""

    at: float
    took_s: float


@dataclass
class Traffic:
    """Readers of both caches and a writer that invalidates through the first; stops when `over`."""

    writer: HybridCache
    reader: HybridCache
    random: Random
    readers: int = 6
    pause_s: float = 0.01
    answers: list[Answer] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    stale: list[str] = field(default_factory=list)
    lags_s: list[float] = field(default_factory=list)
    away: int = 0
    over: bool = False

    def __post_init__(self) -> None:
        self.current = dict.fromkeys(PLACES, 1)
        self._completed = dict.fromkeys(PLACES, 0)
        self._here = dict.fromkeys(PLACES, 0)
        self._since: dict[tuple[Place, int], float] = {}
        self._owed: list[tuple[Place, int]] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Traffic"]:
        """While the block lasts."""
        async with Tasks() as tasks:
            its = [tasks.start("reader", self._read(cache)) for cache in self.caches for _ in range(self.readers)]
            its += [tasks.start("writer", self._write()), tasks.start("creditor", self._settle())]
            yield self
            self.over = True
            await asyncio.wait(its)
            for each in its:
                each.result()

    @property
    def caches(self) -> tuple[HybridCache, HybridCache]:
        """Both."""
        return self.writer, self.reader

    @property
    def is_normal(self) -> bool:
        """Whether both caches are as they were before anything happened."""
        return all(cache.stats().mode == "live" for cache in self.caches)

    async def normal(self) -> None:
        """Wait until it is."""
        while not self.is_normal:  # noqa: ASYNC110 - what it waits for is no event
            await asyncio.sleep(0.002)

    def quantile_s(self, share: float, since: float, until: float) -> float:
        """Of the requests that were under way between two moments."""
        return quantile([each.took_s for each in self.between(since, until)], share)

    def between(self, since: float, until: float) -> Sequence[Answer]:
        """The requests that were under way between two moments."""
        return [each for each in self.answers if each.at < until and each.at + each.took_s > since]

    # Reading

    async def _read(self, cache: HybridCache) -> None:
        while not self.over:
            await asyncio.sleep(self.random.expovariate(1 / self.pause_s))
            await self.check(cache, self.random.choice(PLACES))

    async def check(self, cache: HybridCache, place: Place) -> None:
        """Read, as a request does, and compare with what is due."""
        floor = max(self._completed[place], self._here[place] if cache is self.writer else 0)
        began = monotonic()
        try:
            with budget():
                got = await cache.get_or_set(
                    place.key, self._loader(place), ttl=60, tags=(place.tag,), l1_ttl=None if place.in_memory else 0
                )
        except Exception as error:  # noqa: BLE001 - none is due
            self.errors[type(error).__name__] += 1
            return
        finally:
            self.answers.append(Answer(began, monotonic() - began))
        if got >= floor:
            return
        lag_s = began - min(self._since.get((place, each), began) for each in range(got + 1, floor + 1))
        if cache is self.reader and place.in_memory and lag_s < LONGEST_LAG_S:
            self.lags_s.append(lag_s)
        else:
            self.stale.append(f"{place.key} {got}, {floor} was due for {lag_s * 1e3:.1f} ms")

    def _loader(self, place: Place) -> Callable[[], Awaitable[int]]:
        async def load() -> int:
            version = self.current[place]
            await asyncio.sleep(LOAD_S)
            return version

        return load

    # Writing

    async def _write(self) -> None:
        while not self.over:
            await asyncio.sleep(self.random.expovariate(1 / 0.03))
            await self.invalidate(self.random.choice(PLACES).tag)

    async def invalidate(self, tag: str) -> bool:
        """Change whatever has the tag, and invalidate it; whether that has completed everywhere."""
        written = []
        for place in PLACES:
            if place.tag == tag:
                self.current[place] += 1
                written.append((place, self.current[place]))
        everywhere = await self.writer.invalidate_tags(tag)
        for place, version in written:
            self._here[place] = max(self._here[place], version)
            if everywhere:
                self._complete(place, version)
        if not everywhere:
            self.away += 1
            self._owed += written
        return everywhere

    async def _settle(self) -> None:
        """What was invalidated in an outage holds everywhere once the writer is back."""
        while not self.over:
            if self._owed and self.writer.stats().mode != "outage":
                owed, self._owed = self._owed, []
                for place, version in owed:
                    self._complete(place, version)
            await asyncio.sleep(0.001)

    def _complete(self, place: Place, version: int) -> None:
        self._since[place, version] = monotonic()
        self._completed[place] = max(self._completed[place], version)


@asynccontextmanager
async def traffic(url: str, seed: int = 3, **options: float) -> AsyncIterator[Traffic]:
    """Two caches over the servers at `url`, live and in use."""
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(Keel.open(url, "fault"))
        second = await stack.enter_async_context(Keel.open(url, "fault"))
        made = Traffic(first.cache, second.cache, Random(seed), **options)  # type: ignore[arg-type]
        await made.normal()
        yield await stack.enter_async_context(made.running())
