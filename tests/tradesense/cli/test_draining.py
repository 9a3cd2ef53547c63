"""A server that is told to end is not ready from then on, and serves on for a while."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import cast

import pytest

from tradesense.cli.draining import also, draining, put_off
from tradesense.settings import Settings
from tradesense.wiring import State


@pytest.fixture
def ended() -> Iterator[asyncio.Event]:
    """Set when the server is told to end."""
    event = asyncio.Event()
    before = signal.signal(signal.SIGTERM, lambda *_: event.set())
    yield event
    signal.signal(signal.SIGTERM, before)


async def test_it_says_so_before_it_ends(ended: asyncio.Event) -> None:
    said: list[str] = []

    @asynccontextmanager
    async def opening(_settings: Settings) -> AsyncIterator[State]:
        parts = {
            "health": SimpleNamespace(drain=lambda: said.append("not ready")),
            "lines": SimpleNamespace(drain=lambda: said.append("goodbye")),
        }
        yield cast("State", parts)

    async with draining(opening)(Settings(drain_s=0.05)):
        signal.raise_signal(signal.SIGTERM)
        await asyncio.sleep(0)
        assert said == ["not ready"]
        assert not ended.is_set()
        async with asyncio.timeout(5):
            await ended.wait()
        await asyncio.sleep(0)
    assert said == ["not ready", "goodbye"]


async def test_whoever_says_it_twice_does_not_want_to_wait(ended: asyncio.Event) -> None:
    with put_off(lambda: None, 3600):
        signal.raise_signal(signal.SIGTERM)
        assert not ended.is_set()
        signal.raise_signal(signal.SIGTERM)
        assert ended.is_set()


async def test_live_connections_end_by_either_signal() -> None:
    told: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: told.append(number))
    try:
        said = asyncio.Event()
        with also(said.set):
            signal.raise_signal(signal.SIGINT)
            assert told == [signal.SIGINT]
            async with asyncio.timeout(5):
                await said.wait()
    finally:
        signal.signal(signal.SIGINT, before)


async def test_it_ends_at_once_where_it_need_not_wait(ended: asyncio.Event) -> None:
    with put_off(lambda: None, 0):
        signal.raise_signal(signal.SIGTERM)
        assert ended.is_set()
    ended.clear()
    signal.raise_signal(signal.SIGTERM)
    assert ended.is_set()
