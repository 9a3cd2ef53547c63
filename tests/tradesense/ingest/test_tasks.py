"""Tasks about imports: accounts rebuilt from their files, and imports tried again that were given up."""

from uuid import UUID, uuid4

import pytest

from tests.tradesense.ingest.conftest import World, generic
from tests.tradesense.ingest.test_importing import FOUR
from tradesense.db.tables import ImportStatus, TaskState, imports
from tradesense.ingest.service.running import ImportRun
from tradesense.ingest.tasks import AGAIN, MOST_ERRORS, REBUILD, again, rebuilding
from tradesense.work.service.running import TaskRunner


def _runner(world: World, woken: list[UUID]) -> TaskRunner:
    runner = TaskRunner(world.database, world.equipment.clock)
    runner.handlers |= {REBUILD: rebuilding(world.restoring), AGAIN: again(woken.append)}
    return runner


async def _work(world: World, woken: list[UUID] | None = None) -> TaskState:
    work = await _runner(world, [] if woken is None else woken).claim()
    assert work is not None
    await work
    (task,) = await world.queue.page(None, None, 10)
    return task.state


async def test_an_account_is_rebuilt_from_its_files(world: World) -> None:
    await world.take(generic(FOUR))
    before = await world.everything()
    (account,) = await world.accounts()
    await world.queue.add(REBUILD, str(account.id), {"user_id": str(world.user)})
    assert await _work(world) is TaskState.DONE
    assert await world.everything() == before
    (rebuilt,) = await world.accounts()
    assert rebuilt.generation == account.generation + 1


async def test_an_account_that_is_gone_needs_no_rebuild(world: World) -> None:
    await world.queue.add(REBUILD, str(uuid4()), {"user_id": str(world.user)})
    assert await _work(world) is TaskState.DONE


async def _die(*_: object) -> None:
    raise ProcessLookupError("password=hunter2")


async def test_an_import_that_was_given_up_is_parked_and_may_be_tried_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(ImportRun, "_publish", _die)
        record = await world.upload(generic(FOUR))
        for _ in range(MOST_ERRORS + 1):
            await world.let_wait(imports)
            await world.drain()
    (parked,) = await world.queue.page(TaskState.PARKED, None, 10)
    assert (parked.kind, parked.subject, parked.attempts) == (AGAIN, str(record.id), MOST_ERRORS + 1)
    assert parked.error is not None
    assert parked.error.startswith("ProcessLookupError: password=")
    assert "hunter2" not in parked.error
    await world.retry(parked.id)
    woken: list[UUID] = []
    assert await _work(world, woken) is TaskState.DONE
    assert woken == [record.id]
    await world.drain()
    assert (await world.imports.get(world.user, record.id)).status is ImportStatus.DONE
