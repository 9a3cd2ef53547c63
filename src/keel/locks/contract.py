"""What a lock promises, and what keeps locks must do for it."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Final, Literal, NamedTuple, Protocol

from keel.errors import Conflict, Unavailable

Seconds = float | timedelta
"""A duration: seconds, or a timedelta."""

OnLost = Literal["raise", "cancel"]
"""What happens to whoever holds a lease that is lost: see `Locks.lock`."""

SHORTEST_TTL_S: Final = 0.1


class LockNotAcquired(Conflict):
    """Somebody else had the lock for as long as there was time to wait; `retry_after` is when their lease would end."""

    def __init__(self, name: str, ends_s: float) -> None:
        super().__init__("Somebody else is doing this right now.", retry_after=timedelta(seconds=max(ends_s, 0)))
        self.name = name


class LockUnavailable(Unavailable):
    """Who holds the lock cannot be found out: the server is away, or refuses."""

    def __init__(self, name: str) -> None:
        super().__init__("This cannot be coordinated right now; try again.")
        self.name = name


class LeaseLost(Unavailable):
    """The lease ended before the work did, so somebody else may have begun the same. `reason` is for a log."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__("This was interrupted; try again.")
        self.name = name
        self.reason = reason

    def __str__(self) -> str:
        return f"the lease of {self.name!r} is lost: {self.reason}"


class Lease(Protocol):
    """A lock that is held, for as long as nothing goes wrong."""

    @property
    def name(self) -> str:
        """The lock's name."""

    @property
    def fence(self) -> int:
        """The fencing token: greater than that of every earlier lease of the lock.

        Writes carry it, and whatever they write to refuses one that is lower than the greatest it has seen.
        """

    @property
    def is_lost(self) -> bool:
        """Whether the lease must be taken for lost: it was found gone, or could not be renewed in time."""

    def raise_if_lost(self) -> None:
        """Raise `LeaseLost` where it is lost: between steps of the work, and before its result is written."""


class Locks(Protocol):
    """Locks by name, among all processes that share the server and the namespace."""

    def lock(
        self, name: str, *, ttl: Seconds = 30, wait: Seconds = 10, on_lost: OnLost = "raise"
    ) -> AbstractAsyncContextManager[Lease]:
        """Hold the lock `name` for as long as the block lasts; it is not re-entrant.

        The lease ends `ttl` seconds (0.1 at least) after it was last renewed, which happens every ttl ÷ 3. Who cannot
        have it waits for `wait` seconds, then raises `LockNotAcquired`; `wait=0` asks once. Raises `LockUnavailable`,
        at once, where the server is away. A lease that is lost makes `raise_if_lost`, and the end of the block, raise
        `LeaseLost`; with `on_lost="cancel"` what is inside is cancelled as well, as soon as it is noticed.

        What a lock with a time to live cannot promise: that nobody else is inside. A process that stands still (a pause
        of the machine, a long collection of garbage, a callback that holds the loop) past its ttl goes on without
        knowing; a server that is emptied, restarted without its data or replaced by a replica that was behind gives the
        lock to the next who asks. Both find out afterwards, up to ttl ÷ 3 later. So it saves work that would be done
        twice, and does not guard what must not be done twice: for that let the database refuse a `fence` lower than one
        it has seen, or take the lock where the data is (PostgreSQL: `pg_advisory_xact_lock`, which ends exactly with
        the transaction that it guards).
        """


class Taken(NamedTuple):
    """The lock is ours."""

    fence: int


class Held(NamedTuple):
    """Somebody else has it; their lease ends in so many seconds, unless it is renewed."""

    ends_s: float


class LockStore(Protocol):
    """What keeps locks. All but `listen` raise `RedisUnavailable` or `CommandRefused` where that is on a server."""

    async def take(self, name: str, token: str, ttl_s: float) -> Taken | Held:
        """Take a lock that is free, for `ttl_s` seconds; `token` is what it is renewed and released by."""

    async def renew(self, name: str, token: str, ttl_s: float) -> bool:
        """Let it last `ttl_s` seconds from now; False where it is not (any longer) held by `token`."""

    async def release(self, name: str, token: str) -> bool:
        """Give it back and tell those who wait; False where it was not held by `token`."""

    def listen(self, name: str, freed: Callable[[], None]) -> Callable[[], None]:
        """Call `freed` when the lock is given back, and when what was given back before may not have been heard.

        Returns how to stop.
        """
