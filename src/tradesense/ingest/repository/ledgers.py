"""What is made of executions: reading them in order, and replacing the segments and trades of a book."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import and_, literal, select, tuple_, update

from tradesense.db.bulk import Bulk, RawRows
from tradesense.db.engine import ReadConnection, WriteConnection
from tradesense.db.generations import Claim, visible_at
from tradesense.db.tables import FOREVER, books, executions, instruments, segments, trades
from tradesense.domain.contracts import overriding

PAGE: Final = 4000
"""Executions that are read at once."""
BOOKS_AT_ONCE: Final = 400
"""Books that one statement names."""

EXECUTION: Final = (
    executions.c.book_id,
    executions.c.id,
    executions.c.order_key,
    executions.c.at,
    executions.c.side,
    executions.c.quantity,
    executions.c.price,
    executions.c.commission,
    executions.c.fees,
    executions.c.kind,
)
_TRADE: Final = (
    "book_id",
    "segment",
    "id",
    "anchor",
    "direction",
    "opened_at",
    "closed_at",
    "first",
    "last",
    "max_quantity",
    "entry_quantity",
    "entry_value",
    "exit_quantity",
    "exit_value",
    "open_quantity",
    "open_value",
    "gross",
    "costs",
    "open_costs",
    "executions",
    "net",
)
_SEGMENT: Final = ("book_id", "ordinal", "first", "last", "executions", "blob")


class LedgerRows:
    """The tables of trades and segments, for rows in the driver's values; and executions, as the driver has them."""

    def __init__(self, dialect: str) -> None:
        self.trades = Bulk(trades, ("born", "account_id"), _TRADE, dialect)
        self.segments = Bulk(segments, ("born", "account_id"), _SEGMENT, dialect)
        self.executions = RawRows(EXECUTION, dialect)


class Position(NamedTuple):
    """Where a page of executions ended."""

    book_id: int
    order_key: bytes


class Segment(NamedTuple):
    """A segment as it stands now."""

    book_id: int
    ordinal: int
    first: bytes
    last: bytes


async def multipliers(
    connection: ReadConnection, book_ids: Sequence[int], overrides: Mapping[str, Decimal]
) -> dict[int, Decimal]:
    """The multipliers of books: the account's own for the contract root where it has one."""
    found: dict[int, Decimal] = {}
    for some in _groups(book_ids):
        rows = await connection.execute(
            select(books.c.id, books.c.multiplier, instruments.c.asset_class, instruments.c.root)
            .join(instruments, instruments.c.id == books.c.instrument_id)
            .where(books.c.id.in_(some))
        )
        for book, multiplier, asset_class, root in rows:
            found[book] = overriding(asset_class, root, overrides) or multiplier
    return found


async def segments_of(connection: ReadConnection, claim: Claim, book_ids: Sequence[int]) -> dict[int, list[Segment]]:
    """The segments of books that the generation before the claimed one shows, in order."""
    found: dict[int, list[Segment]] = {}
    columns = (segments.c.book_id, segments.c.ordinal, segments.c.first, segments.c.last)
    now = visible_at(segments, claim.generation - 1)
    for some in _groups(book_ids):
        rows = await connection.execute(
            select(*columns).where(segments.c.book_id.in_(some), now).order_by(segments.c.book_id, segments.c.ordinal)
        )
        for row in rows:
            found.setdefault(row.book_id, []).append(Segment(*row))
    return found


async def executions_of(
    connection: ReadConnection, rows: LedgerRows, claim: Claim, book_ids: Sequence[int], after: Position
) -> Sequence[Any]:
    """A page of the executions of at most `BOOKS_AT_ONCE` books, as the claimed generation has them, in order; raw."""
    position = tuple_(executions.c.book_id, executions.c.order_key)
    page = (
        select(*rows.executions.columns)
        .where(
            executions.c.book_id.in_(book_ids),
            position > tuple_(literal(after.book_id), literal(after.order_key)),
            visible_at(executions, claim.generation),
        )
        .order_by(executions.c.book_id, executions.c.order_key)
        .limit(PAGE)
    )
    return (await connection.execute(page)).all()


async def books_of_account(connection: ReadConnection, account_id: UUID) -> list[int]:
    """All books of an account."""
    theirs = select(books.c.id).where(books.c.account_id == account_id)
    return list(await connection.scalars(theirs.order_by(books.c.id)))


async def bury(connection: WriteConnection, claim: Claim, segment: Segment) -> None:
    """Let a segment and its trades die in the claimed generation."""
    of_segment = and_(segments.c.book_id == segment.book_id, segments.c.ordinal == segment.ordinal)
    of_trades = and_(trades.c.book_id == segment.book_id, trades.c.first.between(segment.first, segment.last))
    for table, where in ((segments, of_segment), (trades, of_trades)):
        replaced = and_(where, table.c.born < claim.generation, table.c.died == FOREVER)
        await connection.execute(update(table).where(replaced).values(died=claim.generation))


def _groups(keys: Sequence[int]) -> Iterable[Sequence[int]]:
    return (keys[first : first + BOOKS_AT_ONCE] for first in range(0, len(keys), BOOKS_AT_ONCE))
