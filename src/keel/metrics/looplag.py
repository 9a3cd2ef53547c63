"""How late the event loop is: a timer that is due every quarter of a second, and when it came."""

import asyncio
from collections.abc import Callable
from typing import Final

EVERY_S: Final = 0.25
WINDOW_S: Final = 5.0
"""How long a delay is remembered, at least; twice that at most."""


class LoopLag:
    """Measures for as long as it is open; `observe` is told each delay, in seconds."""

    def __init__(self, observe: Callable[[float], None] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._observe = observe
        self._worst = [0.0, 0.0]
        self._due = self._loop.time() + EVERY_S
        self._window_ends = self._due + WINDOW_S
        self._timer = self._loop.call_at(self._due, self._ring)

    def worst_s(self) -> float:
        """The greatest delay of the last five seconds or more, with what the timer is late by now."""
        return max(*self._worst, self._loop.time() - self._due)

    def close(self) -> None:
        """Measure no more."""
        self._timer.cancel()

    def _ring(self) -> None:
        now = self._loop.time()
        late_s = max(now - self._due, 0.0)
        if now >= self._window_ends:
            self._worst = [self._worst[1], 0.0]
            self._window_ends = now + WINDOW_S
        self._worst[1] = max(self._worst[1], late_s)
        if self._observe is not None:
            self._observe(late_s)
        self._due = now + EVERY_S
        self._timer = self._loop.call_at(self._due, self._ring)
