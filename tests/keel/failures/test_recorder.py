"""Errors, recorded: what is the same, what is told of it, and what never is."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Literal

import pytest

from keel.context import Segment
from keel.errors import NotFound
from keel.failures.contract import (
    MOST_GROUPS,
    USER_BITS,
    Batch,
    ErrorGroup,
    ErrorState,
)
from keel.failures.counting import MOST, bit_of, estimate
from keel.failures.fingerprints import fingerprint, frames, where
from keel.failures.memory import MemoryErrorGroups
from keel.failures.recorder import BACKGROUND, Failures
from keel.redis.contract import RedisUnavailable
from keel.redis.sharing import NotKnownHere
from keel.tasks import Tasks
from tests.application import Hands

OWN = ("tests",)
SECRETS = "password=hunter2 Bearer abcdefghijklmnop 4111 1111 1111 1111 trader@example.com"


@pytest.fixture
def clock() -> Hands:
    return Hands()


@pytest.fixture
async def failures(clock: Hands) -> AsyncIterator[Failures]:
    async with Tasks() as tasks:
        yield Failures(MemoryErrorGroups(), tasks, own=OWN, clock=clock)


def raised(raise_it: Callable[[], object]) -> Exception:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - any
        raise_it()
    return caught.value


def divide() -> float:
    return 1 / 0


def divide_elsewhere() -> float:
    nothing = 0
    return 2 / nothing


def refuse(message: str) -> None:
    if message:
        raise ValueError(message)
    raise ValueError


def descend(depth: int) -> None:
    if depth:
        descend(depth - 1)
    raise LookupError(depth)


def print_of(error: Exception) -> str:
    return fingerprint(error, frames(error, OWN))


def test_messages_and_lines_make_no_difference_type_and_place_do() -> None:
    two = [print_of(raised(lambda: refuse(message))) for message in ("one", "")]  # noqa: B023 - called at once
    assert two[0] == two[1]
    assert print_of(raised(divide)) != print_of(raised(divide_elsewhere))
    assert len(print_of(raised(divide))) == 16


def test_how_deep_a_recursion_went_makes_no_difference() -> None:
    depths = [print_of(raised(lambda: descend(depth))) for depth in (1, 7, 30)]  # noqa: B023 - called at once
    assert len(set(depths)) == 1


def test_frames_of_others_make_no_difference_where_there_are_own_ones() -> None:
    def by_way_of_others() -> None:
        sorted([2, 1], key=lambda _: divide())

    error = raised(by_way_of_others)
    through = frames(error, OWN)
    assert fingerprint(error, through) == fingerprint(error, [each for each in through if each.is_own])
    assert where(through) == "tests/keel/failures/test_recorder.py divide"
    assert fingerprint(error, frames(error, ())) != fingerprint(error, through)
    assert where(frames(error, ())).endswith("divide")
    assert fingerprint(ValueError(), ()) != fingerprint(TypeError(), ())
    assert where(()) == ""


def test_users_are_estimated() -> None:
    assert [estimate(bits) for bits in (0, 1, 5, 20)] == [0, 1, 5, 20]
    for users in (10, 1000, 10_000):
        bits = len({bit_of(f"user {number}") for number in range(users)})
        assert estimate(bits) == pytest.approx(users, rel=0.06)
    assert estimate(USER_BITS) == MOST


def request(error: Exception | None, user: str | None = None, route: str | None = "/trades") -> Segment:
    segment = Segment("http", f"GET {route}", "ab" * 16, 1)
    segment.method, segment.route, segment.error, segment.user_id = "GET", route, error, user
    segment.request_id = "request-1"
    return segment


async def only(failures: Failures) -> ErrorGroup:
    (group,) = (await failures.newest()).groups
    return group


async def test_errors_of_requests_are_one_group_with_routes_users_and_a_trace(failures: Failures) -> None:
    for user, route in (("7", "/trades"), ("8", "/trades"), ("7", None), (None, "/trades")):
        failures.observed(request(raised(divide), user, route))
    failures.observed(request(None))
    group = await only(failures)
    assert (group.count, group.users) == (4, 2)
    assert group.routes == {"GET /trades": 3, "GET unmatched": 1}
    assert (group.type, group.sample.message) == ("ZeroDivisionError", "division by zero")
    assert (group.sample.trace_id, group.sample.request_id) == ("ab" * 16, "request-1")
    assert group.sample.frames[-1].function == "divide"
    assert (await failures.get(group.fingerprint)).groups == [group]


async def test_what_is_expected_is_no_error(failures: Failures) -> None:
    class NoSuchTrade(NotFound):
        """There is none."""

    failures.record(NoSuchTrade("There is no such trade."))
    failures.record(asyncio.CancelledError())
    failures.record(KeyboardInterrupt())
    assert (await failures.newest()).groups == []


async def test_a_group_of_errors_counts_as_the_first_of_them(failures: Failures) -> None:
    failures.record(ExceptionGroup("several", [ExceptionGroup("more", [raised(divide)]), ValueError()]))
    assert (await only(failures)).type == "ZeroDivisionError"


async def test_what_a_request_has_met_is_not_counted_again_as_a_tasks(failures: Failures) -> None:
    error = raised(divide)
    failures.observed(request(error))
    failures.task_failed("computing portfolio:7", error)
    assert (await only(failures)).count == 1
    failures.task_failed("computing portfolio:7", raised(divide_elsewhere))
    routes = [each.routes for each in (await failures.newest()).groups]
    assert {BACKGROUND: 1} in routes


async def test_no_secret_is_kept(failures: Failures) -> None:
    failures.record(raised(lambda: refuse(SECRETS)))
    told = repr(await only(failures))
    for secret in ("hunter2", "abcdefghijklmnop", "4111", "trader@example.com"):
        assert secret not in told


async def test_an_error_that_cannot_be_written_down_is_recorded_all_the_same(failures: Failures) -> None:
    class Slotted(Exception):
        __slots__ = ()

        def __str__(self) -> str:
            raise RuntimeError

    failures.record(Slotted())
    assert (await only(failures)).sample.message == ""


async def test_a_mended_error_that_returns_is_told_of(
    failures: Failures, clock: Hands, caplog: pytest.LogCaptureFixture
) -> None:
    failures.record(raised(divide))
    found = await only(failures)
    await failures.decide(found.fingerprint, ErrorState.RESOLVED)
    clock.forward(timedelta(seconds=1))
    for _ in range(2):
        failures.record(raised(divide))
        clock.forward(timedelta(seconds=1))
        assert (await only(failures)).regressions == 1
    assert [record.levelname for record in caplog.records if record.levelno >= logging.WARNING] == ["WARNING"]


class Away(MemoryErrorGroups):
    """Groups that cannot be reached at first."""

    is_away = True

    async def add(self, batch: Batch) -> ErrorGroup:
        if self.is_away:
            raise RedisUnavailable
        return await super().add(batch)


async def test_what_cannot_be_kept_now_is_kept_later() -> None:
    groups = Away()
    async with Tasks() as tasks:
        failures = Failures(groups, tasks, own=OWN)
        for user in ("7", "8"):
            failures.record(raised(divide), user_id=user)
            assert (await failures.newest()).groups == []
        groups.is_away = False
        group = await only(failures)
        assert (group.count, group.users, group.routes) == (2, 2, {BACKGROUND: 2})
        assert failures.scope == "instance"


class Shared(Away):
    """Groups that all instances share, and that can be reached now and then."""

    scope: Literal["instance", "shared"] = "shared"

    async def newest(
        self, *, state: ErrorState | None = None, since: datetime | None = None, limit: int = 100
    ) -> list[ErrorGroup]:
        if self.is_away:
            raise RedisUnavailable
        return await super().newest(state=state, since=since, limit=limit)

    async def get(self, fingerprint: str) -> ErrorGroup:
        if self.is_away:
            raise RedisUnavailable
        return await super().get(fingerprint)


async def test_what_this_process_has_met_is_known_while_what_is_shared_is_away() -> None:
    groups = Shared()
    async with Tasks() as tasks:
        failures = Failures(groups, tasks, own=OWN)
        for user in ("7", "8"):
            failures.record(raised(divide), user_id=user)
            assert (await failures.newest()).scope == "instance"
        (group,) = (await failures.newest()).groups
        assert (group.count, group.users) == (2, 2)
        assert (await failures.get(group.fingerprint)).groups == [group]
        with pytest.raises(NotKnownHere):
            await failures.get("0123456789abcdef")
        with pytest.raises(RedisUnavailable):
            await failures.check(group.fingerprint)
        groups.is_away = False
        found = await failures.newest()
        assert (found.scope, [(each.count, each.users) for each in found.groups]) == ("shared", [(2, 2)])
        await failures.decide(group.fingerprint, ErrorState.IGNORED)
        groups.is_away = True
        (group,) = (await failures.newest(state=ErrorState.IGNORED)).groups
        assert group.count == 2


async def test_a_storm_stays_within_bounds_until_it_can_be_kept() -> None:
    async with Tasks() as tasks:
        failures = Failures(Away(), tasks)
        for number in range(MOST_GROUPS + 50):
            failures.record(type(f"Made{number}", (Exception,), {})())
        assert len(failures._pending) == MOST_GROUPS
        await failures.flush()
        for error in (ValueError(), TypeError(), KeyError()):
            failures.record(error)
        await failures.flush()
        assert len(failures._waiting) == MOST_GROUPS  # and one of which nobody knows whether it is kept


async def test_errors_are_counted_by_type() -> None:
    told: list[str] = []
    counter = SimpleNamespace(inc=told.append)
    metrics = SimpleNamespace(counter=lambda *_: counter)
    async with Tasks() as tasks:
        failures = Failures(MemoryErrorGroups(), tasks, metrics=metrics)
        failures.record(ValueError())
    assert told == ["ValueError"]
