"""One process of a race: it reads and writes, and counts the reads that got what was outdated before they began."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random
from time import monotonic, monotonic_ns
from typing import Final

import msgspec

from benchmarks.racing.racers import How, Kind, Place, Racer
from benchmarks.racing.truth import Truth
from keel.tasks import Tasks

PROCESSES: Final = 2
USERS: Final = 3
KEYS: Final = 3
READERS: Final = 12
LONGEST_S: Final = 20.0
"""What takes longer than this is given up, and counts as an error."""
_ABANDONED: Final = 0.04
_WAYS: Final = (How.KEY,) * 8 + (How.TAG,) * 4 + (How.PREFIX,) * 3 + (How.ALL,)


class Read(StrEnum):
    """What is promised of a read."""

    SHARED = "shared tier"
    SAME = "memory, same process"
    VERSION = "with a version"
    OTHER = "memory, other process"


STRICT: Final = (Read.SHARED, Read.SAME, Read.VERSION)
"""Reads that must never be stale."""


def places() -> list[Place]:
    """All keys; a place's number is its index."""
    found: list[Place] = []
    for kind in Kind:
        for owner in range(PROCESSES):
            for user in range(USERS):
                for _ in range(KEYS):
                    found.append(Place(len(found), kind, owner, f"p{owner}u{user}"))
    return found


class Tally(msgspec.Struct):
    """What one process has seen."""

    checked: Counter[str] = msgspec.field(default_factory=Counter)
    stale: Counter[str] = msgspec.field(default_factory=Counter)
    lags_s: list[float] = msgspec.field(default_factory=list)
    abandoned: int = 0
    errors: Counter[str] = msgspec.field(default_factory=Counter)
    loads: int = 0
    invalidations: int = 0
    in_outage: int = 0
    examples: list[str] = msgspec.field(default_factory=list)

    def add(self, other: "Tally") -> None:
        """Add what another process has seen."""
        self.checked += other.checked
        self.stale += other.stale
        self.errors += other.errors
        self.lags_s += other.lags_s
        self.examples += other.examples
        self.abandoned += other.abandoned
        self.loads += other.loads
        self.invalidations += other.invalidations
        self.in_outage += other.in_outage


def read_tally(data: bytes) -> Tally:
    """What a process has sent as JSON."""
    return msgspec.json.decode(data, type=Tally, dec_hook=lambda _type, found: Counter(found))


@dataclass
class Runner:
    """Races until it has checked `reads` strict reads, and goes on until all processes have, or until `end`.

    `slow_s` bounds how long the source takes, `end` is by the monotonic clock.
    """

    racer: Racer
    truth: Truth
    me: int
    random: Random
    reads: int
    slow_s: float
    end: float
    tally: Tally = field(default_factory=Tally)

    def __post_init__(self) -> None:
        self._places = places()
        self._mine = [each for each in self._places if each.owner == self.me]
        self._here = [0] * len(self._places)
        self._owed: list[tuple[int, int]] = []

    async def run(self) -> Tally:
        """Race."""
        async with Tasks() as tasks:
            background = [tasks.start("writer", self._write()) for _ in range(2)]
            background.append(tasks.start("creditor", self._settle()))
            readers = [tasks.start("reader", self._read(tasks)) for _ in range(READERS)]
            await asyncio.wait([*background, *readers], return_when=asyncio.FIRST_EXCEPTION)
            for each in (*background, *readers):
                if each.done():
                    each.result()
        return self.tally

    @property
    def _is_over(self) -> bool:
        if sum(self.tally.checked[read] for read in STRICT) >= self.reads or monotonic() > self.end:
            self.truth.raise_flag(self.me)
        return all(self.truth.flag(each) for each in range(PROCESSES))

    # Writing

    async def _write(self) -> None:
        while not self._is_over:
            await asyncio.sleep(self.random.expovariate(1 / 0.004))
            await self._change(self.random.choice(_WAYS))

    async def _change(self, how: How) -> None:
        first = self.random.choice(self._mine)
        if how is How.KEY:
            chosen = [first]
        elif how is How.ALL:
            chosen = self._mine
        else:
            chosen = [each for each in self._mine if (each.user, each.kind) == (first.user, first.kind)]
        written = [(each.number, self.truth.write(each.number)) for each in chosen]
        self.tally.invalidations += 1
        try:
            everywhere = await self.racer.invalidate(how, chosen)
        except Exception as error:  # noqa: BLE001 - a peer's; it promises nothing then
            self.tally.errors[f"invalidate: {type(error).__name__}"] += 1
            return
        for number, version in written:
            self._here[number] = max(self._here[number], version)
            if everywhere:
                self.truth.complete(number, version)
        if not everywhere:
            self.tally.in_outage += 1
            self._owed += written

    async def _settle(self) -> None:
        """What was invalidated during an outage holds everywhere once this process has made it good."""
        while not self._is_over:
            if self._owed and self.racer.is_made_good():
                owed, self._owed = self._owed, []
                for number, version in owed:
                    self.truth.complete(number, version)
            await asyncio.sleep(0.001)

    # Reading

    async def _read(self, tasks: Tasks) -> None:
        while not self._is_over:
            await asyncio.sleep(self.random.expovariate(1 / 0.001))
            place = self.random.choice(self._places)
            if self.random.random() < _ABANDONED:
                await self._abandon(tasks, place)
            else:
                await self._check(place)

    async def _abandon(self, tasks: Tasks, place: Place) -> None:
        reading = tasks.start("abandoned", self.racer.read(place, self._loader(place), 0))
        await asyncio.sleep(self.random.uniform(0, self.slow_s))
        reading.cancel()
        await asyncio.wait({reading})
        self.tally.abandoned += 1

    async def _check(self, place: Place) -> None:
        read, number = self._promise(place), place.number
        floor = self.truth.completed(number)
        if place.owner == self.me:
            floor = max(floor, self._here[number])
        if read is Read.VERSION:
            floor = self.truth.current(number)
        began = monotonic_ns()
        try:
            async with asyncio.timeout(LONGEST_S):
                got = await self.racer.read(place, self._loader(place), floor)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            self.tally.errors["read: cancelled with another reader"] += 1
            return
        except Exception as error:  # noqa: BLE001 - a peer's
            self.tally.errors[f"read: {type(error).__name__}"] += 1
            return
        self.tally.checked[read] += 1
        if got >= floor:
            return
        self.tally.stale[read] += 1
        late_s = self.truth.overdue_s(number, got, floor, began)
        if read is Read.OTHER:
            self.tally.lags_s.append(late_s)
        elif len(self.tally.examples) < 5:
            self.tally.examples.append(f"{read}: {place.key} {got} where {floor} was due for {late_s * 1e3:.1f} ms")

    def _promise(self, place: Place) -> Read:
        match place.kind:
            case Kind.SHARED:
                return Read.SHARED
            case Kind.VERSION:
                return Read.VERSION
            case Kind.MEMORY:
                return Read.SAME if place.owner == self.me else Read.OTHER

    def _loader(self, place: Place) -> Callable[[], Awaitable[int]]:
        async def load() -> int:
            self.tally.loads += 1
            version = self.truth.current(place.number)
            pause = self.random.random() ** 3 * self.slow_s
            await asyncio.sleep(pause * 8 if self.random.random() < 0.02 else pause)
            return version

        return load


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which that share of all lies; 0 where there are none."""
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else 0.0
