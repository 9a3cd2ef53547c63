"""Changes to what is there: an account is claimed, changed unseen, its books rebuilt, and all of it published."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Final
from uuid import UUID

from keel.clock import Clock
from keel.errors import Invalid
from keel.tasks import Tasks
from tradesense.accounts.service import AccountNotFound
from tradesense.db.engine import Database, WriteConnection
from tradesense.db.generations import AccountBusy, Claim, ClaimLost, Tenure, purge
from tradesense.domain.matching import NotExact
from tradesense.http.authentication import UserId
from tradesense.http.versions import raise_data_version
from tradesense.ingest.repository import places
from tradesense.ingest.repository.ledgers import LedgerRows
from tradesense.ingest.service.behind import Desk, in_thread
from tradesense.ingest.service.rebuilding import Rebuild
from tradesense.ingest.service.staging import Destination

DELETED_STAY: Final = timedelta(days=30)
"""How long executions that a person deleted are kept."""
_TRIES: Final = 40
_PAUSE_S: Final = 0.05


class TooManyDigits(Invalid):
    """The numbers of a book have too many digits to be added up exactly."""


async def nothing_more(_connection: WriteConnection) -> None:
    """The last write of a change that needs none."""


class Change:
    """A change under way: write through `write`, note in each destination's landings what to rebuild."""

    def __init__(self, database: Database, tenure: Tenure, destinations: list[Destination]) -> None:
        self.destinations = destinations
        self.write = tenure.write
        self._database = database

    async def rebuild(self) -> None:
        """Rebuild the books of all landings."""
        for destination in self.destinations:
            await in_thread(self._database, partial(self._rebuild, destination))

    def _rebuild(self, destination: Destination, desk: Desk) -> None:
        rows = LedgerRows(self._database.dialect)
        rebuild = Rebuild(desk, self.write, destination, rows)
        rebuild.run(destination.landings, lambda _book, _trades: None)


class Changes:
    """Makes changes to accounts, for whoever needs it."""

    def __init__(self, database: Database, clock: Clock, lease: timedelta) -> None:
        self._database = database
        self._clock = clock
        self._lease = lease

    @asynccontextmanager
    async def to(self, user_id: UserId, account_ids: list[UUID]) -> AsyncIterator[tuple[Change, Tenure]]:
        """Claim accounts for the length of the block, and sweep what it leaves unpublished.

        Raises `AccountNotFound`, and `AccountBusy` where an import has one of them, or another change for too long.
        """
        tenure = Tenure(self._database, self._clock, self._lease)
        change = await self._claim(tenure, user_id, account_ids)
        async with Tasks() as tasks:
            tasks.start("heartbeat of a change", self._beat(tenure))
            try:
                for destination in change.destinations:
                    if destination.claim.dirty:
                        await tenure.sweep(destination.claim)
                yield change, tenure
            except asyncio.CancelledError:
                async with self._database.write() as connection:
                    await tenure.abandon(connection)
                raise
            except ClaimLost:
                raise
            except BaseException:
                await self._take_back(tenure)
                raise

    async def _take_back(self, tenure: Tenure) -> None:
        for claim in tenure.claims.values():
            await tenure.sweep(claim)
        async with tenure.write() as connection:
            await tenure.release(connection)

    async def publish(
        self, user_id: UserId, change: Change, tenure: Tenure, last: Callable[[WriteConnection], Awaitable[None]]
    ) -> int:
        """Rebuild and publish a change, with one more write in the same transaction; returns the data's version.

        Raises `TooManyDigits`.
        """
        try:
            await change.rebuild()
        except NotExact as error:
            raise TooManyDigits(str(error)) from error
        async with tenure.write() as connection:
            await last(connection)
            for each in change.destinations:
                await places.note_multipliers(connection, each.books.values())
            await tenure.publish(connection)
            concerned = [each.account.id for each in change.destinations]
            version = await raise_data_version(connection, user_id, concerned)
        for destination in change.destinations:
            await self._purge(destination.claim)
        return version

    async def _purge(self, claim: Claim) -> None:
        await purge(self._database, claim.account_id, claim.generation, self._clock.now() - DELETED_STAY)

    async def _claim(self, tenure: Tenure, user_id: UserId, account_ids: list[UUID]) -> Change:
        """Claim all accounts or none, waiting a while for other changes, but not for imports."""
        for last in (*[False] * _TRIES, True):
            try:
                async with self._database.write() as connection:
                    destinations = [await self._destination(connection, tenure, user_id, each) for each in account_ids]
                return Change(self._database, tenure, destinations)
            except AccountBusy as busy:
                tenure.claims.clear()
                if last or await self._is_imported_into(account_ids):
                    raise busy from None
            await asyncio.sleep(_PAUSE_S)
        raise AssertionError("the last try returns or raises")

    async def _destination(
        self, connection: WriteConnection, tenure: Tenure, user_id: UserId, account_id: UUID
    ) -> Destination:
        # As whoever had the claim has left it.
        account = await places.find_account(connection, user_id, account_id, hold=True)
        if account is None:
            raise AccountNotFound
        return Destination(account, await tenure.claim(connection, account_id))

    async def _is_imported_into(self, account_ids: list[UUID]) -> bool:
        async with self._database.read() as connection:
            return await places.is_imported_into(connection, account_ids)

    async def _beat(self, tenure: Tenure) -> None:
        while True:
            await asyncio.sleep(self._lease.total_seconds() / 3)
            await tenure.renew()
