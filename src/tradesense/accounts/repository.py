"""Accounts in SQL, each seen by its user alone and as long as it is not deleted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, NewType
from uuid import UUID

from sqlalchemy import Row, and_, delete, insert, literal, select, tuple_, update
from sqlalchemy.sql.elements import ColumnElement

from tradesense.db.engine import ReadConnection, WriteConnection
from tradesense.db.tables import accounts
from tradesense.domain import money
from tradesense.domain.matching import Method
from tradesense.http.authentication import UserId
from tradesense.http.paging import After

AccountId = NewType("AccountId", UUID)


@dataclass(frozen=True, slots=True)
class Account:
    """An account at a broker. `version` counts its edits."""

    id: AccountId
    name: str
    broker: str | None
    label: str | None
    currency: str
    starting_balance: Decimal | None
    timezone: str | None
    method: Method
    fees: Mapping[str, Any] | None
    multipliers: Mapping[str, Decimal]
    version: int
    created_at: datetime


_COLUMNS = tuple(accounts.c[name] for name in Account.__dataclass_fields__)


def _account(row: Row[Any]) -> Account:
    multipliers = {root: Decimal(value) for root, value in (row.multipliers or {}).items()}
    return Account(**{**row._mapping, "method": Method(row.method), "multipliers": multipliers})  # noqa: SLF001


def _theirs(user: UserId) -> ColumnElement[bool]:
    return and_(accounts.c.user_id == user, accounts.c.deleted_at.is_(None))


def _written(values: Mapping[str, Any]) -> dict[str, Any]:
    """Columns with what JSON cannot carry as text."""
    written = dict(values)
    for name in ("fees", "multipliers"):
        if written.get(name) is not None:
            written[name] = {key: money.text(value) for key, value in written[name].items()}
    return written


async def add(connection: WriteConnection, user: UserId, account: AccountId, values: Mapping[str, Any]) -> None:
    """Add an account of the user's."""
    await connection.execute(insert(accounts).values(id=account, user_id=user, **_written(values)))


async def find(connection: ReadConnection, user: UserId, account: AccountId) -> Account | None:
    """One of the user's accounts."""
    query = select(*_COLUMNS).where(_theirs(user), accounts.c.id == account)
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else _account(row)


async def page(
    connection: ReadConnection, user: UserId, after: After[datetime] | None, limit: int
) -> Sequence[Account]:
    """The user's accounts, oldest first."""
    order = (accounts.c.created_at, accounts.c.id)
    query = select(*_COLUMNS).where(_theirs(user)).order_by(*order).limit(limit)
    if after is not None:
        start = (literal(after.value, accounts.c.created_at.type), literal(after.id, accounts.c.id.type))
        query = query.where(tuple_(*order) > tuple_(*start))
    return [_account(row) for row in await connection.execute(query)]


async def change(
    connection: WriteConnection, user: UserId, account: AccountId, values: Mapping[str, Any], version: int | None
) -> bool:
    """Set columns of an account, if it is there and (unless None) at this version; False otherwise."""
    condition = and_(_theirs(user), accounts.c.id == account)
    if version is not None:
        condition &= accounts.c.version == version
    changed = update(accounts).where(condition).values(**_written(values), version=accounts.c.version + 1)
    return (await connection.execute(changed)).rowcount == 1


async def is_claimed(connection: ReadConnection, account: AccountId, now: datetime) -> bool:
    """Whether somebody is writing the account's next generation."""
    claimed = and_(accounts.c.id == account, accounts.c.claimed_by.is_not(None), accounts.c.claimed_until >= now)
    return (await connection.execute(select(accounts.c.id).where(claimed).with_for_update())).one_or_none() is not None


async def deleted_before(connection: ReadConnection, before: datetime) -> Sequence[UUID]:
    """Accounts that were deleted long ago."""
    query = select(accounts.c.id).where(accounts.c.deleted_at < before)
    return (await connection.scalars(query)).all()


async def erase(connection: WriteConnection, account: UUID) -> None:
    """Delete the row of an account, and with it its books and what was written about its trades."""
    gone = and_(accounts.c.id == account, accounts.c.deleted_at.is_not(None))
    await connection.execute(delete(accounts).where(gone))
