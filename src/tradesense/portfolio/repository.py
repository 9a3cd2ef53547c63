"""Open positions in SQL, scoped to their user and to what counts now."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, and_, or_, select

from tradesense.db.engine import ReadConnection
from tradesense.db.generations import visible
from tradesense.db.tables import accounts, books, instruments, trades
from tradesense.domain.instruments import AssetClass
from tradesense.domain.trades import Direction, TradeId
from tradesense.http.authentication import UserId
from tradesense.http.paging import After


class Position(NamedTuple):
    """What one account holds of one instrument: its trade that is open."""

    id: TradeId
    account_id: UUID
    account: str
    symbol: str
    asset_class: AssetClass
    underlying: str | None
    multiplier: Decimal
    currency: str
    direction: Direction
    open_quantity: Decimal
    open_value: Decimal
    open_costs: Decimal
    gross: Decimal
    costs: Decimal
    net: Decimal
    opened_at: datetime
    executions: int


@dataclass(frozen=True, slots=True)
class PositionFilter:
    """Which positions to list; None asks for nothing."""

    account: UUID | None = None
    symbol: str | None = None
    asset_class: AssetClass | None = None
    currency: str | None = None


_COLUMNS: Final[dict[str, ColumnElement[Any]]] = {
    **trades.c,
    "account": accounts.c.name,
    "symbol": instruments.c.symbol,
    "asset_class": instruments.c.asset_class,
    "underlying": instruments.c.underlying,
    "multiplier": books.c.multiplier,
    "currency": instruments.c.currency,
}


async def list_positions(
    connection: ReadConnection, user: UserId, wanted: PositionFilter, limit: int, after: After[datetime] | None = None
) -> list[Position]:
    """The user's open positions that the filter asks for, the latest first, at most `limit`, those after a place."""
    opened = trades.c.opened_at
    query = (
        select(*(_COLUMNS[name] for name in Position._fields))
        .select_from(accounts)
        .join(trades, and_(trades.c.account_id == accounts.c.id, visible(trades)))
        .join(books, books.c.id == trades.c.book_id)
        .join(instruments, instruments.c.id == books.c.instrument_id)
        .where(accounts.c.user_id == user, accounts.c.deleted_at.is_(None), trades.c.closed_at.is_(None))
        .where(*_conditions(wanted))
        .order_by(opened.desc(), trades.c.id.desc())
        .limit(limit)
    )
    if after is not None:
        query = query.where(or_(opened < after.value, and_(opened == after.value, trades.c.id < after.id)))
    return [Position(*row) for row in await connection.execute(query)]


def _conditions(wanted: PositionFilter) -> list[ColumnElement[bool]]:
    asked: list[tuple[ColumnElement[Any], object]] = [
        (accounts.c.id, wanted.account),
        (instruments.c.symbol, wanted.symbol),
        (instruments.c.asset_class, wanted.asset_class),
        (instruments.c.currency, wanted.currency),
    ]
    return [column == value for column, value in asked if value is not None]
