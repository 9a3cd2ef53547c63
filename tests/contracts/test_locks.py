"""What locks promise, in memory and over a server, from one process and from two."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import pytest

import keel
from keel.locks.contract import LeaseLost, LockNotAcquired, Locks, LockStore
from keel.locks.leases import LeaseLocks
from keel.opening import Keel
from tests.keel.redis.telling import soon

LONG = 30.0


@pytest.fixture(params=["memory", "redis"])
async def pair(request: pytest.FixtureRequest, redis_namespace: str) -> AsyncIterator[tuple[Locks, Locks]]:
    """The locks as two instances see them; in memory there is only one."""
    url = request.getfixturevalue("redis_url") if request.param == "redis" else None
    async with AsyncExitStack() as stack:
        opened = [await stack.enter_async_context(Keel.open(url, redis_namespace)) for _ in range(2 if url else 1)]
        yield opened[0].locks, opened[-1].locks


@pytest.fixture
def locks(pair: tuple[Locks, Locks]) -> Locks:
    return pair[0]


@pytest.fixture
def elsewhere(pair: tuple[Locks, Locks]) -> Locks:
    return pair[1]


def starting(work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    return asyncio.get_running_loop().create_task(work)


def store_of(locks: Locks) -> LockStore:
    assert isinstance(locks, LeaseLocks)
    return locks.store


async def steal(locks: Locks, name: str, token: str) -> None:
    """Let the lock be free as if the server had forgotten it."""
    await store_of(locks).release(name, token)


async def test_nobody_else_has_it_meanwhile(locks: Locks, elsewhere: Locks) -> None:
    async with locks.lock("rebuild:42", ttl=LONG) as lease:
        assert lease.name == "rebuild:42"
        assert not lease.is_lost
        lease.raise_if_lost()
        for other in (locks, elsewhere):
            with pytest.raises(LockNotAcquired) as refused:
                async with other.lock("rebuild:42", wait=0):
                    pytest.fail("two are inside")
            assert refused.value.retry_after is not None
            assert timedelta(0) < refused.value.retry_after <= timedelta(seconds=LONG)
        async with elsewhere.lock("rebuild:43", wait=0):
            pass
    async with elsewhere.lock("rebuild:42", wait=0):
        pass


async def test_names_of_any_kind_are_told_apart(locks: Locks) -> None:
    async with AsyncExitStack() as stack:
        for name in ("a", "{a}", "a}", "#a", "a" * 300, "a" * 301, "ä b\n"):
            await stack.enter_async_context(locks.lock(name, wait=0))


async def test_fences_grow(locks: Locks, elsewhere: Locks) -> None:
    fences = []
    for each in (locks, elsewhere, locks, elsewhere):
        async with each.lock("a") as lease:
            fences.append(lease.fence)
    assert fences == sorted(set(fences))
    assert fences[0] > 1_700_000_000_000_000


async def test_who_waits_gets_it_when_it_is_given_back(locks: Locks, elsewhere: Locks) -> None:
    order = []

    async def work(each: Locks, number: int) -> None:
        async with each.lock("a", ttl=LONG, wait=20):
            order.append(number)
            await asyncio.sleep(0.001)

    async with locks.lock("a", ttl=LONG):
        tasks = []
        for number in range(6):
            tasks.append(starting(work(elsewhere, number)))
            await asyncio.sleep(0.02)
        assert order == []
    await asyncio.gather(*tasks)
    assert order == list(range(6))


async def test_two_instances_take_turns(locks: Locks, elsewhere: Locks) -> None:
    inside, most, done = 0, 0, 0

    async def work(each: Locks) -> None:
        nonlocal inside, most, done
        for _ in range(20):
            async with each.lock("a", ttl=LONG, wait=60):
                inside += 1
                most = max(most, inside)
                await asyncio.sleep(0)
                inside -= 1
                done += 1

    await asyncio.gather(*(work(each) for each in (locks, elsewhere) for _ in range(3)))
    assert (most, done) == (1, 120)


async def test_waiting_ends_in_time(locks: Locks, elsewhere: Locks) -> None:
    async with locks.lock("a", ttl=LONG):
        waiting = [starting(_hold(elsewhere, wait=0.1)) for _ in range(3)]
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(each) for each in outcomes] == [LockNotAcquired] * 3


async def test_a_lease_that_is_not_renewed_ends(locks: Locks, elsewhere: Locks) -> None:
    await store_of(locks).take("a", "of a process that has died", 0.4)
    with pytest.raises(LockNotAcquired):
        await _hold(elsewhere, wait=0)
    await _hold(elsewhere, wait=20)


async def test_a_lease_is_renewed_for_as_long_as_it_is_held(locks: Locks, elsewhere: Locks) -> None:
    async with locks.lock("a", ttl=3) as lease:
        for _ in range(7):
            await asyncio.sleep(0.5)
            with pytest.raises(LockNotAcquired):
                await _hold(elsewhere, wait=0)
        lease.raise_if_lost()


async def test_a_lease_that_is_gone_is_noticed_and_the_end_of_the_block_says_so(locks: Locks, elsewhere: Locks) -> None:
    async def work() -> None:
        async with locks.lock("a", ttl=0.6) as lease:
            await steal(elsewhere, "a", lease.token)  # type: ignore[attr-defined]  # its own
            await soon(lambda: lease.is_lost, 20)
            with pytest.raises(LeaseLost):
                lease.raise_if_lost()

    with pytest.raises(LeaseLost, match="not there any more") as lost:
        await work()
    assert lost.value.name == "a"


async def test_a_lease_that_was_gone_unnoticed_is_said_at_the_end(locks: Locks, elsewhere: Locks) -> None:
    async def work() -> None:
        async with locks.lock("a", ttl=LONG) as lease:
            await steal(elsewhere, "a", lease.token)  # type: ignore[attr-defined]  # its own
            async with elsewhere.lock("a", wait=0) as next_lease:
                assert next_lease.fence > lease.fence

    with pytest.raises(LeaseLost, match="given back"):
        await work()
    await _hold(elsewhere, wait=0)


async def test_giving_back_what_is_gone_takes_it_from_nobody(locks: Locks, elsewhere: Locks) -> None:
    async with AsyncExitStack() as stack:

        async def work() -> None:
            async with locks.lock("a", ttl=LONG) as lease:
                await steal(elsewhere, "a", lease.token)  # type: ignore[attr-defined]  # its own
                await stack.enter_async_context(elsewhere.lock("a", wait=0))

        with pytest.raises(LeaseLost):
            await work()
        with pytest.raises(LockNotAcquired):
            await _hold(locks, wait=0)


async def test_the_works_own_error_goes_before_the_loss(locks: Locks) -> None:
    async def work() -> None:
        async with locks.lock("a", ttl=LONG) as lease:
            await steal(locks, "a", lease.token)  # type: ignore[attr-defined]  # its own
            raise KeyError

    with pytest.raises(KeyError):
        await work()
    await _hold(locks, wait=0)


async def test_work_is_cancelled_when_its_lease_is_lost(locks: Locks) -> None:
    async def work() -> None:
        async with locks.lock("a", ttl=0.6, on_lost="cancel") as lease:
            await steal(locks, "a", lease.token)  # type: ignore[attr-defined]  # its own
            await asyncio.sleep(60)

    with pytest.raises(LeaseLost):
        await work()
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_work_that_goes_on_when_cancelled_for_its_lease_is_told_at_the_end(locks: Locks) -> None:
    async def work() -> None:
        async with locks.lock("a", ttl=0.6, on_lost="cancel") as lease:
            await steal(locks, "a", lease.token)  # type: ignore[attr-defined]  # its own
            with pytest.raises(asyncio.CancelledError):
                await asyncio.sleep(60)

    with pytest.raises(LeaseLost):
        await work()
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_who_is_cancelled_by_somebody_else_stays_cancelled(locks: Locks) -> None:
    async def work() -> None:
        async with locks.lock("a", ttl=LONG, on_lost="cancel"):
            await asyncio.sleep(60)

    task = starting(work())
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await _hold(locks, wait=0)


@pytest.mark.parametrize("contended", [False, True])
async def test_wherever_it_is_cancelled_no_lease_is_left_behind(
    locks: Locks, elsewhere: Locks, *, contended: bool
) -> None:
    """Cancelled after each number of turns of the loop, until one is enough for the whole."""
    for turns in range(400):
        holder = starting(_hold(elsewhere, wait=20, turns=3)) if contended else None
        task = starting(_hold(locks, wait=20, turns=1))
        for _ in range(turns):
            await asyncio.sleep(0)
        finished = task.done()
        task.cancel()
        await asyncio.wait([task])
        if holder is not None:
            await holder
        await _hold(elsewhere, wait=20)
        if finished:
            break
    else:
        pytest.fail("it never came to an end")


async def test_a_cancelled_waiter_holds_nobody_up(locks: Locks, elsewhere: Locks) -> None:
    async with locks.lock("a", ttl=LONG):
        waiting = [starting(_hold(elsewhere, wait=20)) for _ in range(3)]
        await asyncio.sleep(0.05)
        waiting[0].cancel()
        waiting[1].cancel()
    await waiting[2]
    assert waiting[0].cancelled()
    assert waiting[1].cancelled()


async def test_what_makes_no_sense_is_refused(locks: Locks) -> None:
    with pytest.raises(ValueError, match="name"):
        locks.lock("")
    with pytest.raises(ValueError, match="ttl"):
        locks.lock("a", ttl=timedelta(milliseconds=1))


async def test_the_handle_is_that_of_the_running_keel() -> None:
    async with Keel.open() as opened, keel.lock("a", ttl=timedelta(seconds=30), wait=10) as lease:
        assert lease.fence
        with pytest.raises(LockNotAcquired):
            await _hold(opened.locks, wait=0)


async def test_a_keel_that_is_closed_while_a_lock_is_held_says_no_more_than_that() -> None:
    async with AsyncExitStack() as outer:
        async with Keel.open() as opened:
            lease = await outer.enter_async_context(opened.locks.lock("a", ttl=0.3))
        await soon(lambda: lease.is_lost, 20)
        with pytest.raises(LeaseLost):
            await outer.aclose()


async def _hold(locks: Locks, *, wait: float, turns: int = 0) -> None:
    async with locks.lock("a", ttl=LONG, wait=wait):
        for _ in range(turns):
            await asyncio.sleep(0)
