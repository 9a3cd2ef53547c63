"""Editing and deleting while others write to the account."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from tests.application import Person, Served
from tradesense.accounts.repository import AccountId
from tradesense.accounts.service import KEPT, Accounts
from tradesense.db.engine import Database, WriteConnection
from tradesense.db.generations import AccountBusy, Tenure
from tradesense.domain.matching import Method
from tradesense.http.authentication import UserId
from tradesense.http.preconditions import VersionMismatch
from tradesense.http.versions import raise_data_version

Last = Callable[[WriteConnection], Awaitable[None]]


class Rebuilds:
    """A rebuild that notes what it was asked for, and may be refused or overtaken."""

    def __init__(self, database: Database) -> None:
        self.asked: list[tuple[UUID, Method, Mapping[str, Decimal]]] = []
        self.busy = False
        self._database = database

    async def __call__(
        self, user_id: UserId, account_id: UUID, *, method: Method, multipliers: Mapping[str, Decimal], last: Last
    ) -> int:
        if self.busy:
            raise AccountBusy
        self.asked.append((account_id, method, multipliers))
        async with self._database.write() as connection:
            await last(connection)
            return await raise_data_version(connection, user_id)


@pytest.fixture
def owner(user: Person) -> UserId:
    return UserId(UUID(user.user_id))


@pytest.fixture
def database(app: Served) -> Database:
    return app.state["users"]._database


@pytest.fixture
def rebuilds(database: Database) -> Rebuilds:
    return Rebuilds(database)


@pytest.fixture
def accounts(app: Served, database: Database, rebuilds: Rebuilds) -> Accounts:
    return Accounts(database, app.clock, rebuilds)


@pytest.fixture
async def account(accounts: Accounts, owner: UserId) -> AccountId:
    added, _ = await accounts.add(owner, {"name": "Main", "currency": "USD"})
    return added.id


async def test_only_a_change_of_matching_rebuilds(
    accounts: Accounts, rebuilds: Rebuilds, owner: UserId, account: AccountId
) -> None:
    same: dict[str, Any] = {"name": "Other", "method": Method.FIFO, "multipliers": {}}
    await accounts.edit(owner, account, same, None)
    assert rebuilds.asked == []
    edited, version = await accounts.edit(owner, account, {"method": Method.LIFO}, 2)
    assert (edited.method, edited.version, version) == (Method.LIFO, 3, 3)
    edited, _ = await accounts.edit(owner, account, {"multipliers": {"MNQ": Decimal(5)}}, None)
    assert edited.multipliers == {"MNQ": Decimal(5)}
    await accounts.edit(owner, account, {"multipliers": {"XYZ": Decimal(3)}}, None)
    assert rebuilds.asked == [
        (account, Method.LIFO, {}),
        (account, Method.LIFO, {"MNQ": Decimal(5)}),
        (account, Method.LIFO, {"MNQ": Decimal(2), "XYZ": Decimal(3)}),
    ]


async def test_an_edit_that_cannot_rebuild_changes_nothing(
    accounts: Accounts, rebuilds: Rebuilds, owner: UserId, account: AccountId
) -> None:
    rebuilds.busy = True
    with pytest.raises(AccountBusy):
        await accounts.edit(owner, account, {"method": Method.LIFO, "name": "Other"}, None)
    kept = await accounts.get(owner, account)
    assert (kept.method, kept.name, kept.version) == (Method.FIFO, "Main", 1)


async def test_an_edit_that_another_overtakes_is_refused(
    accounts: Accounts, rebuilds: Rebuilds, owner: UserId, account: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    rebuild = rebuilds.__call__

    async def overtaken(*arguments: Any, **named: Any) -> int:  # noqa: ANN401 - whatever it is given
        await accounts.edit(owner, account, {"name": "Faster"}, 1)
        return await rebuild(*arguments, **named)

    monkeypatch.setattr(accounts, "_rebuild", overtaken)
    with pytest.raises(VersionMismatch):
        await accounts.edit(owner, account, {"method": Method.LIFO}, 1)
    assert (await accounts.get(owner, account)).method is Method.FIFO


async def test_an_account_that_is_being_imported_into_is_not_deleted(
    app: Served, accounts: Accounts, database: Database, owner: UserId, account: AccountId
) -> None:
    tenure = Tenure(database, app.clock, timedelta(minutes=1))
    async with database.write() as connection:
        await tenure.claim(connection, account)
    with pytest.raises(AccountBusy):
        await accounts.delete(owner, account, None)
    app.clock.forward(timedelta(minutes=2))
    await accounts.delete(owner, account, None)


async def test_an_account_that_another_process_purges_is_left_to_it(
    app: Served, accounts: Accounts, database: Database, owner: UserId, account: AccountId
) -> None:
    await accounts.delete(owner, account, None)
    app.clock.forward(KEPT + timedelta(seconds=1))
    tenure = Tenure(database, app.clock, timedelta(minutes=1))
    async with database.write() as connection:
        await tenure.claim(connection, account)
    assert await accounts.purge_deleted(database.write) == 0
    app.clock.forward(timedelta(minutes=2))
    assert await accounts.purge_deleted(database.write) == 1
