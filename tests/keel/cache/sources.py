"""A source that is slow when told so, and waiting for what no event tells."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from keel.cache.hybrid import HybridCache


@dataclass
class Source:
    """What is cached: a value that changes, is slow to read when told so, and counts its reads."""

    value: Any = "first"
    reads: int = 0
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    begun: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.gate.set()

    async def read(self) -> object:
        """The value as it was when the reading began."""
        self.reads += 1
        value = self.value
        self.begun.set()
        await self.gate.wait()
        if isinstance(value, Exception):
            raise value
        return value


async def until(holds: Callable[[], object], patience_s: float = 20) -> None:
    """Wait until it holds; fails where it takes longer than anything should."""
    async with asyncio.timeout(patience_s):
        while not holds():  # noqa: ASYNC110 - what it waits for is no event
            await asyncio.sleep(0.002)


async def mode(which: str, *caches: HybridCache) -> None:
    """Wait until caches work in such a mode."""
    await until(lambda: all(cache.stats().mode == which for cache in caches))
