"""Accounts: adding, editing and deleting them; a change of how fills are matched matches them all anew."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final, Protocol
from uuid import UUID

from keel.clock import Clock
from keel.errors import NotFound
from keel.ids import uuid7
from tradesense.accounts import repository
from tradesense.accounts.repository import Account, AccountId
from tradesense.db.engine import Database, WriteConnection, Writing
from tradesense.db.generations import AccountBusy, Claim, Tenure
from tradesense.domain.contracts import multiplier_of
from tradesense.domain.matching import Method
from tradesense.http.authentication import UserId
from tradesense.http.paging import After
from tradesense.http.preconditions import VersionMismatch, require_match
from tradesense.http.versions import raise_data_version

KEPT: Final = timedelta(days=30)
"""How long what was deleted stays in the database."""
_LEASE: Final = timedelta(minutes=5)


class AccountNotFound(NotFound):
    """There is no such account."""

    def __init__(self) -> None:
        super().__init__("There is no such account.")


class Rebuild(Protocol):
    """Matches all fills of an account anew.

    `last` is called in the transaction that publishes the result, whose version of the user's data is returned. Raises
    `AccountBusy` while the account is being written to; then, as after a crash, nothing has changed.
    """

    async def __call__(
        self,
        user_id: UserId,
        account_id: UUID,
        *,
        method: Method,
        multipliers: Mapping[str, Decimal],
        last: Callable[[WriteConnection], Awaitable[None]],
    ) -> int:
        """Match by `method`, at these multipliers by contract root where they are not the usual ones."""


class Accounts:
    """The users' accounts. What writes returns the version of the user's data that it made, too."""

    def __init__(self, database: Database, clock: Clock, rebuild: Rebuild) -> None:
        self._database = database
        self._clock = clock
        self._rebuild = rebuild

    async def page(self, user: UserId, after: After[datetime] | None, limit: int) -> Sequence[Account]:
        """The user's accounts, oldest first."""
        async with self._database.read() as connection:
            return await repository.page(connection, user, after, limit)

    async def get(self, user: UserId, account: AccountId) -> Account:
        """One of the user's accounts; raises `AccountNotFound`."""
        async with self._database.read() as connection:
            found = await repository.find(connection, user, account)
        if found is None:
            raise AccountNotFound
        return found

    async def add(self, user: UserId, values: Mapping[str, Any]) -> tuple[Account, int]:
        """Add an account with these columns."""
        account = AccountId(uuid7())
        async with self._database.write() as connection:
            await repository.add(connection, user, account, {**values, "created_at": self._clock.now()})
            version = await raise_data_version(connection, user, [account])
        return await self.get(user, account), version

    async def edit(
        self, user: UserId, account: AccountId, changes: Mapping[str, Any], expected: int | None
    ) -> tuple[Account, int]:
        """Change columns of the account, at the `expected` version unless that is None.

        Raises `AccountNotFound`, `VersionMismatch`, and `AccountBusy` where fills cannot be matched anew now.
        """
        before = await self.get(user, account)
        require_match(expected, before.version)

        async def apply(connection: WriteConnection) -> None:
            if not await repository.change(connection, user, account, changes, expected):
                raise VersionMismatch

        method = changes.get("method", before.method)
        multipliers = changes.get("multipliers", before.multipliers)
        if (method, multipliers) == (before.method, before.multipliers):
            async with self._database.write() as connection:
                await apply(connection)
                version = await raise_data_version(connection, user, [account])
        else:
            multipliers = {**_usual(before.multipliers), **multipliers}
            version = await self._rebuild(user, account, method=method, multipliers=multipliers, last=apply)
        return await self.get(user, account), version

    async def delete(self, user: UserId, account: AccountId, expected: int | None) -> int:
        """Delete the account, and hide everything of it.

        Raises `AccountNotFound`, `VersionMismatch`, and `AccountBusy` while it is being imported into.
        """
        before = await self.get(user, account)
        require_match(expected, before.version)
        async with self._database.write() as connection:
            if await repository.is_claimed(connection, account, self._clock.now()):
                raise AccountBusy
            deleted = {"deleted_at": self._clock.now()}
            if not await repository.change(connection, user, account, deleted, expected):
                raise VersionMismatch
            return await raise_data_version(connection, user, [account])

    async def purge_deleted(self, write: Writing) -> int:
        """Take out of the database what was deleted more than 30 days ago, and say how many accounts."""
        async with self._database.read() as connection:
            gone = await repository.deleted_before(connection, self._clock.now() - KEPT)
        return sum([await self._purge(account, write) for account in gone])

    async def _purge(self, account: UUID, write: Writing) -> bool:
        tenure = Tenure(self._database, self._clock, _LEASE)
        try:
            async with write() as connection:
                await tenure.claim(connection, account)
        except AccountBusy:
            return False  # another writer has it
        await tenure.sweep(Claim(account, generation=0, dirty=True))
        async with tenure.write() as connection:
            await repository.erase(connection, account)
        return True


def _usual(multipliers: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """What contracts come back to that have a multiplier of the account's own no more."""
    usual = {root: multiplier_of(root) for root in multipliers}
    return {root: multiplier for root, multiplier in usual.items() if multiplier is not None}
