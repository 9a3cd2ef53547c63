import asyncio
from datetime import timedelta

import pytest

from keel.tasks import Tasks


async def forever() -> None:
    await asyncio.Event().wait()


async def test_a_task_runs_under_its_name_and_leaves_the_group_when_done() -> None:
    async with Tasks() as tasks:
        task = tasks.start("answer", asyncio.sleep(0, 42))
        assert tasks.names == ["answer"]
        assert await task == 42
        assert tasks.names == []


async def test_an_error_is_logged_and_surfaced_and_leaves_the_siblings_alone(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        raise ValueError("broken")

    surfaced: list[tuple[str, str]] = []
    async with Tasks(lambda name, error: surfaced.append((name, str(error)))) as tasks:
        sibling = tasks.start("sibling", forever())
        await asyncio.wait([tasks.start("faulty", fail())])
        await asyncio.sleep(0)
        assert not sibling.done()
    assert surfaced == [("faulty", "broken")]
    assert "task faulty failed" in caplog.text


async def test_an_error_is_logged_where_nobody_asked_for_it(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        raise ValueError("broken")

    async with Tasks() as tasks:
        await asyncio.wait([tasks.start("faulty", fail())])
    assert "broken" in caplog.text


async def test_leaving_the_group_cancels_what_runs() -> None:
    async with Tasks() as tasks:
        task = tasks.start("forever", forever())
    assert task.cancelled()


async def test_closing_lets_a_task_finish_that_must() -> None:
    ended = asyncio.Event()

    async def work() -> str:
        await ended.wait()
        return "done"

    tasks = Tasks()
    working = tasks.start("working", work(), finish=True)
    idling = tasks.start("idling", forever())
    idling.add_done_callback(lambda _: ended.set())
    await tasks.close(timedelta(seconds=10))
    assert idling.cancelled()
    assert working.result() == "done"


async def test_closing_cancels_what_does_not_finish_within_its_grace() -> None:
    tasks = Tasks()
    task = tasks.start("slow", forever(), finish=True)
    await tasks.close(timedelta(milliseconds=1))
    assert task.cancelled()
    await tasks.close()


async def test_a_closed_group_starts_nothing() -> None:
    tasks = Tasks()
    await tasks.close()
    with pytest.raises(RuntimeError, match="cannot start late"):
        tasks.start("late", forever())


async def test_work_is_done_again_and_again_whatever_became_of_it_before(caplog: pytest.LogCaptureFixture) -> None:
    done = asyncio.Semaphore(0)

    async def work() -> None:
        done.release()
        raise ValueError("this turn failed")

    async with Tasks() as tasks:
        turns = tasks.every(timedelta(milliseconds=1), "work", work)
        for _ in range(3):
            await done.acquire()
        assert not turns.done()
    assert caplog.text.count("task work failed") >= 2
