"""What a published generation brought, found by the segments that were made for it; and the addresses of users."""

from collections.abc import Collection, Mapping
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import Column, and_, func, select

from tradesense.db.engine import ReadConnection
from tradesense.db.tables import executions, segments, trades, users

LISTED: Final = 100
"""Ids that are named; beyond that they are only counted."""


class Brought(NamedTuple):
    """How many rows a generation brought, and their ids where those are few."""

    number: int
    ids: list[UUID]


class Generation(NamedTuple):
    """What a generation of an account brought: rows that are new or have another place."""

    executions: Brought
    trades: Brought


async def generation(connection: ReadConnection, account_id: UUID, born: int) -> Generation:
    """What this generation of an account brought. It costs as much as what was rebuilt for it."""
    return Generation(
        await _brought(connection, executions.c, executions.c.order_key, account_id, born),
        await _brought(connection, trades.c, trades.c.first, account_id, born),
    )


async def _brought(
    connection: ReadConnection,
    columns: Any,  # noqa: ANN401 - of either table
    key: "Column[bytes]",
    account_id: UUID,
    born: int,
) -> Brought:
    within = and_(columns.book_id == segments.c.book_id, key >= segments.c.first, key <= segments.c.last)
    rows = (segments.c.account_id == account_id, segments.c.born == born, within, columns.born == born)
    count = await connection.scalar(select(func.count()).where(*rows)) or 0
    if not 0 < count <= LISTED:
        return Brought(count, [])
    return Brought(count, [*await connection.scalars(select(columns.id).where(*rows).order_by(key))])


async def emails(connection: ReadConnection, ids: Collection[UUID]) -> Mapping[UUID, str]:
    """The email address of each of these users who is there."""
    found = await connection.execute(select(users.c.id, users.c.email).where(users.c.id.in_(ids)))
    return {row.id: row.email for row in found}
