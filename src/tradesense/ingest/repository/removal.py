"""Taking back: executions and cash movements die with the last import that told of them."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import Table, and_, delete, exists, func, select, update
from sqlalchemy.sql.elements import ColumnElement

from tradesense.db.engine import ReadConnection, WriteConnection
from tradesense.db.generations import Claim
from tradesense.db.tables import FOREVER, cash_movements, cash_sources, execution_sources, executions

PAGE: Final = 500
"""Executions that one transaction takes back, some 20 ms of it."""

_NOBODY: Final = UUID(int=0)


class Sourced(NamedTuple):
    """An execution that an import told of: `least` is its first place by the other imports, None where none tells."""

    id: UUID
    book_id: int
    order_key: bytes
    least: int | None


async def executions_of_import(
    connection: ReadConnection, account_id: UUID, import_id: UUID, after: UUID | None
) -> list[Sourced]:
    """A page of the executions that an account has from an import, by id, after one of them."""
    mine, other = execution_sources, execution_sources.alias()
    least = select(func.min(other.c.sequence)).where(
        other.c.account_id == account_id,
        other.c.execution_id == mine.c.execution_id,
        other.c.import_id != import_id,
        other.c.died == FOREVER,
    )
    told = and_(mine.c.account_id == account_id, mine.c.import_id == import_id, mine.c.died == FOREVER)
    page = (
        select(executions.c.id, executions.c.book_id, executions.c.order_key, least.scalar_subquery())
        .join(mine, and_(mine.c.execution_id == executions.c.id, executions.c.died == FOREVER))
        .where(told, mine.c.execution_id > (after or _NOBODY))
        .order_by(mine.c.execution_id)
        .limit(PAGE)
    )
    return [Sourced(*row) for row in await connection.execute(page)]


async def cash_of_import(
    connection: ReadConnection, account_id: UUID, import_id: UUID, after: UUID | None
) -> list[tuple[UUID, bool]]:
    """A page of the cash movements that an account has from an import, each with whether another tells of it, too."""
    mine, other = cash_sources, cash_sources.alias()
    shared = exists().where(
        other.c.account_id == account_id,
        other.c.cash_id == mine.c.cash_id,
        other.c.import_id != import_id,
        other.c.died == FOREVER,
    )
    told = and_(mine.c.account_id == account_id, mine.c.import_id == import_id, mine.c.died == FOREVER)
    page = select(mine.c.cash_id, shared).where(told, mine.c.cash_id > (after or _NOBODY)).order_by(mine.c.cash_id)
    return [(row[0], row[1]) for row in await connection.execute(page.limit(PAGE))]


async def bury_executions(connection: WriteConnection, claim: Claim, ids: Sequence[UUID]) -> None:
    """Let executions die in the claimed generation."""
    await _bury(connection, claim, executions, executions.c.id.in_(ids))


async def bury_cash(connection: WriteConnection, claim: Claim, ids: Sequence[UUID]) -> None:
    """Let cash movements die in the claimed generation."""
    await _bury(connection, claim, cash_movements, cash_movements.c.id.in_(ids))


async def bury_sources(
    connection: WriteConnection, claim: Claim, ids: Sequence[UUID], import_id: UUID | None = None
) -> None:
    """Forget that an import (None: any) told of some executions or cash movements."""
    for table, key in ((execution_sources, execution_sources.c.execution_id), (cash_sources, cash_sources.c.cash_id)):
        told = key.in_(ids) if import_id is None else and_(key.in_(ids), table.c.import_id == import_id)
        await _bury(connection, claim, table, told)


async def _bury(connection: WriteConnection, claim: Claim, table: Table[Any], where: ColumnElement[bool]) -> None:
    """Rows of the claimed generation itself, which nobody has ever seen, go at once."""
    alive = and_(table.c.account_id == claim.account_id, table.c.died == FOREVER, where)
    await connection.execute(delete(table).where(alive, table.c.born == claim.generation))
    await connection.execute(update(table).where(alive).values(died=claim.generation))
