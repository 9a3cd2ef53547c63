"""Work in a thread, at whatever moment it is cancelled."""

import asyncio
import random
import threading

import pytest
from sqlalchemy import text

from tests.tradesense.ingest.conftest import World
from tradesense.db.engine import ReadConnection
from tradesense.ingest.service.behind import Desk, in_thread


class Told(Exception):
    """The work was told to stop."""


async def _one(connection: ReadConnection) -> None:
    await connection.execute(text("SELECT 1"))


async def test_cancelled_work_has_ended_whenever_the_cancellation_comes(world: World) -> None:
    rng, before = random.Random(1), threading.active_count()
    for _ in range(100):
        told = threading.Event()

        def work(desk: Desk, told: threading.Event = told) -> None:
            while not told.is_set():
                desk.read(_one)
            raise Told

        task = asyncio.create_task(in_thread(world.database, work, told.set))  # noqa: TID251 - this test owns it
        for _ in range(rng.randrange(1, 4)):
            await asyncio.sleep(rng.choice((0, 0, 0.0002, 0.003)))
            task.cancel()
        await asyncio.wait([task], timeout=10)
        assert task.cancelled()
        assert threading.active_count() <= before + 5, "the readers' threads stay, the worker's does not"


async def test_what_the_work_raises_or_gives_comes_out(world: World) -> None:
    def fail(_desk: Desk) -> None:
        raise Told

    with pytest.raises(Told):
        await in_thread(world.database, fail)
    assert await in_thread(world.database, lambda _: threading.current_thread()) is not threading.main_thread()
