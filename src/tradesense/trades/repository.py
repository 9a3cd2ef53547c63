"""Trades and executions in SQL, each query scoped to its user and to what counts now."""

from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from functools import cache, lru_cache
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Integer, Select, Table, and_, bindparam, func, literal, or_, select, tuple_

from tradesense.db.engine import ReadConnection
from tradesense.db.generations import USER, visible
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
    asked = asdict(wanted)
    named = frozenset(name for name, value in asked.items() if value is not None)
    query = _listing(sort, named, wanted.result, wanted.status, follows=after is not None)
    place = {} if after is None else {"after": after.value, "after_id": after.id}
    rows = await connection.execute(query, {"user": user, "limit": limit, **asked, **place})
    return [TradeRow(*row) for row in rows]


@lru_cache(maxsize=128)
def _listing(
    sort: Sort, named: frozenset[str], result: Result | None, status: Status | None, *, follows: bool
) -> Select[Any]:
    """The statement of `list_trades` for filters that name these; building it takes longer than carrying it out."""
    order = ORDERS[sort].by
    query = _trades().where(*_conditions(named, result, status))
    if follows:
        place = tuple_(order, trades.c.id)
        bound = tuple_(bindparam("after", type_=order.type), bindparam("after_id", type_=trades.c.id.type))
        query = query.where(place < bound if sort.descends else place > bound)
    directed = (order.desc(), trades.c.id.desc()) if sort.descends else (order, trades.c.id)
    return query.order_by(*directed).limit(bindparam("limit", type_=Integer))


async def find_trade(connection: ReadConnection, user: UserId, trade: UUID) -> TradeRow | None:
    """One of the user's trades."""
    row = (await connection.execute(_one_trade(), {"user": user, "trade": trade})).one_or_none()
    return None if row is None else TradeRow(*row)


@cache
def _one_trade() -> Select[Any]:
    return _trades().where(trades.c.id == bindparam("trade"))


def _trades() -> Select[Any]:
    own = (trades.c[name] for name in TradeRow._fields[9:])
    about = (trades.c.book_id, instruments.c.symbol, instruments.c.asset_class, instruments.c.underlying)
    return _shown(trades, *about, books.c.multiplier, instruments.c.currency, *own)


def _executions() -> Select[Any]:
    own = (executions.c[name] for name in ExecutionRow._fields[7:])
    about = (instruments.c.symbol, instruments.c.asset_class, books.c.multiplier, instruments.c.currency)
    return _shown(executions, *about, *own).where(executions.c.deleted_at.is_(None))


def _shown(rows: Table[Any], *columns: ColumnElement[Any]) -> Select[Any]:
    """The rows that count of the user in `USER`: id and account, then the columns, also of book and instrument."""
    return (
        select(rows.c.id, rows.c.account_id, accounts.c.name.label("account"), *columns)
        .select_from(rows)
        .join(accounts, accounts.c.id == rows.c.account_id)
        .join(books, books.c.id == rows.c.book_id)
        .join(instruments, instruments.c.id == books.c.instrument_id)
        .where(accounts.c.user_id == USER, accounts.c.deleted_at.is_(None), visible(rows))
    )


def _conditions(named: Collection[str], result: Result | None, status: Status | None) -> list[ColumnElement[bool]]:
    when = func.coalesce(trades.c.closed_at, trades.c.opened_at)
    known: dict[str, Callable[[], ColumnElement[bool]]] = {
        "account": lambda: trades.c.account_id == bindparam("account"),
        "symbol": lambda: instruments.c.symbol == bindparam("symbol"),
        "direction": lambda: trades.c.direction == bindparam("direction"),
        "tag": lambda: trades.c.id.in_(trades_tagged()),
        "result": lambda: _ended(result),
        "status": lambda: (trades.c.closed_at.is_(None)) == (status is Status.OPEN),
        "first": lambda: when >= bindparam("first", type_=UtcDateTime),
        "before": lambda: when < bindparam("before", type_=UtcDateTime),
    }
    return [condition() for name, condition in known.items() if name in named]


def _ended(result: Result | None) -> ColumnElement[bool]:
    sign = 0 if result is None else SIGNS[result]
    net = trades.c.net_sort
    return and_(trades.c.closed_at.is_not(None), net > 0 if sign > 0 else net < 0 if sign < 0 else net == 0)


async def executions_of(connection: ReadConnection, user: UserId, trade: TradeRow) -> list[ExecutionRow]:
    """The executions that a trade covers, in its book's order."""
    covered = {"book": trade.book_id, "first": trade.first, "last": trade.last}
    return [ExecutionRow(*row) for row in await connection.execute(_executions_of(), {"user": user, **covered})]


@cache
def _executions_of() -> Select[Any]:
    key = executions.c.order_key
    covered = and_(executions.c.book_id == bindparam("book"), key.between(bindparam("first"), bindparam("last")))
    return _executions().where(covered).order_by(key)


async def list_executions(
    connection: ReadConnection,
    user: UserId,
    wanted: ExecutionFilter,
    limit: int,
    after: After[datetime] | None = None,
) -> list[ExecutionRow]:
    """The user's executions that the filter asks for, newest first, at most `limit` after a place."""
    at = executions.c.at
    query = _executions().order_by(at.desc(), executions.c.id.desc()).limit(limit)
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
    return [ExecutionRow(*row) for row in await connection.execute(query, {"user": user})]


async def find_execution(connection: ReadConnection, user: UserId, execution: UUID) -> ExecutionRow | None:
    """One of the user's executions."""
    query = _executions().where(executions.c.id == execution)
    row = (await connection.execute(query, {"user": user})).one_or_none()
    return None if row is None else ExecutionRow(*row)
