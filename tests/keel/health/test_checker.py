"""Checks: asked in time, once for all who want to know, and told in the draft's words."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from functools import partial
from time import perf_counter
from typing import Final

import pytest

from keel.health.answers import LONGEST_MESSAGE, MOST_DETAILS
from keel.health.checker import HealthChecker
from keel.health.contract import Answer, Check, HealthStatus, Phase
from keel.logs.redaction import REDACTED
from keel.tasks import Tasks
from tests.application import Hands


@pytest.fixture
def clock() -> Hands:
    return Hands()


@pytest.fixture
async def health(clock: Hands) -> AsyncIterator[HealthChecker]:
    async with Tasks() as tasks:
        yield HealthChecker(tasks, clock)


BAD: Final[Check] = bool
"""A check that always fails: False."""


async def well() -> Answer:
    return {"status": "healthy", "response_ms": 12}


def of(answer: object) -> Callable[[], Answer]:
    return lambda: answer  # type: ignore[return-value]  # some are wrong on purpose


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ({"status": "healthy"}, HealthStatus.PASS),
        ({"status": "degraded"}, HealthStatus.WARN),
        ({"status": "unhealthy"}, HealthStatus.FAIL),
        ({"status": "pass"}, HealthStatus.PASS),
        (True, HealthStatus.PASS),
        (None, HealthStatus.PASS),
        (False, HealthStatus.FAIL),
        ({"status": "fine"}, HealthStatus.FAIL),
        ({"status": ["healthy"]}, HealthStatus.FAIL),
        ({}, HealthStatus.FAIL),
        ("healthy", HealthStatus.FAIL),
    ],
)
async def test_an_answer_is_read_and_what_makes_no_sense_has_failed(
    health: HealthChecker, answer: object, status: HealthStatus
) -> None:
    health.register_check("it", of(answer))
    assert (await health.report()).checks["it"].status is status


async def test_asynchronous_checks_synchronous_ones_and_anything_between_are_asked(health: HealthChecker) -> None:
    threads: list[int] = []

    def in_a_thread() -> Answer:
        threads.append(threading.get_ident())
        return None

    async def with_options(answer: Answer) -> Answer:
        return answer

    health.register_check("coroutine", well)
    health.register_check("thread", in_a_thread)
    health.register_check("partial", partial(with_options, {"status": "degraded", "message": "so so"}))
    health.register_check("lambda", lambda: with_options({"status": "healthy"}))
    report = await health.report()
    assert threads
    assert threads[0] != threading.get_ident()
    assert [found.status for found in report.checks.values()] == [
        HealthStatus.PASS,
        HealthStatus.PASS,
        HealthStatus.WARN,
        HealthStatus.PASS,
    ]
    assert report.checks["coroutine"].details == {"response_ms": 12}
    assert report.checks["partial"].message == "so so"


async def test_a_service_fails_by_what_is_critical_and_warns_of_the_rest(health: HealthChecker) -> None:
    health.start()
    assert (await health.report()).status is HealthStatus.PASS
    health.register_check("nice to have", BAD, critical=False)
    assert (await health.report()).status is HealthStatus.WARN
    assert await health.is_ready()
    stop = health.register_check("needed", BAD)
    assert (await health.report()).status is HealthStatus.FAIL
    assert not await health.is_ready()
    stop()
    stop()
    health.register_check("needed", of({"status": "degraded"}))
    assert (await health.report()).status is HealthStatus.WARN
    assert await health.is_ready()


async def test_it_is_ready_from_its_start_until_it_drains(health: HealthChecker) -> None:
    assert not await health.is_ready()
    health.start()
    assert await health.is_ready()
    health.drain()
    assert not await health.is_ready()
    health.start()
    assert health.phase is Phase.DRAINING


async def test_what_was_found_is_good_for_a_while(health: HealthChecker, clock: Hands) -> None:
    asked: list[int] = []
    health.register_check("it", lambda: asked.append(1), cache=5)
    assert health.found() == {}
    for _ in range(3):
        await health.report()
    clock.forward(timedelta(seconds=4.9))
    await health.report()
    assert len(asked) == 1
    clock.forward(timedelta(seconds=0.1))
    await health.report()
    assert len(asked) == 2
    assert health.found()["it"].at == clock.at


async def test_it_is_asked_once_for_all_who_want_to_know(health: HealthChecker) -> None:
    asked, go_on = [], asyncio.Event()

    async def slow() -> Answer:
        asked.append(1)
        await go_on.wait()
        return None

    health.register_check("it", slow, cache=0)
    waiting = [asyncio.create_task(health.report()) for _ in range(20)]  # noqa: TID251 - twenty who ask at once
    impatient = asyncio.create_task(health.report())  # noqa: TID251 - and one who leaves
    await asyncio.sleep(0.01)
    impatient.cancel()
    go_on.set()
    assert {report.status for report in await asyncio.gather(*waiting)} == {HealthStatus.PASS}
    assert len(asked) == 1


async def test_checks_that_hang_cost_their_timeout_and_no_more(health: HealthChecker, clock: Hands) -> None:
    released = threading.Event()

    async def stubborn() -> Answer:
        while not released.is_set():
            try:
                await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                continue
        return None

    health.register_check("sleeping", partial(asyncio.sleep, 3600), timeout=0.05)
    health.register_check("stubborn", stubborn, timeout=0.05)
    health.register_check("blocking", lambda: released.wait(60) and None, timeout=0.05)
    health.register_check("well", well)
    began = perf_counter()
    report = await health.report()
    assert perf_counter() - began < 2
    messages = {name: found.message for name, found in report.checks.items()}
    assert messages == dict.fromkeys(("sleeping", "stubborn", "blocking"), "no answer within 0.05 s") | {"well": ""}
    threads = threading.active_count()
    clock.forward(timedelta(seconds=6))
    again = await health.report()
    assert "hangs" in again.checks["stubborn"].message
    assert "hangs" in again.checks["blocking"].message
    assert threading.active_count() == threads
    released.set()
    while "hangs" in (await health.report()).checks["blocking"].message:
        clock.forward(timedelta(seconds=6))
        await asyncio.sleep(0.005)
    assert (await health.report()).checks["blocking"].status is HealthStatus.PASS


async def test_an_exception_is_a_failure_told_without_secrets(health: HealthChecker) -> None:
    def refuses() -> Answer:
        raise ConnectionError("postgresql://trader:hunter2@db refused\nand a long story")

    async def refuses_silently() -> Answer:
        raise ValueError

    health.register_check("database", refuses)
    health.register_check("api", of({"status": "degraded", "sent": {"api_key": "hunter2"}, "limit": 5}))
    health.register_check("other", refuses_silently)
    checks = (await health.report()).checks
    assert checks["database"].message == f"ConnectionError: postgresql://trader:{REDACTED}@db refused"
    assert checks["api"].details == {"sent": {"api_key": REDACTED}, "limit": 5}
    assert checks["other"].message == "ValueError"


async def test_a_check_that_cancels_itself_has_failed(health: HealthChecker) -> None:
    async def cancels() -> Answer:
        raise asyncio.CancelledError

    health.register_check("it", cancels)
    assert (await health.report()).checks["it"].status is HealthStatus.FAIL


async def test_messages_and_details_are_bounded(health: HealthChecker) -> None:
    health.register_check(
        "long", of({"status": "healthy", "message": "x" * 9999, "since": timedelta(1), "at": Hands().at})
    )
    health.register_check("huge", of({"status": "healthy", "data": "x" * MOST_DETAILS}))
    checks = (await health.report()).checks
    assert len(checks["long"].message) == LONGEST_MESSAGE
    assert checks["long"].details.keys() == {"since", "at"}
    assert checks["huge"].details.keys() == {"omitted"}


async def test_changes_are_logged_once_each(health: HealthChecker, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "keel.health")
    answers: Iterator[Answer] = iter([True, True, False, False, {"status": "degraded"}, True, True])
    health.register_check("it", lambda: next(answers), cache=0)
    for _ in range(7):
        await health.report()
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING", "INFO"]


async def test_what_could_only_be_a_mistake_is_refused(health: HealthChecker) -> None:
    health.register_check("it", well)
    with pytest.raises(ValueError, match="two checks"):
        health.register_check("it", well)
    with pytest.raises(ValueError, match="some time"):
        health.register_check("hasty", well, timeout=0)
    with pytest.raises(ValueError, match="out of date"):
        health.register_check("late", well, cache=-1)
