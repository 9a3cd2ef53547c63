"""A process killed in the middle of an import leaves all of it or none, and what it left is taken up."""

import asyncio
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select, update

from keel.tasks import Tasks
from tests.tradesense.ingest.conftest import World, generic, new_user
from tradesense.db.engine import Database
from tradesense.db.tables import ImportStatus, accounts, executions, imports, segments, trades

KILLS = 50
KILLS_OF_ONE = 5
PROGRAM = Path(__file__).with_name("importing_process.py")
FIRST = [
    f"2026-01-{1 + n // 40:02} 10:{n % 40:02}:00,S{n % 3},{'buy' if n % 7 < 4 else 'sell'},{1 + n % 5},{50 + n % 11}"
    for n in range(80)
]
SECOND = [*FIRST[40:], *(row.replace("2026-01-", "2026-02-") for row in FIRST), "2025-12-31 10:00:00,S1,buy,3,44"]


class Nursery:
    """Where importing processes come from."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def start(self, folder: Path) -> int:
        """Begin to import what the queue of this folder's database has; gives the process's id."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{folder / 'tradesense.db'}\t{folder / 'files'}\n".encode())
        return int(await self._process.stdout.readline())


@pytest.fixture
async def nursery() -> AsyncIterator[Nursery]:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, str(PROGRAM), stdin=pipe, stdout=pipe)
    yield Nursery(process)
    process.terminate()
    await process.communicate()


async def _opened(folder: Path, tasks: Tasks, user: object = None) -> World:
    database = Database(f"sqlite:///{folder / 'tradesense.db'}")
    return World(database, folder, user or await new_user(database), tasks)  # type: ignore[arg-type]


async def _status(world: World) -> ImportStatus:
    newest = select(imports.c.status).order_by(imports.c.created_at.desc()).limit(1)
    async with world.database.read() as connection:
        return (await connection.execute(newest)).scalar_one()


async def _let_leases_pass(world: World) -> None:
    async with world.database.write() as connection:
        for table in (imports, accounts):
            claimed = update(table).where(table.c.claimed_by.is_not(None))
            await connection.execute(claimed.values(claimed_until=datetime(2026, 1, 1, tzinfo=UTC)))


async def _until_done(world: World) -> float:
    begun = time.monotonic()
    while await _status(world) is not ImportStatus.DONE:
        assert time.monotonic() - begun < 60
        await asyncio.sleep(0.01)
    return time.monotonic() - begun


async def _unpublished(world: World) -> int:
    count = 0
    async with world.database.read() as connection:
        for table in (executions, trades, segments):
            chosen = select(table.c.born).join(accounts, accounts.c.id == table.c.account_id)
            count += len((await connection.execute(chosen.where(table.c.born > accounts.c.generation))).all())
    return count


@pytest.mark.slow
async def test_a_killed_import_leaves_all_or_nothing_and_completes(
    migrated_sqlite: Path, tmp_path: Path, nursery: Nursery
) -> None:
    chance = random.Random(20260105)
    base = tmp_path / "base"
    base.mkdir()
    shutil.copyfile(migrated_sqlite, base / "tradesense.db")
    async with Tasks() as tasks:
        world = await _opened(base, tasks)
        await world.take(generic(FIRST))
        await world.upload(generic(SECOND))
        before, user = await world.everything(), world.user
        await world.database.close()

        async def again(name: str) -> World:
            shutil.copytree(base, tmp_path / name)
            return await _opened(tmp_path / name, tasks, user)

        world = await again("whole")
        child = await nursery.start(world.folder)
        whole_run = await _until_done(world)
        os.kill(child, signal.SIGKILL)
        after = await world.everything()
        assert after != before
        await world.database.close()

        cut_short = 0
        for round_ in range(KILLS // KILLS_OF_ONE):
            world = await again(f"round{round_}")
            for _ in range(KILLS_OF_ONE):
                child = await nursery.start(world.folder)
                delay = chance.uniform(0, whole_run)
                await asyncio.sleep(delay)
                os.kill(child, signal.SIGKILL)
                is_done = await _status(world) is ImportStatus.DONE
                cut_short += not is_done
                assert await world.everything() == (after if is_done else before)
                await _let_leases_pass(world)
                if is_done:
                    whole_run = delay  # the machine was busy when it was measured
                    break
            child = await nursery.start(world.folder)
            await _until_done(world)
            assert await world.everything() == after
            assert await _unpublished(world) == 0
            os.kill(child, signal.SIGKILL)
            await world.database.close()
        assert cut_short > KILLS // 4
