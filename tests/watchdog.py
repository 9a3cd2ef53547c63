"""A watchdog over the event loop: no callback may hold it for more than 50 ms of CPU time."""

import asyncio
import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

LONGEST_MS: Final = 50.0


@contextmanager
def watched_loop(longest_ms: float = LONGEST_MS) -> Iterator[None]:
    """Fail the test that runs inside where a callback of any event loop held it too long.

    CPU time of the loop's thread counts, not the clock on the wall: a busy machine is nobody's fault. Garbage is
    collected first, and not meanwhile, as a full collection over everything that a test run keeps is not the product's.
    """
    held: list[str] = []
    run = asyncio.Handle._run

    def timed(handle: asyncio.Handle) -> Any:  # noqa: ANN401 - what asyncio gives
        began = time.thread_time()
        try:
            return run(handle)
        finally:
            took_ms = (time.thread_time() - began) * 1000
            if took_ms > longest_ms:
                held.append(f"{took_ms:.0f} ms: {_told(handle)}")

    gc.collect()
    gc.disable()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio.Handle, "_run", timed)
        try:
            yield
        finally:
            gc.enable()
    if held:
        pytest.fail("the event loop was held by " + "; ".join(held))


def _told(handle: asyncio.Handle) -> str:
    """Which callback it was; of a task, where it stands now."""
    task = getattr(handle._callback, "__self__", None)  # type: ignore[attr-defined]
    if not isinstance(task, asyncio.Task):
        return repr(handle)
    frames = [f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}" for frame in task.get_stack()]
    return f"{task.get_name()}, {task.get_coro()!r}, now at {' > '.join(frames) or 'its end'}"
