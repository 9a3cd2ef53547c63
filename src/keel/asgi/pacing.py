"""An event loop that looks for what has come in between two callbacks, however many of them wait for their turn.

A loop of asyncio or uvloop makes all calls that wait, and then looks at its sockets. Under load these are a dozen steps
of tasks, of 1 to 2 ms each; an answer that takes 20 µs waits for all of them. This one looks after each that takes
long.
Use it as `Config(loop="keel.asgi.pacing:PacedLoop")`.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from contextvars import Context
from time import perf_counter
from typing import Final, TypeVarTuple

import uvloop

Arguments = TypeVarTuple("Arguments")
TURN_S: Final = 0.0003
"""How long calls are made before sockets are looked at, which takes some 10 µs."""


class PacedLoop(uvloop.Loop):
    """uvloop's, whose calls are made in their order, a few at a time."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting: deque[asyncio.Handle] = deque()
        self._has_turn = False

    def call_soon(
        self,
        callback: Callable[[*Arguments], object],
        *args: *Arguments,
        context: Context | None = None,
    ) -> asyncio.Handle:
        """Call it once it is its turn; raises RuntimeError where the loop is closed."""
        if not self._has_turn:
            super().call_soon(self._make_calls)  # raises where the loop is closed
            self._has_turn = True
        handle = asyncio.Handle(callback, args, self, context)
        self._waiting.append(handle)
        return handle

    def close(self) -> None:
        """Close it; what still waits is not called."""
        super().close()
        self._waiting.clear()
        self._has_turn = False

    def _make_calls(self) -> None:
        waiting, end = self._waiting, perf_counter() + TURN_S
        try:
            for _ in range(len(waiting)):  # what these add comes after the next look
                handle = waiting.popleft()
                if not handle.cancelled():
                    handle._run()  # noqa: SLF001 - as asyncio's own loop does
                if perf_counter() > end:
                    break
        finally:
            if waiting:
                super().call_soon(self._make_calls)
            else:
                self._has_turn = False
