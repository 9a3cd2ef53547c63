"""What `doctor` finds, and how it says to mend it."""

import stat
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.application import Hands
from tests.valkey import Valkey
from tradesense.cli.findings import Finding, State, database, disk, redis, room
from tradesense.db.engine import Database
from tradesense.db.migrations import migrate
from tradesense.work.service.queue import TaskQueue


async def found(url: str) -> dict[str, Finding]:
    return {finding.subject: finding async for finding in database(url)}


async def test_a_migrated_database_is_good(database_url: str) -> None:
    opened = Database(database_url)
    await migrate(opened)
    await opened.close()
    findings = await found(database_url)
    assert [finding.state for finding in findings.values()] == [State.GOOD] * 3
    assert set(findings) == {"database", "migrations", "background work"}


async def test_work_that_nobody_takes_up_or_that_was_given_up_is_found(migrated_url: str) -> None:
    opened = Database(migrated_url)
    queue = TaskQueue(opened, Hands(), lambda _task: None)
    async with opened.write() as connection:
        await queue.park(connection, "rebuild", "7", 5, "why")
    assert "given up" in (await found(migrated_url))["background work"].found
    await queue.add("rebuild", "8")
    waiting = (await found(migrated_url))["background work"]
    assert waiting.state is State.FAIR
    assert "2026-03-02 12:00" in waiting.found
    assert "tradesense worker" in waiting.mend
    await opened.close()


async def test_a_database_of_another_version_is_bad(database_url: str) -> None:
    opened = Database(database_url)
    await migrate(opened)
    async with opened.write() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    await opened.close()
    finding = (await found(database_url))["migrations"]
    assert finding.state is State.BAD
    assert "9999" in finding.found


async def test_an_empty_database_is_filled_by_serving(database_url: str) -> None:
    opened = Database(database_url)
    async with opened.write() as connection:
        await connection.execute(text("SELECT 1"))
    await opened.close()
    assert (await found(database_url))["migrations"].state is State.FAIR


async def test_an_sqlite_file_that_does_not_exist_is_not_created(tmp_path: Path) -> None:
    path = tmp_path / "none.db"
    assert (await found(f"sqlite:///{path}"))["database"].state is State.FAIR
    assert not path.exists()


async def test_a_server_that_is_not_there_is_bad_and_its_password_stays_hidden() -> None:
    finding = (await found("postgresql://someone:s3cret@127.0.0.1:1/db"))["database"]
    assert finding.state is State.BAD
    assert "s3cret" not in finding.found
    assert "DATABASE_URL" in finding.mend


@pytest.mark.parametrize("url", ["mysql://127.0.0.1/db", "nonsense"])
async def test_a_url_that_is_no_database_of_ours_is_bad(url: str) -> None:
    assert (await found(url))["database"].state is State.BAD


def test_a_folder_that_takes_files_is_good_and_stays_empty(tmp_path: Path) -> None:
    folder, space = disk(tmp_path / "data")
    assert folder.state is State.GOOD
    assert space.subject == "disk"
    assert list((tmp_path / "data").iterdir()) == []
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700


def test_a_folder_that_cannot_be_made_is_bad(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (folder,) = disk(tmp_path / "file" / "data")
    assert folder.state is State.BAD
    assert "TRADESENSE_DATA_DIR" in folder.mend


@pytest.mark.parametrize(("free", "state"), [(100 << 20, State.BAD), (1 << 30, State.FAIR), (9 << 30, State.GOOD)])
def test_a_disk_is_judged_by_its_room(free: int, state: State) -> None:
    assert room(free).state is state


async def found_of(*urls: str) -> list[Finding]:
    return [finding async for finding in redis(urls)]


async def test_redis_may_be_absent() -> None:
    assert [each.state for each in await found_of()] == [State.GOOD]


async def test_a_redis_that_answers_is_good(redis_url: str) -> None:
    assert [each.state for each in await found_of(redis_url)] == [State.GOOD]


async def test_a_redis_that_does_not_answer_is_bad_and_its_password_is_not_shown() -> None:
    [finding] = await found_of("redis://:secret@127.0.0.1:1/0")
    assert finding.state is State.BAD
    assert "secret" not in repr(finding)


async def test_a_redis_that_refuses_client_tracking_is_fair(valkey: Valkey) -> None:
    valkey.ask("ACL", "SETUSER", "shy", "on", ">secret", "~*", "&*", "+@all", "-client|tracking")
    [finding] = await found_of(f"redis://shy:secret@127.0.0.1:{valkey.port}/0")
    assert finding.state is State.FAIR


async def test_an_address_of_redis_that_cannot_be_read_is_bad() -> None:
    [finding] = await found_of("redis+sentinel://127.0.0.1")
    assert finding.state is State.BAD
