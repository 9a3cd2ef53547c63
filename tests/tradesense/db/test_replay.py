"""What an instance throws away as it follows the outbox: neither too little nor, where copies are shared, too much."""

import asyncio
from datetime import timedelta

import pytest

from keel.ids import uuid7
from keel.sessions.contract import Lifetimes
from keel.tasks import Tasks
from tests.tradesense.db.copies import Instance, Start, tag, until
from tradesense.db import outbox, replay
from tradesense.db.invalidation import account_tag
from tradesense.db.replay import DEAD, REPLAY, UNCERTAIN
from tradesense.db.writes import Touches
from tradesense.http.versions import raise_data_version
from tradesense.security.repository.sessions import SqlSessions

SECOND = timedelta(seconds=1)


async def _leave_undone(instance: Instance) -> str:
    """Write as one who dies between the commit and the invalidation; gives the tag of the user."""
    user = await instance.add_user()

    async def die() -> None:
        raise OSError("dead")

    instance.copies.before = die
    await instance.write(user)
    instance.copies.before = None
    return tag(user)


async def test_with_copies_of_ones_own_what_others_write_is_applied_at_the_next_look_and_once(start: Start) -> None:
    writer, follower = await start(), await start()
    user, account = await writer.add_user(), uuid7()
    await writer.write(user, [account])
    await writer.write(user, [account])
    assert await follower.look() == [tag(user), account_tag(account)]
    assert await follower.look(SECOND) == []
    assert await writer.undone() == 2, "it is the writer who says when it is done"


async def test_writes_are_heard_of_where_they_are_made_and_where_they_are_applied(start: Start) -> None:
    writer, follower = await start(), await start()
    user, account = await writer.add_user(), uuid7()
    async with writer.database.write() as connection:
        outbox.note_published(connection, account, 3)
        version = await raise_data_version(connection, user, [account])
    (here,) = writer.heard
    assert (here.user_id, here.version, here.accounts, here.published) == (user, version, [account], [(account, 3)])
    await follower.look()
    (there,) = follower.heard
    assert there == here._replace(ended=[])


async def test_the_end_of_an_import_is_heard_of_and_makes_nothing_worthless(start: Start) -> None:
    writer, follower = await start(), await start()
    user, end = await writer.add_user(), {"type": "import", "import_id": str(uuid7()), "status": "failed"}
    async with writer.database.write() as connection:
        await outbox.record_import_end(connection, user, end)
    assert await follower.look() == []
    for heard in (writer.heard, follower.heard):
        (told,) = heard
        assert (told.user_id, told.import_end, told.touches) == (user, end, Touches.NOTHING)


async def test_a_write_whose_writer_died_is_heard_of_by_who_applies_it(start: Start) -> None:
    writer, other = await start(is_shared=True), await start(is_shared=True)
    await _leave_undone(writer)
    await other.look()
    assert other.heard == []
    await other.look(SECOND)
    assert [each.id for each in other.heard] == [each.id for each in writer.heard]


async def test_of_a_session_whose_writer_died_others_hear(start: Start) -> None:
    writer, other = await start(is_shared=True), await start(is_shared=True)
    user = await writer.add_user()
    await SqlSessions(writer.database, writer.clock, Lifetimes()).add(b"\0" * 32, str(user), {})
    assert await other.look() == []
    assert await other.look(SECOND) == []
    (told,) = other.heard
    assert (told.user_id, told.touches, told.import_end) == (user, Touches.NOTHING, None)


async def test_with_copies_of_ones_own_ones_own_writes_are_not_applied_again(start: Start) -> None:
    instance = await start()
    await instance.write(await instance.add_user())
    instance.invalidations.start(instance.database)
    await instance.write(await instance.add_user())
    await instance.settle()
    for _ in range(3):
        assert await instance.look(SECOND) == []


async def test_with_shared_copies_a_write_is_left_to_its_writer_for_a_second(start: Start) -> None:
    writer, other = await start(is_shared=True), await start(is_shared=True)
    lost = await _leave_undone(writer)
    assert await other.look() == []
    assert await other.look(SECOND / 2) == []
    assert await other.look(SECOND / 2) == [lost]
    assert await other.undone() == 0
    assert await writer.look(SECOND) == []


async def test_with_shared_copies_what_its_writer_has_done_is_never_applied_again(start: Start) -> None:
    writer, other = await start(is_shared=True), await start(is_shared=True)
    writer.invalidations.start(writer.database)
    for _ in range(3):
        await writer.write(await writer.add_user())
        await writer.settle()
        assert await other.look(SECOND * 2) == []


async def test_a_writer_that_failed_tries_again_itself(start: Start) -> None:
    for is_shared in (False, True):
        instance = await start(is_shared=is_shared)
        lost = await _leave_undone(instance)
        assert await instance.look() == []
        assert await instance.look(SECOND) == [lost]
        assert await instance.look(SECOND) == []
        assert await instance.undone() == 0


async def test_with_copies_of_ones_own_only_a_writer_that_is_taken_for_dead_has_its_rows_marked(start: Start) -> None:
    writer, follower = await start(), await start()
    lost = await _leave_undone(writer)
    assert await follower.look() == [lost]
    for _ in range(DEAD // UNCERTAIN - 1):
        assert await follower.look(UNCERTAIN) == []
        assert await writer.undone() == 1
    assert await follower.look(UNCERTAIN) == [lost]
    assert await writer.undone() == 0


async def test_a_start_applies_all_that_is_undone_whatever_its_age(start: Start) -> None:
    writer = await start()
    lost = [await _leave_undone(writer) for _ in range(3)]
    for is_shared in (False, True):
        assert (await start(is_shared=is_shared)).copies.told == lost
    assert await writer.undone() == 0
    assert (await start(is_shared=True)).copies.told == []


async def test_a_start_goes_on_where_its_invalidation_fails(
    start: Start, migrated_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    lost = await _leave_undone(await start())
    starting, fails = Instance(migrated_url, is_shared=True), [True]

    async def fail() -> None:
        if fails:
            raise OSError("away")

    starting.copies.before = fail
    await starting.replay.catch_up()
    assert "cannot be followed" in caplog.text
    fails.clear()
    await starting.look()
    assert await starting.look(SECOND) == [lost]
    await starting.close()


async def test_more_than_is_read_at_once_is_applied_and_marked(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "AT_ONCE", 2)
    writer, follower = await start(), await start()
    lost = [await _leave_undone(writer) for _ in range(7)]
    assert sorted(await follower.look()) == sorted(lost)
    assert (await start(is_shared=True)).copies.told == lost
    assert await writer.undone() == 0


async def test_who_has_not_looked_for_half_a_minute_throws_everything_away(start: Start) -> None:
    writer, follower = await start(), await start()
    users = [await writer.add_user() for _ in range(3)]
    assert await follower.look(UNCERTAIN) == []
    assert sorted(await follower.look(UNCERTAIN + SECOND)) == sorted(map(tag, users))
    assert await follower.look(SECOND) == []
    shared = await start(is_shared=True)
    assert await shared.look(UNCERTAIN + SECOND) == []


async def test_a_look_that_fails_is_made_good_by_the_next(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    writer, follower = await start(), await start()
    user, fails = await writer.add_user(), [True]

    async def fail() -> None:
        if fails:
            raise OSError("away")

    follower.copies.before = fail
    await writer.write(user)
    async with Tasks() as tasks:
        tasks.start("following", follower.replay.run())
        await until(lambda: "cannot be followed" in caplog.text)
        for _ in range(3):
            follower.replay.wake()
            await asyncio.sleep(0.02)
        assert follower.copies.told == []
        fails.clear()
        follower.replay.wake()
        await follower.copies.hears(tag(user))
        await until(lambda: "followed again" in caplog.text)
    assert len([each for each in caplog.records if each.levelname == "WARNING"]) == 2, "once each"


async def test_the_outbox_is_looked_at_again_and_again(migrated_url: str, instance: Instance) -> None:
    following = Instance(migrated_url, poll=timedelta(milliseconds=20))
    await following.replay.catch_up()
    async with Tasks() as tasks:
        tasks.start("following", following.replay.run())
        for _ in range(3):
            user = await instance.add_user()
            await instance.write(user)
            await following.copies.hears(tag(user))
    await following.close()


async def test_with_shared_copies_one_instance_replays_for_all(start: Start) -> None:
    writer, one, other = [await start(is_shared=True) for _ in range(3)]
    lost = await _leave_undone(writer)
    for each in (one, other):
        assert await each.look() == []
        each.clock.forward(SECOND)
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slowly() -> None:
        begun.set()
        await go_on.wait()

    one.copies.before = slowly
    looking = asyncio.get_running_loop().create_task(one.replay.look())
    await begun.wait()
    assert await other.look() == [], "another is at it"
    assert await other.undone() == 1
    go_on.set()
    await looking
    assert one.copies.told == [lost]
    assert await other.look() == []
    assert await other.undone() == 0


async def test_what_another_has_replayed_before_the_lock_was_ours_is_not_replayed_again(start: Start) -> None:
    writer, one, other = [await start(is_shared=True) for _ in range(3)]
    lost = await _leave_undone(writer)
    for each in (one, other):
        await each.look()
        each.clock.forward(SECOND)
    async with other.database.read() as connection:
        seen = {write.id for write in await outbox.undone(connection)}
    assert await one.look() == [lost]
    await other.replay._replay(seen, other.database.write)
    assert other.copies.told == []


async def test_a_start_waits_for_nobody_where_nothing_is_undone(start: Start) -> None:
    running = await start(is_shared=True)
    async with running.fences.alone(REPLAY):
        assert (await start(is_shared=True)).copies.told == []


async def test_a_start_leaves_what_is_undone_to_whoever_is_at_it_for_too_long(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "TTL", SECOND / 20)
    running = await start(is_shared=True)
    lost = await _leave_undone(running)
    async with running.fences.alone(REPLAY):
        started = await start(is_shared=True)
        assert started.copies.told == []
    assert await started.look() == []
    assert await started.look(SECOND) == [lost]
