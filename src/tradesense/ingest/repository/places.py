"""Where executions belong: a user's accounts, their instruments, and the book of each account and instrument."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import and_, bindparam, delete, exists, func, insert, select, update

from keel.ids import uuid7
from tradesense.db.engine import ReadConnection, WriteConnection
from tradesense.db.generations import Owner, visible_at
from tradesense.db.tables import (
    ImportStatus,
    accounts,
    books,
    executions,
    imports,
    instrument_aliases,
    instruments,
    users,
)
from tradesense.domain import money
from tradesense.domain.contracts import overriding, unaffected
from tradesense.domain.instruments import Instrument, InstrumentKey
from tradesense.domain.matching import Method
from tradesense.http.authentication import UserId

_AT_ONCE = 400
"""Keys that one statement looks up."""


@dataclass(frozen=True, slots=True)
class Account:
    """What importing needs to know of an account."""

    id: UUID
    user_id: UserId
    name: str
    broker: str | None
    label: str | None
    currency: str
    timezone: str | None
    method: Method
    multipliers: Mapping[str, Decimal]
    formats: Sequence[str]
    generation: int


class Book(NamedTuple):
    """The book of an instrument in an account; its multiplier `is_new` where it counts from the next generation on."""

    id: int
    multiplier: Decimal
    is_new: bool = False


_ACCOUNT = (
    accounts.c.id,
    accounts.c.user_id,
    accounts.c.name,
    accounts.c.broker,
    accounts.c.label,
    accounts.c.currency,
    accounts.c.timezone,
    accounts.c.method,
    accounts.c.multipliers,
    accounts.c.formats,
    accounts.c.generation,
)


def _account(row: Any) -> Account:  # noqa: ANN401 - a row of the columns above
    multipliers = {root: Decimal(value) for root, value in (row.multipliers or {}).items()}
    return Account(**{**row._mapping, "method": Method(row.method), "multipliers": multipliers})  # noqa: SLF001


async def find_account(
    connection: ReadConnection, user_id: UserId, account_id: UUID, *, hold: bool = False
) -> Account | None:
    """One of a user's accounts; with `hold` nobody else changes it before the transaction ends."""
    theirs = and_(accounts.c.id == account_id, accounts.c.user_id == user_id, accounts.c.deleted_at.is_(None))
    query = select(*_ACCOUNT).where(theirs)
    row = (await connection.execute(query.with_for_update() if hold else query)).one_or_none()
    return None if row is None else _account(row)


async def accounts_of_broker(connection: ReadConnection, user_id: UserId, broker: str) -> list[Account]:
    """A user's accounts at a broker, oldest first."""
    theirs = and_(accounts.c.user_id == user_id, accounts.c.deleted_at.is_(None))
    rows = await connection.execute(
        select(*_ACCOUNT)
        .where(theirs, func.lower(accounts.c.broker) == broker.lower())
        .order_by(accounts.c.created_at, accounts.c.id)
    )
    return [_account(row) for row in rows]


async def is_imported_into(connection: ReadConnection, account_ids: Sequence[UUID]) -> bool:
    """Whether an import has claimed one of some accounts."""
    running = select(imports.c.claimed_by).where(imports.c.status == ImportStatus.RUNNING)
    claimed = and_(accounts.c.id.in_(account_ids), accounts.c.claimed_by.in_(running))
    return (await connection.execute(select(accounts.c.id).where(claimed).limit(1))).first() is not None


async def user_zone(connection: ReadConnection, user_id: UserId) -> str:
    """The time zone of a user."""
    return (await connection.execute(select(users.c.timezone).where(users.c.id == user_id))).scalar_one()


async def add_account(
    connection: WriteConnection,
    user_id: UserId,
    *,
    name: str,
    broker: str,
    label: str | None,
    currency: str,
    at: datetime,
) -> UUID:
    """Create an account that nobody sees before `show_accounts`."""
    account_id = uuid7()
    await connection.execute(
        insert(accounts).values(
            id=account_id,
            user_id=user_id,
            name=name,
            broker=broker,
            label=label,
            currency=currency,
            created_at=at,
            deleted_at=at,
        )
    )
    return account_id


async def get_unshown(connection: ReadConnection, account_id: UUID) -> Account:
    """An account that `add_account` created in this transaction."""
    return _account((await connection.execute(select(*_ACCOUNT).where(accounts.c.id == account_id))).one())


async def set_label(connection: WriteConnection, account_id: UUID, label: str) -> None:
    """Note what the broker's files call an account."""
    await connection.execute(update(accounts).where(accounts.c.id == account_id).values(label=label))


async def show_accounts(connection: WriteConnection, account_ids: Iterable[UUID]) -> None:
    """Let accounts that `add_account` created be seen."""
    await connection.execute(update(accounts).where(accounts.c.id.in_(list(account_ids))).values(deleted_at=None))


async def drop_unshown(connection: WriteConnection, owner: Owner) -> None:
    """Delete what `add_account` created for an owner's claims and `show_accounts` did not show."""
    unshown = and_(
        accounts.c.claimed_by == owner, accounts.c.deleted_at == accounts.c.created_at, accounts.c.generation == 0
    )
    await connection.execute(delete(accounts).where(unshown))


async def note_format(connection: WriteConnection, account: Account, name: str) -> None:
    """Remember that an account has executions of a file format."""
    if name not in account.formats:
        formats = [*account.formats, name]
        await connection.execute(update(accounts).where(accounts.c.id == account.id).values(formats=formats))


async def set_multipliers(connection: WriteConnection, account: Account) -> None:
    """Give the books of an account the multipliers that it has for their contract roots."""
    for root, multiplier in account.multipliers.items():
        of_root = select(instruments.c.id).where(
            instruments.c.user_id == account.user_id,
            instruments.c.root == root,
            instruments.c.asset_class != unaffected(root),
        )
        theirs = and_(books.c.account_id == account.id, books.c.instrument_id.in_(of_root))
        await connection.execute(update(books).where(theirs).values(multiplier=multiplier))


def key_text(key: InstrumentKey) -> str:
    """The canonical text of a key, by which an instrument's row is found."""
    parts = (
        key.asset_class.value,
        key.root,
        key.expiry.isoformat() if key.expiry else "",
        money.text(key.strike) if key.strike is not None else "",
        key.right.value if key.right else "",
        key.currency,
    )
    return "|".join(parts)


async def books_of(
    connection: WriteConnection, account: Account, generation: int, wanted: Mapping[str, Instrument]
) -> dict[str, Book]:
    """The books of instruments (by key) in an account, each created where it is missing, with its instrument.

    One without executions in the generation has the multiplier of what comes into it now: see `note_multipliers`.
    Others of the user's writers wait until the transaction ends, so that no instrument is created twice.
    """
    await connection.execute(select(users.c.id).where(users.c.id == account.user_id).with_for_update())
    ids = await _instruments(connection, account.user_id, wanted)
    multipliers = {
        key: overriding(instrument.asset_class, instrument.root, account.multipliers) or instrument.multiplier
        for key, instrument in wanted.items()
    }
    found = await _find_books(connection, account.id, ids)
    missing = [
        {"account_id": account.id, "instrument_id": ids[key], "multiplier": multiplier}
        for key, multiplier in multipliers.items()
        if key not in found
    ]
    if missing:
        await connection.execute(insert(books), missing)
        found = await _find_books(connection, account.id, ids)
    others = {book.id: key for key, book in found.items() if book.multiplier != multipliers[key]}
    for book_id in await _empty_books(connection, generation, list(others)):
        found[others[book_id]] = Book(book_id, multipliers[others[book_id]], is_new=True)
    return found


async def note_multipliers(connection: WriteConnection, found: Iterable[Book]) -> None:
    """Note new multipliers of books, in the transaction that publishes what has come into them."""
    changed = [{"book": book.id, "new": book.multiplier} for book in found if book.is_new]
    if changed:
        of_book = update(books).where(books.c.id == bindparam("book"))
        await connection.execute(of_book.values(multiplier=bindparam("new")), changed)


async def _empty_books(connection: ReadConnection, generation: int, book_ids: Sequence[int]) -> list[int]:
    is_any = exists().where(executions.c.book_id == books.c.id, visible_at(executions, generation))
    groups = [select(books.c.id).where(books.c.id.in_(some), ~is_any) for some in _groups(book_ids)]
    return [found for group in groups for found in await connection.scalars(group)]


async def _find_books(connection: ReadConnection, account_id: UUID, ids: Mapping[str, UUID]) -> dict[str, Book]:
    keys = {instrument: key for key, instrument in ids.items()}
    found = {}
    for some in _groups(list(keys)):
        rows = await connection.execute(
            select(books.c.instrument_id, books.c.id, books.c.multiplier).where(
                books.c.account_id == account_id, books.c.instrument_id.in_(some)
            )
        )
        found.update({keys[row.instrument_id]: Book(row.id, row.multiplier) for row in rows})
    return found


async def _instruments(
    connection: WriteConnection, user_id: UserId, wanted: Mapping[str, Instrument]
) -> dict[str, UUID]:
    ids: dict[str, UUID] = {}
    known: set[tuple[UUID, str]] = set()
    for some in _groups(list(wanted)):
        theirs = and_(instruments.c.user_id == user_id, instruments.c.key.in_(some))
        rows = await connection.execute(
            select(instruments.c.key, instruments.c.id, instrument_aliases.c.symbol)
            .outerjoin(instrument_aliases, instrument_aliases.c.instrument_id == instruments.c.id)
            .where(theirs)
        )
        for row in rows:
            ids[row.key] = row.id
            known.add((row.id, row.symbol))
    new = {key: uuid7() for key in wanted if key not in ids}
    if new:
        await connection.execute(
            insert(instruments), [_instrument_row(user_id, new[key], key, wanted[key]) for key in new]
        )
    ids |= new
    aliases = [
        {"user_id": user_id, "symbol": instrument.symbol, "instrument_id": ids[key]}
        for key, instrument in wanted.items()
        if (ids[key], instrument.symbol) not in known
    ]
    if aliases:
        await connection.execute(insert(instrument_aliases), aliases)
    return ids


def _instrument_row(user_id: UserId, row_id: UUID, key: str, instrument: Instrument) -> dict[str, Any]:
    return {
        "id": row_id,
        "user_id": user_id,
        "key": key,
        "symbol": instrument.symbol,
        "asset_class": instrument.asset_class,
        "root": instrument.root,
        "underlying": instrument.underlying,
        "expiry": instrument.expiry,
        "strike": instrument.strike,
        "right": instrument.right,
        "currency": instrument.currency,
        "isin": instrument.isin,
    }


def _groups(keys: Sequence[Any]) -> Iterable[Sequence[Any]]:
    return (keys[first : first + _AT_ONCE] for first in range(0, len(keys), _AT_ONCE))
