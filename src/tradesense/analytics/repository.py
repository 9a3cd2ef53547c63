"""What statistics are made of, in SQL, each query scoped to its user and to what counts now.

Rows come as the driver gives them: decoding is work for a thread, not for the event loop.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from functools import cache, lru_cache
from itertools import groupby
from operator import itemgetter
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, bindparam, func, select

from tradesense.brokers.contract import CashKind
from tradesense.db.bulk import RawRows
from tradesense.db.engine import ReadConnection
from tradesense.db.generations import USER, visible
from tradesense.db.tables import accounts, books, cash_movements, instruments, segments, users
from tradesense.domain.instruments import AssetClass
from tradesense.domain.ledger import Book, Ledger, join
from tradesense.http.authentication import UserId

FETCHED_AT_ONCE: Final = 2_000
"""Segments that one callback of the event loop takes in, some 5 ms."""

_FLOWS: Final = (CashKind.DEPOSIT, CashKind.WITHDRAWAL)
_PLACE: Final = itemgetter(0, 1)
_BOOK: Final = itemgetter(0)


class Account(NamedTuple):
    """What statistics need to know of an account."""

    id: UUID
    name: str
    currency: str
    starting_balance: Decimal | None


class Flow(NamedTuple):
    """Money that came in from outside (positive) or went out."""

    at: datetime
    amount: Decimal
    currency: str


class Versions(NamedTuple):
    """The version of a user's data, and the one that the last write has made which touched the ledger."""

    data: int
    ledger: int


@dataclass(frozen=True, slots=True)
class Selection:
    """Which books to read; None asks for nothing."""

    accounts: frozenset[UUID] | None = None
    symbols: frozenset[str] | None = None
    underlyings: frozenset[str] | None = None
    asset_classes: frozenset[AssetClass] | None = None
    currency: str | None = None

    def values(self) -> dict[str, list[Any]]:
        """What is asked for, by name."""
        asked = {each.name: getattr(self, each.name) for each in fields(self)}
        return {
            name: [value] if name == "currency" else sorted(value) for name, value in asked.items() if value is not None
        }


@dataclass(frozen=True, slots=True)
class Segments:
    """The segments of some books, not yet decoded."""

    rows: Sequence[Sequence[Any]]
    dialect: str

    def ledger(self) -> Ledger:
        """The ledger of the books. Takes CPU time, some 40 ms for a million executions; raises `UnreadableSegment`."""
        rows = sorted(_segment_rows(self.dialect).parse(self.rows), key=_PLACE)
        return join(map(_book, (list(group) for _, group in groupby(rows, _BOOK))))


def _book(rows: list[tuple[Any, ...]]) -> tuple[Book, Iterable[bytes]]:
    _, _, _, account, symbol, underlying, root, asset_class, currency = rows[0]
    return Book(str(account), symbol, underlying or root, asset_class, currency), [row[2] for row in rows]


@cache
def _segment_rows(dialect: str) -> RawRows:
    columns = (
        segments.c.book_id,
        segments.c.ordinal,
        segments.c.blob,
        segments.c.account_id,
        instruments.c.symbol,
        instruments.c.underlying,
        instruments.c.root,
        instruments.c.asset_class,
        instruments.c.currency,
    )
    return RawRows(columns, dialect)


async def read_segments(connection: ReadConnection, user: UserId, wanted: Selection) -> Segments:
    """The segments that count of those of the user's books that are asked for."""
    dialect, values = connection.dialect.name, wanted.values()
    result = await connection.stream(_segments(dialect, frozenset(values)), {"user": user, **values})
    return Segments([row async for part in result.partitions() for row in part], dialect)


@lru_cache(maxsize=64)
def _segments(dialect: str, named: frozenset[str]) -> Select[Any]:
    """The statement of `read_segments` for selections that name these; building it takes longer than running it."""
    query: Select[Any] = (
        select(*_segment_rows(dialect).columns)
        .select_from(accounts)
        .join(segments, and_(segments.c.account_id == accounts.c.id, visible(segments)))
        .join(books, books.c.id == segments.c.book_id)
        .join(instruments, instruments.c.id == books.c.instrument_id)
        .where(*_own(narrowed="accounts" in named), *_of_instrument(named))
    )
    return query.execution_options(yield_per=FETCHED_AT_ONCE)


def _own(*, narrowed: bool) -> list[ColumnElement[bool]]:
    own = [accounts.c.user_id == USER, accounts.c.deleted_at.is_(None)]
    return [*own, _is_any(accounts.c.id, "accounts")] if narrowed else own


def _of_instrument(named: Collection[str]) -> list[ColumnElement[bool]]:
    known: dict[str, ColumnElement[Any]] = {
        "symbols": instruments.c.symbol,
        "underlyings": func.coalesce(instruments.c.underlying, instruments.c.root),
        "asset_classes": instruments.c.asset_class,
        "currency": instruments.c.currency,
    }
    return [_is_any(column, name) for name, column in known.items() if name in named]


def _is_any(column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    return column.in_(bindparam(name, expanding=True))


async def list_accounts(connection: ReadConnection, user: UserId, wanted: Selection) -> list[Account]:
    """The user's accounts that are asked for, in whichever currency."""
    query, values = _accounts(narrowed=wanted.accounts is not None), {"user": user, **_narrowed(wanted)}
    return [Account(*row) for row in await connection.execute(query, values)]


@cache
def _accounts(*, narrowed: bool) -> Select[Any]:
    query: Select[Any] = select(*(accounts.c[name] for name in Account._fields)).where(*_own(narrowed=narrowed))
    return query.order_by(accounts.c.id)


async def list_flows(connection: ReadConnection, user: UserId, wanted: Selection) -> list[Flow]:
    """What was paid into the accounts that are asked for, and out of them, in the currency of each account.

    What moves in another currency is no capital of the account: equity is kept in the account's own. Accounts without
    a starting balance have no capital that flows could add to.
    """
    query, values = _flows(narrowed=wanted.accounts is not None), {"user": user, **_narrowed(wanted)}
    return [Flow(*row) for row in await connection.execute(query, values)]


@cache
def _flows(*, narrowed: bool) -> Select[Any]:
    query: Select[Any] = select(*(cash_movements.c[name] for name in Flow._fields))
    return query.join(accounts, and_(accounts.c.id == cash_movements.c.account_id, visible(cash_movements))).where(
        *_own(narrowed=narrowed),
        cash_movements.c.kind.in_([kind.value for kind in _FLOWS]),
        cash_movements.c.currency == accounts.c.currency,
        accounts.c.starting_balance.is_not(None),
    )


def _narrowed(wanted: Selection) -> dict[str, list[UUID]]:
    return {} if wanted.accounts is None else {"accounts": sorted(wanted.accounts)}


async def versions(connection: ReadConnection, user: UserId) -> Versions:
    """The versions of the user's data that this transaction sees."""
    return Versions(*(await connection.execute(_versions(), {"user": user})).one())


@cache
def _versions() -> Select[int, int]:
    return select(users.c.data_version, users.c.ledger_version).where(users.c.id == USER)
