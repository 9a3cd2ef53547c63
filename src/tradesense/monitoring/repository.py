"""What the instance was used for, counted in SQL."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import ColumnElement, and_, func, select
from sqlalchemy.dialects import postgresql, sqlite

from tradesense.db.engine import ReadConnection, WriteConnection
from tradesense.db.generations import visible
from tradesense.db.tables import (
    ImportStatus,
    accounts,
    api_keys,
    books,
    business_days,
    imports,
    instruments,
    sessions,
    trades,
    users,
)
from tradesense.domain import money

UNKNOWN = "unknown"
"""The broker of imports whose file nobody knew."""


@dataclass(frozen=True, slots=True)
class BusinessDay:
    """A day's figures; see `db.tables.business`."""

    day: date
    active_users: int
    imports: Mapping[str, Mapping[str, int]]
    executions: int
    trades: int
    volume: Mapping[str, str]
    computed_at: datetime


async def first_user(connection: ReadConnection) -> datetime | None:
    """When the first user came; None where nobody has."""
    return await connection.scalar(select(func.min(users.c.created_at)))


async def days(connection: ReadConnection, first: date, last: date) -> Sequence[BusinessDay]:
    """The days that have been computed, both ends included, the oldest first."""
    chosen = select(business_days).where(business_days.c.day.between(first, last)).order_by(business_days.c.day)
    return [BusinessDay(**row._mapping) for row in await connection.execute(chosen)]  # noqa: SLF001


async def save(connection: WriteConnection, computed: BusinessDay) -> None:
    """Note a day's figures in place of those that it had; who was active stays as it was first counted."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    row = asdict(computed)
    anew = {name: value for name, value in row.items() if name not in {"day", "active_users"}}
    added = dialect.insert(business_days).values(row)
    await connection.execute(added.on_conflict_do_update(index_elements=["day"], set_=anew))


async def active_users(connection: ReadConnection, begins: datetime, ends: datetime) -> int:
    """Users with a session or an API key that was there before the end and was used after the beginning.

    Only the last use is known: of one that was used later, too, this says that it was used, or could have been.
    """
    seen = [
        select(table.c.user_id).where(table.c.created_at < ends, last >= begins)
        for table, last in ((sessions, sessions.c.last_seen_at), (api_keys, api_keys.c.last_used_at))
    ]
    found = seen[0].union(seen[1]).subquery()
    return await connection.scalar(select(func.count()).select_from(found)) or 0


async def imports_between(
    connection: ReadConnection, begins: datetime, ends: datetime
) -> tuple[dict[str, dict[str, int]], int]:
    """Imports that ended then, by broker and result, and how many executions they brought."""
    ended = and_(imports.c.finished_at >= begins, imports.c.finished_at < ends)
    columns = (imports.c.broker, imports.c.status)
    counted = select(*columns, func.count(), func.sum(imports.c.executions)).where(ended).group_by(*columns)
    by_broker: dict[str, dict[str, int]] = defaultdict(dict)
    executions = 0
    for name, status, count, brought in await connection.execute(counted):
        by_broker[name or UNKNOWN][status.value] = count
        executions += int(brought) if status is ImportStatus.DONE else 0
    return dict(by_broker), executions


async def trades_between(connection: ReadConnection, begins: datetime, ends: datetime) -> tuple[int, dict[str, str]]:
    """Trades that closed then, and the sum of their results without sign, exact, by currency."""
    closed: ColumnElement[bool] = and_(trades.c.closed_at >= begins, trades.c.closed_at < ends)
    chosen = (
        select(instruments.c.currency, trades.c.net)
        .join(accounts, accounts.c.id == trades.c.account_id)
        .join(books, books.c.id == trades.c.book_id)
        .join(instruments, instruments.c.id == books.c.instrument_id)
        .where(closed, visible(trades), accounts.c.deleted_at.is_(None))
    )
    count, volume = 0, defaultdict[str, Decimal](Decimal)
    async for currency, net in await connection.stream(chosen):
        count += 1
        with money.exact():
            volume[currency] += abs(net)
    return count, {currency: money.text(total) for currency, total in sorted(volume.items())}
