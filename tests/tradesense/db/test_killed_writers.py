"""A process killed between its commit and its invalidation: the others throw away what it could not."""

import asyncio
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from keel.tasks import Tasks
from tests.conftest import CHECKOUT
from tests.tradesense.db.copies import Instance, Start
from tradesense.db.notices import Notices
from tradesense.db.replay import POLL

PROGRAM = Path(__file__).with_name("writing_process.py")


async def _line(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    return (await asyncio.wait_for(process.stdout.readline(), 60)).decode().strip()


@pytest.fixture
async def writing(migrated_url: str, tmp_path: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process that has begun to write."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(PROGRAM), migrated_url, str(tmp_path), stdout=asyncio.subprocess.PIPE, cwd=CHECKOUT
    )
    yield process
    if process.returncode is None:
        process.kill()
    await process.communicate()


@pytest.mark.slow
async def test_a_writer_killed_between_commit_and_invalidation_leaves_no_copy_anywhere(
    writing: asyncio.subprocess.Process, migrated_url: str, start: Start
) -> None:
    shared, alone = await start(is_shared=True), Instance(migrated_url, poll=POLL)
    await alone.replay.catch_up()
    async with Tasks() as tasks:
        tasks.start("following", alone.replay.run())
        if alone.database.dialect == "postgresql":
            tasks.start("listening", Notices(alone.database, alone.replay.wake).run())
        user = await _line(writing)
        assert user.startswith("user:")
        tags = (await _line(writing)).split()
        assert tags[0] == user
        assert tags[1].startswith("account:")
        writing.kill()
        assert "answered" not in (await writing.communicate())[0].decode()
        assert await shared.undone() == 1
        await alone.copies.hears(*tags)
    assert await shared.look() == []
    started = await start(is_shared=True)
    assert started.copies.told == tags, "the next start"
    assert await shared.look(timedelta(seconds=1)) == [], "it is done"
    await alone.close()


@pytest.mark.slow
async def test_another_instance_does_for_a_killed_writer_what_it_could_not(
    writing: asyncio.subprocess.Process, start: Start
) -> None:
    shared = await start(is_shared=True)
    await _line(writing)
    tags = (await _line(writing)).split()
    writing.kill()
    await writing.communicate()
    assert await shared.look() == []
    assert await shared.look(timedelta(seconds=1)) == tags
    assert await shared.undone() == 0
