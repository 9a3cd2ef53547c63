"""Open positions in SQL, scoped to their user and to what counts now."""

from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Integer, Select, and_, bindparam, or_, select

from tradesense.db.engine import ReadConnection
from tradesense.db.generations import USER, visible
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
_FILTERED: Final[dict[str, ColumnElement[Any]]] = {
    "account": accounts.c.id,
    "symbol": instruments.c.symbol,
    "asset_class": instruments.c.asset_class,
    "currency": instruments.c.currency,
}


async def list_positions(
    connection: ReadConnection, user: UserId, wanted: PositionFilter, limit: int, after: After[datetime] | None = None
) -> list[Position]:
    """The user's open positions that the filter asks for, the latest first, at most `limit`, those after a place."""
    asked = {name: value for name, value in asdict(wanted).items() if value is not None}
    place = {} if after is None else {"after": after.value, "after_id": after.id}
    query = _positions(frozenset(asked), follows=after is not None)
    rows = await connection.execute(query, {"user": user, "limit": limit, **asked, **place})
    return [Position(*row) for row in rows]


@lru_cache(maxsize=64)
def _positions(named: frozenset[str], *, follows: bool) -> Select[Any]:
    """The statement of `list_positions` for filters that name these; building it takes longer than running it."""
    opened, after = trades.c.opened_at, bindparam("after", type_=trades.c.opened_at.type)
    query: Select[Any] = (
        select(*(_COLUMNS[name] for name in Position._fields))
        .select_from(accounts)
        .join(trades, and_(trades.c.account_id == accounts.c.id, visible(trades)))
        .join(books, books.c.id == trades.c.book_id)
        .join(instruments, instruments.c.id == books.c.instrument_id)
        .where(accounts.c.user_id == USER, accounts.c.deleted_at.is_(None), trades.c.closed_at.is_(None))
        .where(*(_FILTERED[name] == bindparam(name) for name in sorted(named)))
        .order_by(opened.desc(), trades.c.id.desc())
        .limit(bindparam("limit", type_=Integer))
    )
    if follows:
        query = query.where(or_(opened < after, and_(opened == after, trades.c.id < bindparam("after_id"))))
    return query
