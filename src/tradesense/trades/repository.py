"""Trades and executions in SQL, each query scoped to its user and to what counts now."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Select, Table, and_, func, literal, or_, select, tuple_

from tradesense.db.engine import ReadConnection
from tradesense.db.generations import visible
from tradesense.db.tables import accounts, books, executions, instruments, trades
from tradesense.db.types import UtcDateTime
from tradesense.domain.executions import ExecutionId, ExecutionKind, Side
from tradesense.domain.filters import SIGNS, Result, Status
from tradesense.domain.instruments import AssetClass
from tradesense.domain.trades import Direction, TradeId
from tradesense.http.authentication import UserId
from tradesense.http.paging import After
from tradesense.journal.repository import trades_tagged

STILL_OPEN: Final = datetime(2199, 12, 31, tzinfo=UTC)
"""Where an open trade stands in the order of closing: after all that are closed."""


class Sort(StrEnum):
    """The orders of the list of trades; `-` is downwards."""

    OPENED = "opened_at"
    OPENED_DOWN = "-opened_at"
    CLOSED = "closed_at"
    CLOSED_DOWN = "-closed_at"
    NET = "net_pnl"
    NET_DOWN = "-net_pnl"
    QUANTITY = "quantity"
    QUANTITY_DOWN = "-quantity"

    @property
    def descends(self) -> bool:
        """Whether the greatest comes first."""
        return self.value.startswith("-")


@dataclass(frozen=True, slots=True)
class TradeFilter:
    """Which trades to list; None asks for nothing.

    `first` and `before` bound the time of closing, or, of a trade that is open, of opening.
    """

    account: UUID | None = None
    symbol: str | None = None
    direction: Direction | None = None
    tag: str | None = None
    result: Result | None = None
    status: Status | None = None
    first: datetime | None = None
    before: datetime | None = None


@dataclass(frozen=True, slots=True)
class ExecutionFilter:
    """Which executions to list; None asks for nothing."""

    account: UUID | None = None
    symbol: str | None = None
    first: datetime | None = None
    before: datetime | None = None


class TradeRow(NamedTuple):
    """A trade with what its book knows."""

    id: TradeId
    account_id: UUID
    account: str
    book_id: int
    symbol: str
    asset_class: AssetClass
    underlying: str | None
    multiplier: Decimal
    currency: str
    direction: Direction
    anchor: ExecutionId
    first: bytes
    last: bytes
    opened_at: datetime
    closed_at: datetime | None
    max_quantity: Decimal
    entry_quantity: Decimal
    entry_value: Decimal
    exit_quantity: Decimal
    exit_value: Decimal
    open_quantity: Decimal
    gross: Decimal
    costs: Decimal
    net: Decimal
    open_costs: Decimal
    executions: int


class ExecutionRow(NamedTuple):
    """An execution with what its book knows."""

    id: ExecutionId
    account_id: UUID
    account: str
    symbol: str
    asset_class: AssetClass
    multiplier: Decimal
    currency: str
    side: Side
    kind: ExecutionKind
    quantity: Decimal
    price: Decimal
    commission: Decimal
    fees: Decimal
    at: datetime
    local_time: str
    zone: str
    broker: str


class Order(NamedTuple):
    """An order of trades: the expression, and a trade's value in it, which a cursor carries."""

    by: ColumnElement[Any]
    value: Callable[[TradeRow], Any]
    kind: type


_OPENED: Final = Order(trades.c.opened_at, lambda row: row.opened_at, datetime)
_CLOSED: Final = Order(
    func.coalesce(trades.c.closed_at, literal(STILL_OPEN, UtcDateTime)),
    lambda row: row.closed_at or STILL_OPEN,
    datetime,
)
_NET: Final = Order(trades.c.net_sort, lambda row: float(row.net), float)
_QUANTITY: Final = Order(trades.c.quantity_sort, lambda row: float(row.max_quantity), float)
ORDERS: Final = {
    Sort.OPENED: _OPENED,
    Sort.OPENED_DOWN: _OPENED,
    Sort.CLOSED: _CLOSED,
    Sort.CLOSED_DOWN: _CLOSED,
    Sort.NET: _NET,
    Sort.NET_DOWN: _NET,
    Sort.QUANTITY: _QUANTITY,
    Sort.QUANTITY_DOWN: _QUANTITY,
}


async def list_trades(
    connection: ReadConnection,
    user: UserId,
    wanted: TradeFilter,
    sort: Sort,
    limit: int,
    after: After[Any] | None = None,
) -> list[TradeRow]:
    """The user's trades that the filter asks for, at most `limit` of them, those after a place in the order."""
    order = ORDERS[sort].by
    query = _trades(user).where(*_conditions(user, wanted))
    if after is not None:
        place = tuple_(order, trades.c.id)
        bound = tuple_(literal(after.value, order.type), literal(after.id, trades.c.id.type))
        query = query.where(place < bound if sort.descends else place > bound)
    directed = (order.desc(), trades.c.id.desc()) if sort.descends else (order, trades.c.id)
    return [TradeRow(*row) for row in await connection.execute(query.order_by(*directed).limit(limit))]


async def find_trade(connection: ReadConnection, user: UserId, trade: UUID) -> TradeRow | None:
    """One of the user's trades."""
    row = (await connection.execute(_trades(user).where(trades.c.id == trade))).one_or_none()
    return None if row is None else TradeRow(*row)


def _trades(user: UserId) -> Select[Any]:
    own = (trades.c[name] for name in TradeRow._fields[9:])
    about = (trades.c.book_id, instruments.c.symbol, instruments.c.asset_class, instruments.c.underlying)
    return _shown(user, trades, *about, books.c.multiplier, instruments.c.currency, *own)


def _executions(user: UserId) -> Select[Any]:
    own = (executions.c[name] for name in ExecutionRow._fields[7:])
    about = (instruments.c.symbol, instruments.c.asset_class, books.c.multiplier, instruments.c.currency)
    return _shown(user, executions, *about, *own).where(executions.c.deleted_at.is_(None))


def _shown(user: UserId, rows: Table[Any], *columns: ColumnElement[Any]) -> Select[Any]:
    """The user's rows that count: their id and account, then the columns, also of book and instrument."""
    return (
        select(rows.c.id, rows.c.account_id, accounts.c.name.label("account"), *columns)
        .select_from(rows)
        .join(accounts, accounts.c.id == rows.c.account_id)
        .join(books, books.c.id == rows.c.book_id)
        .join(instruments, instruments.c.id == books.c.instrument_id)
        .where(accounts.c.user_id == user, accounts.c.deleted_at.is_(None), visible(rows))
    )


def _conditions(user: UserId, wanted: TradeFilter) -> list[ColumnElement[bool]]:
    when = func.coalesce(trades.c.closed_at, trades.c.opened_at)
    asked: list[tuple[object, Callable[[], ColumnElement[bool]]]] = [
        (wanted.account, lambda: trades.c.account_id == wanted.account),
        (wanted.symbol, lambda: instruments.c.symbol == wanted.symbol),
        (wanted.direction, lambda: trades.c.direction == wanted.direction),
        (wanted.tag, lambda: trades.c.id.in_(trades_tagged(user, wanted.tag or ""))),
        (wanted.result, lambda: _ended(wanted.result)),
        (wanted.status, lambda: (trades.c.closed_at.is_(None)) == (wanted.status is Status.OPEN)),
        (wanted.first, lambda: when >= literal(wanted.first, UtcDateTime)),
        (wanted.before, lambda: when < literal(wanted.before, UtcDateTime)),
    ]
    return [condition() for value, condition in asked if value is not None]


def _ended(result: Result | None) -> ColumnElement[bool]:
    sign = 0 if result is None else SIGNS[result]
    net = trades.c.net_sort
    return and_(trades.c.closed_at.is_not(None), net > 0 if sign > 0 else net < 0 if sign < 0 else net == 0)


async def executions_of(connection: ReadConnection, user: UserId, trade: TradeRow) -> list[ExecutionRow]:
    """The executions that a trade covers, in its book's order."""
    query = _executions(user).where(
        executions.c.book_id == trade.book_id, executions.c.order_key.between(trade.first, trade.last)
    )
    return [ExecutionRow(*row) for row in await connection.execute(query.order_by(executions.c.order_key))]


async def list_executions(
    connection: ReadConnection,
    user: UserId,
    wanted: ExecutionFilter,
    limit: int,
    after: After[datetime] | None = None,
) -> list[ExecutionRow]:
    """The user's executions that the filter asks for, newest first, at most `limit` after a place."""
    at = executions.c.at
    query = _executions(user).order_by(at.desc(), executions.c.id.desc()).limit(limit)
    if wanted.account is not None:
        query = query.where(executions.c.account_id == wanted.account)
    if wanted.symbol is not None:
        query = query.where(instruments.c.symbol == wanted.symbol)
    if wanted.first is not None:
        query = query.where(at >= wanted.first)
    if wanted.before is not None:
        query = query.where(at < wanted.before)
    if after is not None:
        query = query.where(or_(at < after.value, and_(at == after.value, executions.c.id < after.id)))
    return [ExecutionRow(*row) for row in await connection.execute(query)]


async def find_execution(connection: ReadConnection, user: UserId, execution: UUID) -> ExecutionRow | None:
    """One of the user's executions."""
    row = (await connection.execute(_executions(user).where(executions.c.id == execution))).one_or_none()
    return None if row is None else ExecutionRow(*row)
