"""PostgreSQL tells at once of what others write, and again after its connection was cut."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text

from keel.tasks import Tasks
from tests.tradesense.db.copies import Instance, Start, tag, until
from tradesense.db import notices
from tradesense.db.notices import Notices
from tradesense.db.outbox import CHANNEL

LISTENERS = f"FROM pg_stat_activity WHERE datname = current_database() AND application_name = '{notices.NAME}'"


class Ear:
    """Counts what is heard, and follows the outbox on it."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self.heard = 0

    def __call__(self) -> None:
        self.heard += 1
        self.instance.replay.wake()

    async def hears(self, at_least: int) -> None:
        await until(lambda: self.heard >= at_least)


async def _listeners(instance: Instance) -> int:
    async with instance.database.read() as connection:
        return int(await connection.scalar(text(f"SELECT count(*) {LISTENERS}")) or 0)


async def _cut(instance: Instance) -> None:
    async with instance.database.write() as connection:
        await connection.execute(text(f"SELECT pg_terminate_backend(pid, 10000) {LISTENERS}"))


@pytest.fixture
async def ear(start: Start) -> AsyncIterator[Ear]:
    """An instance that looks at the outbox only when it is told to, listening."""
    instance = await start()
    if instance.database.dialect == "sqlite":
        pytest.skip("SQLite tells nobody of anything")
    ear = Ear(instance)
    async with Tasks() as tasks:
        tasks.start("following", instance.replay.run())
        tasks.start("listening", Notices(instance.database, ear).run())
        await ear.hears(1)
        yield ear
    assert await _listeners(instance) == 0


async def test_what_another_instance_writes_is_heard_with_its_commit(ear: Ear, start: Start) -> None:
    writer = await start()
    for _ in range(5):
        user = await writer.add_user()
        await writer.write(user)
        await ear.instance.copies.hears(tag(user))


async def test_ones_own_writes_are_no_news(ear: Ear, start: Start) -> None:
    await ear.instance.write(await ear.instance.add_user())
    other = await start()
    await other.write(await other.add_user())
    await ear.hears(2)
    assert ear.heard == 2


async def test_a_write_that_is_rolled_back_is_no_news(ear: Ear, start: Start) -> None:
    writer = await start()
    user = await writer.add_user()

    async def fail() -> None:
        async with writer.database.write() as connection:
            await connection.execute(text(f"SELECT pg_notify('{CHANNEL}', 'somebody')"))
            raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        await fail()
    await writer.write(user)
    await ear.hears(2)
    assert ear.heard == 2


async def test_a_connection_that_is_cut_comes_back_and_nothing_is_missed(
    ear: Ear, start: Start, recwarn: pytest.WarningsRecorder
) -> None:
    writer = await start()
    for turn in range(3):
        heard = ear.heard
        await _cut(writer)
        meanwhile, after = await writer.add_user(), await writer.add_user()
        await writer.write(meanwhile)
        await ear.instance.copies.hears(tag(meanwhile))
        await ear.hears(heard + 1)
        assert await _listeners(writer) == 1, turn
        await writer.write(after)
        await ear.instance.copies.hears(tag(after))
    assert not recwarn.list


async def test_a_connection_is_asked_whether_it_is_there(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    instance = await start()
    if instance.database.dialect == "sqlite":
        pytest.skip("SQLite tells nobody of anything")
    monkeypatch.setattr(notices, "HEARTBEAT_S", 0.02)
    ear = Ear(instance)
    async with Tasks() as tasks:
        tasks.start("listening", Notices(instance.database, ear).run())
        await until(lambda: _is_asked(instance))
    assert ear.heard == 1


async def test_a_database_that_is_away_is_tried_again(
    start: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    instance = await start()
    monkeypatch.setattr(notices, "RECONNECT_S", 0.01)
    caplog.set_level("INFO", notices.__name__)
    instance.database.url = instance.database.url.set(
        drivername="postgresql+asyncpg", username="nobody", host="127.0.0.1", port=9, query={}
    )
    async with Tasks() as tasks:
        tasks.start("listening", Notices(instance.database, lambda: None).run())
        await until(lambda: len(caplog.records) >= 3)


async def _is_asked(instance: Instance) -> bool:
    async with instance.database.read() as connection:
        return bool(await connection.scalar(text(f"SELECT count(*) {LISTENERS} AND query = 'SELECT 1'")))
