"""Somebody who writes down what he is told, and waiting for it."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

from keel.redis.contract import CommandRefused, Redis, RedisUnavailable
from keel.redis.observer import State


class Diary:
    """A watcher, a tracker, a receiver and an observer; `entries` are in order."""

    def __init__(self) -> None:
        self.entries: list[object] = []
        self.keys: list[bytes] = []
        self.identities: list[str] = []
        self.reasons: list[str] = []

    def went_up(self, identity: str) -> None:
        self.entries.append("up")
        self.identities.append(identity)

    def went_down(self) -> None:
        self.entries.append("down")

    def changed(self, keys: list[bytes] | None) -> None:
        self.entries.append(keys)
        self.keys += keys or []

    def lost(self) -> None:
        self.entries.append("lost")

    def live(self) -> None:
        self.entries.append("live")

    def receive(self, message: bytes) -> None:
        self.entries.append(message)

    def state_changed(self, server: str, state: State, reason: str) -> None:
        self.entries.append(state)
        self.reasons.append(f"{server}: {reason}")

    def connected(self, server: str, purpose: str) -> None:
        self.entries.append(purpose)
        self.reasons.append(f"{server}: {purpose}")

    def failed(self, server: str, reason: str) -> None:
        self.entries.append("failed")
        self.reasons.append(f"{server}: {reason}")

    def timed_out(self, server: str, calls: int) -> None:
        self.entries.append(calls)
        self.reasons.append(f"{server}: {calls}")


async def soon(condition: Callable[[], object], within_s: float = 10.0) -> float:
    """Wait for `condition`, failing after `within_s`; returns how long it took."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > within_s:
            pytest.fail(f"not within {within_s} s")
        await asyncio.sleep(0.005)
    return time.monotonic() - began


async def answers(redis: Redis, within_s: float = 10.0) -> float:
    """Wait until a write is answered; returns how long it took."""
    began = time.monotonic()
    while time.monotonic() - began < within_s:
        with suppress(RedisUnavailable, CommandRefused):
            await redis.call("SET", "answers", 1)
            return time.monotonic() - began
        await asyncio.sleep(0.01)
    pytest.fail(f"no answer within {within_s} s")


async def duration_of_failure(call: Awaitable[object]) -> float:
    """How long a call takes to find that Redis is away, in seconds."""
    began = time.monotonic()
    with pytest.raises(RedisUnavailable):
        await call
    return time.monotonic() - began
