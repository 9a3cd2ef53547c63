"""Messages that make one another superfluous: of those that follow closely the first and the newest are sent."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from keel.tasks import Tasks

INTERVAL_S: Final = 0.1

Send = Callable[[str, bytes], Awaitable[object]]


class Coalescing:
    """What is held back, by channel and key; each goes out at the end of its interval, by `send`."""

    def __init__(self, send: Send, tasks: Tasks) -> None:
        self._send = send
        self._tasks = tasks
        self._held: dict[str, dict[str, bytes | None]] = {}
        """None: the interval runs, and nothing is held."""
        self._timers: dict[tuple[str, str], asyncio.TimerHandle] = {}

    def hold(self, channel: str, key: str, data: bytes) -> bool:
        """Keep a message for the end of the interval that runs; False where none does: then one begins."""
        held = self._held.setdefault(channel, {})
        if key in held:
            held[key] = data
            return True
        held[key] = None
        self._wait(channel, key)
        return False

    async def flush(self, channel: str) -> None:
        """Send what is held of a channel, so that nothing overtakes it."""
        for key, data in self._held.pop(channel, {}).items():
            self._timers.pop((channel, key)).cancel()
            if data is not None:
                await self._send(channel, data)

    async def close(self) -> None:
        """Send all that is held."""
        for channel in list(self._held):
            await self.flush(channel)

    def _wait(self, channel: str, key: str) -> None:
        loop = asyncio.get_running_loop()
        self._timers[channel, key] = loop.call_later(INTERVAL_S, self._elapsed, channel, key)

    def _elapsed(self, channel: str, key: str) -> None:
        held = self._held[channel]
        data = held[key]
        if data is not None:
            held[key] = None
            self._wait(channel, key)
            self._tasks.start(f"events: {channel}, {key}", self._sending(channel, data))
            return
        del self._timers[channel, key], held[key]
        if not held:
            del self._held[channel]

    async def _sending(self, channel: str, data: bytes) -> None:
        await self._send(channel, data)
