"""The lock of the Keel that is running."""

from contextlib import AbstractAsyncContextManager

from keel.current import current
from keel.locks.contract import Lease, OnLost, Seconds


def lock(
    name: str, *, ttl: Seconds = 30, wait: Seconds = 10, on_lost: OnLost = "raise"
) -> AbstractAsyncContextManager[Lease]:
    """A lock, to be held for as long as a block lasts.

        async with lock("rebuild:42", ttl=30, wait=10) as lease:
            ...

    The lease ends `ttl` seconds after it was last renewed, which happens every ttl ÷ 3 while the block lasts. Raises
    `LockNotAcquired` where somebody else has the lock for `wait` seconds, `LockUnavailable`, at once, where the server
    is away, and `LeaseLost` at the end of a block whose lease was lost meanwhile (and from `lease.raise_if_lost()`);
    with `on_lost="cancel"` the block is cancelled as soon as that is noticed.

    It saves work that would be done twice; it cannot promise that nobody else is inside, as `Locks.lock` says in full.
    What must not be done twice carries `lease.fence`, and the database refuses a lower one than it has seen; or it
    takes the lock where the data is (`pg_advisory_xact_lock`).
    """
    return current().locks.lock(name, ttl=ttl, wait=wait, on_lost=on_lost)
