"""Rows of a coming generation: executions, cash movements, where they came from, and what was there before."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import and_, insert, literal, or_, select, tuple_, update
from sqlalchemy.sql.elements import ColumnElement

from tradesense.db.bulk import Bulk
from tradesense.db.engine import ReadConnection, WriteConnection
from tradesense.db.generations import Claim, visible, visible_at
from tradesense.db.tables import (
    FOREVER,
    accounts,
    books,
    cash_movements,
    cash_sources,
    execution_sources,
    executions,
    instruments,
)
from tradesense.domain.executions import Side
from tradesense.http.authentication import UserId

_PAGE: Final = 4000
_SECOND: Final = timedelta(seconds=1)

_EXECUTION: Final = (
    "id",
    "book_id",
    "identity",
    "order_key",
    "at",
    "side",
    "kind",
    "quantity",
    "price",
    "commission",
    "fees",
    "fx_to_account",
    "identity_kind",
    "local_time",
)
_CASH: Final = ("id", "identity", "kind", "amount", "currency", "at", "local_time", "description")


class Known(NamedTuple):
    """An execution or a cash movement that is there already; a cash movement's key is empty."""

    id: UUID
    order_key: bytes
    book_id: int


class Moved(NamedTuple):
    """An execution that another file puts earlier among those of its instant."""

    id: UUID
    order_key: bytes


class Rows:
    """The tables of an import, ready for rows in the driver's values."""

    def __init__(self, dialect: str) -> None:
        same = ("born", "account_id")
        source = (*same, "import_id")
        self.executions = Bulk(executions, (*same, "broker", "format", "zone"), _EXECUTION, dialect)
        self.sources = Bulk(execution_sources, source, ("execution_id", "line", "sequence"), dialect)
        self.cash = Bulk(cash_movements, (*same, "zone"), _CASH, dialect)
        self.cash_sources = Bulk(cash_sources, source, ("cash_id", "line"), dialect)


async def known_executions(
    connection: ReadConnection, account_id: UUID, identities: Sequence[bytes]
) -> dict[bytes, Known]:
    """Which of some identities an account has, staged ones included."""
    columns = (executions.c.identity, executions.c.id, executions.c.order_key, executions.c.book_id)
    live = and_(executions.c.account_id == account_id, executions.c.died == literal(FOREVER, literal_execute=True))
    rows = await connection.execute(select(*columns).where(live, executions.c.identity.in_(identities)))
    return {row.identity: Known(row.id, row.order_key, row.book_id) for row in rows}


async def known_movements(
    connection: ReadConnection, account_id: UUID, identities: Sequence[bytes]
) -> dict[bytes, Known]:
    """Which of some identities of cash movements an account has."""
    live = and_(
        cash_movements.c.account_id == account_id, cash_movements.c.died == literal(FOREVER, literal_execute=True)
    )
    rows = await connection.execute(
        select(cash_movements.c.identity, cash_movements.c.id).where(live, cash_movements.c.identity.in_(identities))
    )
    return {row.identity: Known(row.id, b"", 0) for row in rows}


async def move(connection: WriteConnection, claim: Claim, moved: Sequence[Moved]) -> None:
    """Give executions other order keys from the claimed generation on."""
    for one in moved:
        live = and_(
            executions.c.account_id == claim.account_id, executions.c.id == one.id, executions.c.died == FOREVER
        )
        kept = [column for column in executions.c if column.name not in {"born", "died", "order_key"}]
        row = (await connection.execute(select(*kept, executions.c.born).where(live))).one()
        values = {column.name: row._mapping[column.name] for column in kept}  # noqa: SLF001 - its public name
        if row.born == claim.generation:
            await connection.execute(update(executions).where(live).values(order_key=one.order_key))
            continue
        await connection.execute(update(executions).where(live).values(died=claim.generation))
        await connection.execute(
            insert(executions).values(**values, born=claim.generation, died=FOREVER, order_key=one.order_key)
        )


class Other(NamedTuple):
    """An execution of another file format, in the terms in which two formats may tell of the same fill."""

    key: str
    side: Side
    quantity: Decimal
    price: Decimal
    at: datetime


async def others(
    connection: ReadConnection,
    account_id: UUID,
    generation: int,
    own: tuple[str, str],
    period: tuple[datetime, datetime],
    after: tuple[datetime, UUID] | None,
) -> tuple[list[Other], tuple[datetime, UUID] | None]:
    """A page of an account's executions of a period that came in another format than `own` (broker and format).

    Also gives where the next page starts; None after the last one.
    """
    first, last = period
    where: list[ColumnElement[bool]] = [
        executions.c.account_id == account_id,
        executions.c.at.between(first - _SECOND, last + _SECOND),
        visible_at(executions, generation),
        or_(executions.c.broker != own[0], executions.c.format != own[1]),
    ]
    if after is not None:
        where.append(
            tuple_(executions.c.at, executions.c.id)
            > tuple_(literal(after[0], executions.c.at.type), literal(after[1], executions.c.id.type))
        )
    told = (instruments.c.key, executions.c.side, executions.c.quantity, executions.c.price, executions.c.at)
    page = (
        select(*told, executions.c.id)
        .join(books, books.c.id == executions.c.book_id)
        .join(instruments, instruments.c.id == books.c.instrument_id)
        .where(*where)
        .order_by(executions.c.at, executions.c.id)
        .limit(_PAGE)
    )
    rows = (await connection.execute(page)).all()
    found = [Other(*row[:5]) for row in rows]
    return found, (rows[-1].at, rows[-1].id) if len(rows) == _PAGE else None


class OneExecution(NamedTuple):
    """An execution that a user has: where it is, and what sorts it."""

    account_id: UUID
    book_id: int
    order_key: bytes


async def find_execution(connection: ReadConnection, user_id: UserId, execution_id: UUID) -> OneExecution | None:
    """One of a user's executions."""
    theirs = and_(executions.c.id == execution_id, accounts.c.user_id == user_id, accounts.c.deleted_at.is_(None))
    found = (
        select(executions.c.account_id, executions.c.book_id, executions.c.order_key)
        .join(accounts, accounts.c.id == executions.c.account_id)
        .where(theirs, visible(executions))
    )
    row = (await connection.execute(found)).one_or_none()
    return None if row is None else OneExecution(*row)


async def deleted_by_hand(connection: ReadConnection, account_id: UUID) -> frozenset[bytes]:
    """The identities of an account's executions that a person deleted, as far as they are kept."""
    gone = and_(executions.c.died < FOREVER, executions.c.deleted_at.is_not(None))
    theirs = select(executions.c.identity).where(executions.c.account_id == account_id, gone)
    return frozenset(await connection.scalars(theirs))


async def note_deletion(connection: WriteConnection, claim: Claim, execution_id: UUID, at: datetime) -> None:
    """Say that a person deleted an execution, which dies in the claimed generation."""
    it = and_(executions.c.account_id == claim.account_id, executions.c.id == execution_id)
    dying = and_(it, executions.c.died == claim.generation)
    await connection.execute(update(executions).where(dying).values(deleted_at=at))
