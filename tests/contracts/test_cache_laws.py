"""Laws of the cache, in memory and over a server that two of them share: whatever is done in whatever order.

Each key counts up; what a read gives is a version. It must never be older than the newest one that was invalidated, or
set, before the read began; nor than the version that the read carries.
"""

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from typing import Any, ClassVar, Final, NamedTuple
from uuid import uuid4

import redis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from keel.cache.hybrid import HybridCache
from keel.opening import Keel
from tests.valkey import Valkey


class Key(NamedTuple):
    name: str
    tags: tuple[str, ...]
    l1_ttl: float | None


KEYS: Final = (
    Key("summary:u1:a", ("user:1", "account:1"), None),
    Key("summary:u1:b", ("user:1",), 0),
    Key("summary:u2:{c}#", ("account:1",), None),
    Key("trades:u2:d", (), 0),
)
TAGS: Final = ("user:1", "account:1", "nobody")
PREFIXES: Final = ("summary", "summary:u1", "trades:u2:")
EXAMPLES: Final = settings(
    max_examples=20, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
MISSING: Final = -1
processes = st.integers(0, 1)
keys = st.sampled_from(KEYS)


class Reading(NamedTuple):
    """A read under way, and the oldest version that it may give."""

    task: asyncio.Task[Any]
    floor: int


class Laws(RuleBasedStateMachine):
    url: ClassVar[str | None] = None

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.caches: list[HybridCache] = []
        self.source = dict.fromkeys(KEYS, 1)
        self.floors = dict.fromkeys(KEYS, 0)
        self.loads = 0
        self.gates: dict[Key, asyncio.Event] = {}
        self.readings: dict[Key, list[Reading]] = {key: [] for key in KEYS}

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:  # noqa: ANN401 - whatever it gives
        return self.runner.run(_within(work))

    @initialize()
    def open(self) -> None:
        self.run(self._open())

    async def _open(self) -> None:
        namespace = f"laws:{uuid4().hex}"
        for _ in range(1 if self.url is None else 2):
            keel = await self.stack.enter_async_context(Keel.open(self.url, namespace))
            self.caches.append(keel.cache)
        for key in KEYS:
            self.gates[key] = asyncio.Event()
            self.gates[key].set()
        await self._wait_for_mode()

    async def _wait_for_mode(self) -> None:
        await _until(lambda: all(cache.stats().mode in {"live", "memory"} for cache in self.caches))

    def teardown(self) -> None:
        if self.caches:
            for key in KEYS:
                self.open_gate(key)
        self.run(self.stack.aclose())
        self.runner.close()

    def cache(self, process: int) -> HybridCache:
        return self.caches[process % len(self.caches)]

    # Reading

    def load(self, key: Key) -> Any:  # noqa: ANN401 - a loader
        async def load() -> int:
            self.loads += 1
            version = self.source[key]
            await self.gates[key].wait()
            return version

        return load

    def reading(self, process: int, key: Key, version: int | None = None, stale_ttl: float = 0) -> Reading:
        work = self.cache(process).get_or_set(
            key.name, self.load(key), ttl=600, tags=key.tags, l1_ttl=key.l1_ttl, version=version, stale_ttl=stale_ttl
        )
        floor = max(self.floors[key], version or 0)
        return Reading(self.runner.get_loop().create_task(work), floor)

    async def checked(self, key: Key, reading: Reading) -> int:
        found: int = await reading.task
        assert reading.floor <= found <= self.source[key]
        return found

    @rule(process=processes, key=keys, carries=st.booleans())
    def read(self, process: int, key: Key, carries: bool) -> None:  # noqa: FBT001 - drawn
        self.run(self._read(process, key, self.source[key] if carries else None))

    async def _read(self, process: int, key: Key, version: int | None) -> None:
        reading = self.reading(process, key, version)
        if not self.gates[key].is_set():
            await asyncio.wait({reading.task}, timeout=0.02)
            self.readings[key].append(reading)
            return
        await self.checked(key, reading)

    @rule(process=processes, key=keys)
    def get(self, process: int, key: Key) -> None:
        found = self.run(self.cache(process).get(key.name, MISSING, tags=key.tags))
        assert found == MISSING or self.floors[key] <= found <= self.source[key]

    @rule(process=processes, key=keys, after_ms=st.integers(0, 3))
    def give_up(self, process: int, key: Key, after_ms: int) -> None:
        async def work() -> None:
            reading = self.reading(process, key)
            await asyncio.sleep(after_ms / 1000)
            reading.task.cancel()
            await asyncio.wait({reading.task})

        self.run(work())

    @rule(key=keys)
    def close_gate(self, key: Key) -> None:
        """Whatever is computed from now on takes until the gate opens."""
        self.gates[key].clear()

    @rule(key=keys)
    def open_gate(self, key: Key) -> None:
        async def work() -> None:
            self.gates[key].set()
            for each in self.readings[key]:
                await self.checked(key, each)
            self.readings[key].clear()

        self.run(work())

    # Writing

    @rule(key=keys)
    def write(self, key: Key) -> None:
        self.source[key] += 1

    @rule(process=processes, key=keys)
    def put(self, process: int, key: Key) -> None:
        self.source[key] += 1
        work = self.cache(process).set(key.name, self.source[key], ttl=600, tags=key.tags, l1_ttl=key.l1_ttl)
        self.run(self._heard(work))
        self.floors[key] = self.source[key]

    @rule(process=processes, key=keys)
    def invalidate(self, process: int, key: Key) -> None:
        self.source[key] += 1
        self.invalidated({key}, self.cache(process).invalidate(key.name))

    @rule(process=processes, tag=st.sampled_from(TAGS))
    def invalidate_tag(self, process: int, tag: str) -> None:
        self.invalidated({key for key in KEYS if tag in key.tags}, self.cache(process).invalidate_tags(tag))

    @rule(process=processes, prefix=st.sampled_from(PREFIXES))
    def invalidate_prefix(self, process: int, prefix: str) -> None:
        covered = {key for key in KEYS if key.name.startswith(prefix.removesuffix(":") + ":")}
        self.invalidated(covered, self.cache(process).invalidate_prefix(prefix))

    @rule(process=processes)
    def clear(self, process: int) -> None:
        self.invalidated(set(KEYS), self.cache(process).clear())

    def invalidated(self, covered: set[Key], work: Coroutine[Any, Any, bool]) -> None:
        self.run(self._heard(work))
        for key in covered:
            self.floors[key] = self.source[key]

    async def _heard(self, work: Coroutine[Any, Any, Any]) -> Any:  # noqa: ANN401 - whatever it gives
        """Until the other process has been told, or, after an outage, both: before that its memory may lag."""
        stamps = [cache._tiers.coherence.stamp for cache in self.caches]
        found = await work
        await self._wait_for_mode()
        await _until(
            lambda: all(
                cache._tiers.coherence.stamp > before for cache, before in zip(self.caches, stamps, strict=True)
            )
        )
        return found

    @rule(process=processes, key=keys, by_tag=st.booleans())
    def soften(self, process: int, key: Key, by_tag: bool) -> None:  # noqa: FBT001 - drawn
        """What was invalidated softly may be read once more, and is computed anew meanwhile."""
        if not self.gates[key].is_set():
            return
        cache = self.cache(process)

        async def work() -> None:
            if by_tag:
                await self._heard(cache.invalidate_prefix(key.name.partition(":")[0], soft=True))
            else:
                await self._heard(cache.invalidate(key.name, soft=True))
            await self.checked(key, self.reading(process, key, stale_ttl=600))
            await _until(lambda: key.name not in cache._flights)

        self.source[key] += 1
        self.run(work())
        self.floors[key] = self.source[key]

    # What befalls the server

    @precondition(lambda self: self.url is not None)
    @rule()
    def flush(self) -> None:
        async def work() -> None:
            with _server(self.url) as server:
                server.flushall()

        self.run(self._heard(work()))

    @precondition(lambda self: self.url is not None)
    @rule(pushes=st.booleans())
    def cut(self, pushes: bool) -> None:  # noqa: FBT001 - drawn
        async def work() -> None:
            with _server(self.url) as server:
                for client in server.client_list():
                    if client["name"] == "keel" and ("t" in client["flags"]) is pushes:
                        server.client_kill_filter(_id=client["id"])
            await asyncio.sleep(0.01)
            await self._wait_for_mode()

        self.run(work())


def _server(url: str | None) -> "redis.Redis":
    assert url is not None
    return redis.Redis.from_url(url)


async def _within(work: Coroutine[Any, Any, Any]) -> Any:  # noqa: ANN401 - whatever it gives
    async with asyncio.timeout(30):
        return await work


async def _until(holds: Any) -> None:  # noqa: ANN401 - a condition
    while not holds():  # noqa: ASYNC110 - what it waits for is no event
        await asyncio.sleep(0.001)


def test_no_read_is_older_than_what_was_invalidated_before_it_in_memory() -> None:
    run_state_machine_as_test(Laws, settings=EXAMPLES)


def test_no_read_is_older_than_what_was_invalidated_before_it_on_a_server(valkey: Valkey) -> None:
    class Shared(Laws):
        url = valkey.url

    run_state_machine_as_test(Shared, settings=EXAMPLES)
