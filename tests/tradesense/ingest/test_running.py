"""The queue and who works on it: beats, leases, shutdown, deletion under way, errors of ours."""

import asyncio
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import update

from keel.tasks import Tasks
from tests.tradesense.ingest.conftest import World, generic
from tests.tradesense.ingest.test_importing import FOUR
from tradesense.db.generations import Tenure
from tradesense.db.tables import ImportStatus, accounts, executions, imports
from tradesense.ingest.repository.queue import ImportNotFound, ImportRecord
from tradesense.ingest.service import running
from tradesense.ingest.service.running import ImportRun
from tradesense.ingest.tasks import MOST_ATTEMPTS, MOST_ERRORS

MANY = [
    f"2026-01-{1 + n // 1440:02} {n // 60 % 24:02}:{n % 60:02}:00,S{n % 5},{('buy', 'sell')[n // 5 % 2]},1,{9 + n % 7}"
    for n in range(6000)
]


async def _until(world: World, import_id: UUID, reached: Callable[[ImportRecord], bool]) -> ImportRecord:
    while not reached(record := await world.imports.get(world.user, import_id)):  # noqa: ASYNC110 - as a client does
        await asyncio.sleep(0.005)
    return record


def _has_ended(record: ImportRecord) -> bool:
    return record.status not in {ImportStatus.QUEUED, ImportStatus.RUNNING}


def _is_half_done(record: ImportRecord) -> bool:
    return record.percent >= 50


async def _set(world: World, **values: object) -> None:
    async with world.database.write() as connection:
        await connection.execute(update(imports).values(values))


async def test_a_running_queue_takes_up_what_comes(world: World) -> None:
    world.lane().start()
    record = await world.upload(generic(FOUR))
    done = await asyncio.wait_for(_until(world, record.id, _has_ended), 20)
    assert done.status is ImportStatus.DONE


async def test_closing_lets_a_running_import_finish_within_its_grace(world: World) -> None:
    async with Tasks() as tasks:
        lane = world.lane(tasks)
        record = await world.upload(generic(MANY))
        lane.start()
        await _until(world, record.id, lambda record: record.status is not ImportStatus.QUEUED)
        await tasks.close(timedelta(seconds=60))
    assert (await world.imports.get(world.user, record.id)).status is ImportStatus.DONE


async def test_closing_hands_a_running_import_back_after_its_grace(world: World) -> None:
    async with Tasks() as tasks:
        lane = world.lane(tasks)
        record = await world.upload(generic(MANY))
        lane.start()
        await _until(world, record.id, _is_half_done)
        await tasks.close(timedelta(0))
    handed_back = await world.imports.get(world.user, record.id)
    assert handed_back.status is ImportStatus.QUEUED
    assert await world.rows(executions) == []
    await world.drain()
    done = await world.imports.get(world.user, record.id)
    assert (done.status, done.attempts) == (ImportStatus.DONE, 1)
    assert len(await world.rows(executions)) == len(MANY)
    assert await world.hidden() == 0


async def test_a_claim_that_is_cancelled_is_given_back_whenever_the_cancellation_comes(world: World) -> None:
    rng = random.Random(1)
    record = await world.upload(generic(FOUR))
    cancelled = 0
    for _ in range(50):
        async with Tasks() as tasks:
            claiming = tasks.start("claiming", world.runner._claim())
            await asyncio.sleep(rng.uniform(0, 0.008))
        if claiming.cancelled():
            cancelled += 1
        elif (claimed := claiming.result()) is not None:
            await ImportRun(world.equipment, *claimed).put_back(datetime(2026, 1, 1, tzinfo=UTC))
        assert (await world.imports.get(world.user, record.id)).status is ImportStatus.QUEUED
    assert cancelled
    await world.drain()
    assert (await world.imports.get(world.user, record.id)).status is ImportStatus.DONE


async def test_an_import_deleted_while_it_runs_leaves_nothing(world: World) -> None:
    record = await world.upload(generic(MANY))
    claimed = await world.runner._claim()
    assert claimed is not None
    working = asyncio.gather(world.runner._run(*claimed))
    await _until(world, record.id, _is_half_done)
    await world.undoing.undo(world.user, record.id)
    await working
    with pytest.raises(ImportNotFound):
        await world.imports.get(world.user, record.id)
    assert await world.accounts() == []
    assert await world.hidden() == 0


async def test_a_worker_that_lost_its_lease_writes_nothing_more(world: World) -> None:
    record = await world.upload(generic(MANY))
    first = await world.runner._claim()
    assert first is not None
    slow = ImportRun(world.equipment, *first)
    working = asyncio.gather(slow.run())
    await _until(world, record.id, _is_half_done)
    long_ago = datetime(2026, 1, 1, tzinfo=UTC)
    await _set(world, claimed_until=long_ago)
    second = await world.runner._claim()
    if second is not None:  # unless the first has written once more, and so prolonged its lease
        await world.runner._run(*second)
    await working
    await world.drain()
    assert (await world.imports.get(world.user, record.id)).status is ImportStatus.DONE
    assert len(await world.rows(executions)) == len(MANY)
    assert await world.hidden() == 0


async def test_what_a_dead_worker_left_is_swept_and_taken_up(world: World) -> None:
    record = await world.upload(generic(FOUR))
    claimed = await world.runner._claim()
    assert claimed is not None
    dead = ImportRun(world.equipment, *claimed)
    dead._publish = _die  # type: ignore[method-assign, assignment]
    with pytest.raises(ProcessLookupError):
        await dead.run()
    assert await world.hidden() > 0
    assert await world.runner._claim() is None
    await _set(world, claimed_until=datetime(2026, 1, 1, tzinfo=UTC))
    await world.drain()
    assert (await world.imports.get(world.user, record.id)).status is ImportStatus.DONE
    assert len(await world.accounts()) == 1
    assert await world.hidden() == 0


async def _die(*_: object) -> None:
    raise ProcessLookupError


async def test_an_error_of_ours_is_tried_again_and_then_given_up(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(ImportRun, "_publish", _die)
    record = await world.upload(generic(FOUR))
    for attempt in range(MOST_ERRORS + 1):
        await _set(world, claimed_until=None)
        await world.drain()
        assert (await world.imports.get(world.user, record.id)).attempts == attempt + 1
    failed = await world.imports.get(world.user, record.id)
    assert failed.status is ImportStatus.FAILED
    assert "on the server" in failed.errors[0]["message"]
    assert await world.hidden() == 0
    assert "ProcessLookupError" in caplog.text


async def test_an_import_that_ends_every_process_is_given_up(world: World) -> None:
    record = await world.upload(generic(FOUR))
    await _set(world, attempts=MOST_ATTEMPTS)
    await world.drain()
    assert (await world.imports.get(world.user, record.id)).status is ImportStatus.FAILED


async def test_an_import_waits_for_an_account_that_another_writer_has(world: World) -> None:
    account = await world.add_account(broker="generic")
    other = Tenure(world.database, world.equipment.clock, timedelta(minutes=1))
    async with world.database.write() as connection:
        await other.claim(connection, account)
    record = await world.upload(generic(FOUR))
    await world.drain()
    assert (await world.imports.get(world.user, record.id)).status is ImportStatus.QUEUED
    async with world.database.write() as connection:
        await other.release(connection)
    await _set(world, claimed_until=None)
    await world.drain()
    assert (await world.imports.get(world.user, record.id)).status is ImportStatus.DONE


async def test_of_one_user_only_one_import_runs_at_a_time(world: World) -> None:
    await world.upload(generic(FOUR))
    await world.upload(generic(FOUR[:1]))
    assert await world.runner._claim() is not None
    assert await world.runner._claim() is None


async def test_a_heartbeat_prolongs_the_lease_while_nothing_is_written(world: World) -> None:
    await world.upload(generic(FOUR))
    claimed = await world.runner._claim()
    assert claimed is not None
    await _set(world, claimed_until=datetime(2026, 1, 1, tzinfo=UTC))
    run = ImportRun(world.equipment, *claimed)
    beating = asyncio.gather(world.runner._beat(run))
    await asyncio.sleep(1.3)
    assert await world.runner._claim() is None
    async with world.database.write() as connection:
        await connection.execute(update(imports).values(claimed_by="another"))
    await asyncio.wait_for(beating, 5)
    assert run._stopped
    assert timedelta(0) < running.POSTPONED
    async with world.database.write() as connection:
        await connection.execute(update(accounts).values(claimed_by=None))
