"""Instances as the outbox knows them: each writes, keeps copies of answers, and follows what the others write."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, Self
from uuid import UUID

from sqlalchemy import insert, select

from keel.clock import SystemClock
from keel.ids import uuid7
from keel.locks.leases import LeaseLocks
from keel.locks.memory import MemoryLockStore
from keel.tasks import Tasks
from tests.application import Hands
from tradesense.db import outbox as rows
from tradesense.db.engine import Database
from tradesense.db.fences import Fences
from tradesense.db.invalidation import Invalidations, Invalidator, user_tag
from tradesense.db.replay import OutboxReplay
from tradesense.db.tables import outbox, users
from tradesense.db.writes import Write
from tradesense.http.authentication import UserId
from tradesense.http.versions import raise_data_version

WITHIN_S: Final = 20.0
"""How long a test waits for what is to come; it comes at once unless the machine is busy."""


async def until(condition: Callable[[], bool | Awaitable[bool]]) -> None:
    """Wait until something is the case."""
    begun = time.monotonic()
    while True:
        found = condition()
        if found if isinstance(found, bool) else await found:
            return
        assert time.monotonic() - begun < WITHIN_S
        await asyncio.sleep(0.01)


@dataclass
class Copies:
    """An invalidator that notes what it was told to throw away, and does as the test likes."""

    told: list[str] = field(default_factory=list)
    before: Callable[[], Awaitable[object]] | None = None
    ended: list[bytes] = field(default_factory=list)
    forgot_all: int = 0
    inner: Invalidator | None = None

    def __call__(self, copies: Invalidator) -> Self:
        """Be told in place of real copies, which are told in turn."""
        self.inner = copies
        return self

    async def invalidate_tags(self, *tags: str) -> None:
        if self.before is not None:
            await self.before()
        if self.inner is not None:
            await self.inner.invalidate_tags(*tags)
        self.told += [tag for tag in tags if not tag.endswith(":profile")]

    async def forget_tokens(self, hashes: Collection[bytes]) -> None:
        if self.before is not None:
            await self.before()
        if self.inner is not None:
            await self.inner.forget_tokens(hashes)
        self.ended += hashes

    async def forget_all_tokens(self) -> None:
        self.forgot_all += 1
        if self.inner is not None:
            await self.inner.forget_all_tokens()

    async def hears(self, *tags: str) -> None:
        """Wait until it was told of all these."""
        await until(lambda: {*tags} <= {*self.told})

    def taken(self) -> list[str]:
        """What it was told since this was last asked."""
        told, self.told = self.told, []
        return told


class Instance:
    """One process's worth: a database, copies, and whatever throws them away."""

    def __init__(
        self,
        url: str,
        *,
        is_shared: bool = False,
        poll: timedelta = timedelta(hours=1),
        store: MemoryLockStore | None = None,
    ) -> None:
        self.clock = Hands(SystemClock().now())
        self.copies = Copies()
        self.heard: list[Write] = []
        self.invalidations = Invalidations(self.copies, self.clock, self.heard.extend)
        self.database = Database(url, after_commit=self.invalidations)
        self.tasks = Tasks()
        self.locks = LeaseLocks(store or MemoryLockStore(), self.tasks)
        self.fences = Fences(self.database, self.locks)
        sharing = self.fences if is_shared else None
        self.replay = OutboxReplay(
            self.database, self.clock, self.copies, sharing=sharing, poll=poll, heard=self.heard.extend
        )

    async def add_user(self) -> UserId:
        user = UserId(uuid7())
        row = {"id": user, "email": f"{user}@example.org", "password_hash": "x", "created_at": self.clock.now()}
        async with self.database.write() as connection:
            await connection.execute(insert(users).values(row))
        return user

    async def write(self, user: UserId, accounts: Sequence[UUID] | None = None) -> int:
        """A write of the user's data."""
        async with self.database.write() as connection:
            return await raise_data_version(connection, user, accounts)

    async def look(self, after: timedelta = timedelta(0)) -> list[str]:
        """What it throws away when it looks at the outbox, so long after the last time."""
        self.clock.forward(after)
        self.copies.taken()
        await self.replay.look()
        return self.copies.taken()

    async def outbox(self) -> Sequence[Any]:
        async with self.database.read() as connection:
            return (await connection.execute(select(outbox).order_by(outbox.c.id))).all()

    async def undone(self) -> int:
        async with self.database.read() as connection:
            return len(await rows.undone(connection))

    async def settle(self, but: int = 0) -> None:
        """Wait until all of the outbox is marked done, `but` for some rows."""
        await until(lambda: self._has_undone(but))

    async def _has_undone(self, number: int) -> bool:
        return await self.undone() == number

    async def close(self) -> None:
        self.locks.close()
        await self.tasks.close(timedelta(seconds=WITHIN_S))
        await self.invalidations.close(self.database, timedelta(seconds=WITHIN_S))
        await self.database.close()


Start = Callable[..., Awaitable[Instance]]


@asynccontextmanager
async def instances(url: str) -> AsyncIterator[Start]:
    """Instances on one database and with the same locks, each caught up with the outbox when it starts."""
    store = MemoryLockStore()
    async with AsyncExitStack() as stack:

        async def start(*, is_shared: bool = False) -> Instance:
            instance = Instance(url, is_shared=is_shared, store=store)
            stack.push_async_callback(instance.close)
            await instance.replay.catch_up()
            return instance

        yield start


def tag(user: UserId) -> str:
    return user_tag(user)
