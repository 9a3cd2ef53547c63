import asyncio
import time

import pytest

from tests.watchdog import watched_loop


async def compute(ms: float) -> None:
    until = time.thread_time() + ms / 1000
    while time.thread_time() < until:
        pass


async def test_a_callback_that_holds_the_loop_fails_its_test() -> None:
    with pytest.raises(pytest.fail.Exception, match="the event loop was held by"), watched_loop(5):
        await asyncio.create_task(compute(20))  # noqa: TID251 - a callback of its own is what is tested


async def test_one_that_waits_does_not() -> None:
    with watched_loop(5):
        await asyncio.sleep(0.02)
        await asyncio.to_thread(time.sleep, 0.02)
