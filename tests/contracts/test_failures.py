"""Groups of errors: one suite for every place they are kept in."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from keel.failures.contract import (
    MOST_ROUTES,
    OTHER,
    Batch,
    ErrorGroupNotFound,
    ErrorGroups,
    ErrorState,
    Frame,
    Occurrence,
)
from keel.failures.memory import MemoryErrorGroups
from keel.failures.redis import RedisErrorGroups
from keel.redis.connecting import connect

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
MOST = 5


@pytest.fixture(params=["memory", "redis"])
async def groups(request: pytest.FixtureRequest) -> AsyncIterator[ErrorGroups]:
    if request.param == "memory":
        yield MemoryErrorGroups(MOST)
        return
    url, namespace = request.getfixturevalue("redis_url"), request.getfixturevalue("redis_namespace")
    async with connect(url) as redis:
        yield RedisErrorGroups(redis, namespace, MOST)


def batch(
    name: str = "0123456789abcdef", minute: float = 0, *, count: int = 1, route: str = "GET /trades", **changes: str
) -> Batch:
    frames = (Frame("tradesense/trades/service.py", 12, "Trades.find", is_own=True),)
    latest = Occurrence(
        fingerprint=name,
        type="ValueError",
        message=changes.get("message", "no such thing"),
        where="tradesense/trades/service.py Trades.find",
        frames=frames,
        at=NOON + timedelta(minutes=minute),
        route=route,
        trace_id=changes.get("trace_id", ""),
    )
    return Batch(latest, count, {route: count}, set())


async def test_a_group_counts_and_knows_its_first_and_last(groups: ErrorGroups) -> None:
    await groups.add(batch(count=2))
    added = await groups.add(batch(minute=5, route="GET /journal", message="another", trace_id="ab" * 16))
    found = await groups.get("0123456789abcdef")
    assert found == added
    assert (found.count, found.first_seen, found.last_seen) == (3, NOON, NOON + timedelta(minutes=5))
    assert found.routes == {"GET /trades": 2, "GET /journal": 1}
    assert (found.type, found.where, found.state) == (
        "ValueError",
        "tradesense/trades/service.py Trades.find",
        ErrorState.OPEN,
    )
    assert (found.sample.message, found.sample.trace_id) == ("another", "ab" * 16)
    assert found.sample.frames[0].is_own


async def test_what_is_told_late_began_when_the_first_of_it_happened(groups: ErrorGroups) -> None:
    gathered = batch(minute=5)
    gathered.grow(batch(minute=9))
    added = await groups.add(gathered)
    assert (added.count, added.first_seen, added.last_seen) == (2, gathered.since, NOON + timedelta(minutes=9))
    assert (await groups.add(batch(minute=2))).first_seen == NOON + timedelta(minutes=2)
    assert (await groups.add(batch(minute=3))).first_seen == NOON + timedelta(minutes=2)


async def test_a_batch_that_comes_again_counts_once(groups: ErrorGroups) -> None:
    first, other = batch(), batch(minute=1)
    for each in (first, other, first, other):
        await groups.add(each)
    counted = await groups.get("0123456789abcdef")
    assert (counted.count, counted.routes) == (2, {"GET /trades": 2})


async def test_users_are_told_apart(groups: ErrorGroups) -> None:
    for bits in ({1, 2}, {2, 3}, set[int]()):
        each = batch()
        each.users = bits
        await groups.add(each)
    assert (await groups.get("0123456789abcdef")).users == 3


async def test_what_is_not_there_is_not_found(groups: ErrorGroups) -> None:
    with pytest.raises(ErrorGroupNotFound):
        await groups.get("0123456789abcdef")
    with pytest.raises(ErrorGroupNotFound):
        await groups.decide("0123456789abcdef", ErrorState.IGNORED, NOON)
    assert await groups.newest() == []


async def test_a_resolved_group_that_returns_is_a_regression(groups: ErrorGroups) -> None:
    await groups.add(batch())
    resolved = await groups.decide("0123456789abcdef", ErrorState.RESOLVED, NOON + timedelta(minutes=10))
    assert (resolved.state, resolved.changed_at) == (ErrorState.RESOLVED, NOON + timedelta(minutes=10))
    before = await groups.add(batch(minute=9))
    assert (before.state, before.regressions) == (ErrorState.RESOLVED, 0)
    back = await groups.add(batch(minute=11))
    assert (back.state, back.regressions, back.count) == (ErrorState.OPEN, 1, 3)
    assert back.changed_at == NOON + timedelta(minutes=11)
    again = await groups.add(batch(minute=12))
    assert (again.state, again.regressions) == (ErrorState.OPEN, 1)


async def test_an_ignored_group_counts_on_in_silence(groups: ErrorGroups) -> None:
    await groups.add(batch())
    await groups.decide("0123456789abcdef", ErrorState.IGNORED, NOON)
    ignored = await groups.add(batch(minute=1))
    assert (ignored.state, ignored.count, ignored.regressions) == (ErrorState.IGNORED, 2, 0)


async def test_groups_are_listed_by_when_they_were_seen_last(groups: ErrorGroups) -> None:
    for minute, name in enumerate("abc"):
        await groups.add(batch(name * 16, minute))
    await groups.add(batch("a" * 16, 10))
    await groups.decide("b" * 16, ErrorState.RESOLVED, NOON)

    async def names(**given: object) -> str:
        return "".join(each.fingerprint[0] for each in await groups.newest(**given))  # type: ignore[arg-type]

    assert await names() == "acb"
    assert await names(limit=2) == "ac"
    assert await names(state=ErrorState.OPEN) == "ac"
    assert await names(state=ErrorState.RESOLVED) == "b"
    assert await names(since=NOON + timedelta(minutes=2)) == "ac"
    assert await names(since=NOON + timedelta(minutes=2), state=ErrorState.OPEN, limit=1) == "a"


async def test_the_group_that_was_not_seen_for_longest_makes_room(groups: ErrorGroups) -> None:
    for minute in range(MOST):
        await groups.add(batch(f"{minute:016x}", minute))
    await groups.add(batch(f"{0:016x}", 20))
    await groups.add(batch(f"{99:016x}", 21))
    kept = {each.fingerprint for each in await groups.newest()}
    assert len(kept) == MOST
    assert f"{1:016x}" not in kept
    assert f"{0:016x}" in kept
    with pytest.raises(ErrorGroupNotFound):
        await groups.get(f"{1:016x}")


async def test_routes_are_bounded_and_none_goes_uncounted(groups: ErrorGroups) -> None:
    for number in range(MOST_ROUTES * 2):
        await groups.add(batch(route=f"GET /made/up/{number}"))
    routes = (await groups.get("0123456789abcdef")).routes
    assert len(routes) == MOST_ROUTES + 1
    assert routes[OTHER] == MOST_ROUTES
    assert sum(routes.values()) == MOST_ROUTES * 2
