"""Before a server ends: it says so for a while, and goes on meanwhile, so that nobody is sent to it any more."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from types import FrameType
from typing import Final

from tradesense.settings import Settings
from tradesense.wiring import Opening, State

_ENDS: Final = signal.SIGTERM
"""What orchestrators send. Whoever presses Ctrl-C does not want to wait."""


def draining(opening: Opening) -> Opening:
    """What opens the same, and is not ready from the moment on that the process is told to end."""

    @asynccontextmanager
    async def opened(settings: Settings) -> AsyncIterator[State]:
        async with opening(settings) as state:
            with also(state["lines"].drain), put_off(state["health"].drain, settings.drain_s):
                yield state

    return opened


@contextmanager
def also(end: Callable[[], None]) -> Iterator[None]:
    """Call `end` in the loop when the server is told to end: live connections would else hold it up."""
    loop, before = asyncio.get_running_loop(), {number: signal.getsignal(number) for number in (_ENDS, signal.SIGINT)}

    def heard(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(end)
        pass_on = before[signal.Signals(number)]
        if callable(pass_on):
            pass_on(number, frame)

    for number in before:
        signal.signal(number, heard)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def put_off(begin: Callable[[], None], wait_s: float) -> Iterator[None]:
    """Call `begin` when the process is told to end, and pass that on `wait_s` seconds later; told twice, at once."""
    loop, before = asyncio.get_running_loop(), signal.getsignal(_ENDS)
    told = False

    def pass_on(number: int, frame: FrameType | None) -> None:
        if callable(before):
            before(number, frame)

    def heard(number: int, frame: FrameType | None) -> None:
        nonlocal told
        begin()
        if told or not wait_s:
            pass_on(number, frame)
        else:
            loop.call_soon_threadsafe(loop.call_later, wait_s, pass_on, number, None)
        told = True

    signal.signal(_ENDS, heard)
    try:
        yield
    finally:
        signal.signal(_ENDS, before)
