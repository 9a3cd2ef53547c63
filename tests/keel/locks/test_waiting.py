"""How often somebody who waits asks."""

import asyncio
from collections.abc import Callable

import pytest

from keel.locks.contract import Held, LockNotAcquired, Taken
from keel.locks.leases import LeaseLocks
from keel.tasks import Tasks


class HeldByAnother:
    """A store in which every lock is held by a lease that is always just about to end; it counts who asks."""

    def __init__(self, ends_s: float) -> None:
        self.ends_s = ends_s
        self.asked = 0
        self.listening = 0

    async def take(self, name: str, token: str, ttl_s: float) -> Taken | Held:  # noqa: ARG002 - of the protocol
        self.asked += 1
        return Held(self.ends_s)

    async def renew(self, name: str, token: str, ttl_s: float) -> bool:  # noqa: ARG002 - of the protocol
        return False

    async def release(self, name: str, token: str) -> bool:  # noqa: ARG002 - of the protocol
        return False

    def listen(self, name: str, freed: Callable[[], None]) -> Callable[[], None]:  # noqa: ARG002 - of the protocol
        self.listening += 1

        def stop() -> None:
            self.listening -= 1

        return stop


@pytest.mark.parametrize(("ends_s", "most"), [(-0.001, 4 * 2 + 2), (0.0, 4 * 2 + 2), (60.0, 2 + 2)])
async def test_nobody_spins_however_soon_the_lease_of_another_ends(ends_s: float, most: int) -> None:
    store = HeldByAnother(ends_s)
    async with Tasks() as tasks:
        locks = LeaseLocks(store, tasks)
        with pytest.raises(LockNotAcquired):
            await locks.acquire("a", 30, 2)
        assert 2 <= store.asked <= most


async def test_a_lock_is_listened_to_once_and_no_more_when_all_is_closed() -> None:
    store = HeldByAnother(60)
    async with Tasks() as tasks:
        locks = LeaseLocks(store, tasks)
        waiting = [tasks.start("waiting", _wait(locks)) for _ in range(20)]
        await asyncio.wait(waiting)
        assert store.listening == 1
        locks.close()
        assert store.listening == 0
        locks.close()


async def _wait(locks: LeaseLocks) -> None:
    with pytest.raises(LockNotAcquired):
        await locks.acquire("a", 30, 0.05)
