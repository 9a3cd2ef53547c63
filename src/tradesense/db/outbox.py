"""The outbox: each write of a user's data leaves a row, in its own transaction; no copy of an answer outlives that.

So does each end of a session's token, and no copy of the session outlives that.
Who commits a write throws the copies away and marks its row done; where they die in between, the row tells the others.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple, NewType
from uuid import UUID

from sqlalchemy import (
    Boolean,
    Text,
    and_,
    bindparam,
    cast,
    delete,
    exists,
    false,
    func,
    insert,
    select,
    text,
    type_coerce,
    update,
)
from sqlalchemy.sql.elements import ColumnElement

from keel.clock import wall_ns
from tradesense.db.engine import ReadConnection, WriteConnection
from tradesense.db.tables import outbox
from tradesense.db.writes import NOTES, Notes, Touches, Write
from tradesense.domain.local_time import instant

CHANNEL: Final = "tradesense_outbox"
"""Where PostgreSQL tells of new rows; the payload is their origin."""
AT_ONCE: Final = 1000
"""Rows that are read at once, a few ms."""

_OF_NO_DATA: Final = 0

Position = NewType("Position", str)
"""Up to where somebody has read the outbox: PostgreSQL's snapshot of that moment, SQLite's highest id."""


class Glance(NamedTuple):
    """What a reader finds at a glance: where it stands now, whether writes are undone, and whether others have written.

    Nothing is new to a reader that stood nowhere before.
    """

    position: Position
    is_any_undone: bool
    is_any_new: bool


_COLUMNS: Final = (
    outbox.c.id,
    outbox.c.origin,
    outbox.c.user_id,
    outbox.c.accounts,
    outbox.c.touches,
    outbox.c.ended,
    outbox.c.version,
    outbox.c.published,
    outbox.c.import_end,
)
_AFTER_SNAPSHOT: Final = """
    outbox.xid >= txid_snapshot_xmin(CAST(:position AS txid_snapshot))
    AND NOT txid_visible_in_snapshot(outbox.xid, CAST(:position AS txid_snapshot))
"""


async def record(
    connection: WriteConnection, user: UUID, version: int, accounts: Collection[UUID] | None, touches: Touches
) -> None:
    """Note that this transaction makes a version of a user's data. `accounts` are those it concerns; None is all."""
    named = None if accounts is None else [str(each) for each in accounts]
    published = [*_notes(connection).published]
    begun = [(str(account), generation) for account, generation in published] or None
    about = {"user_id": user, "version": version, "accounts": named, "touches": touches, "published": begun}
    id_, origin = await _add(connection, about)
    concerned = None if accounts is None else [*accounts]
    _notes(connection).writes.append(Write(id_, origin, user, concerned, touches, (), version, published))


async def record_ended(connection: WriteConnection, user: UUID, hashes: Collection[bytes]) -> None:
    """Note that this transaction ends the session tokens of these hashes."""
    named = [each.hex() for each in hashes]
    about = {"user_id": user, "version": _OF_NO_DATA, "touches": Touches.TOKENS, "ended": named}
    id_, origin = await _add(connection, about)
    _notes(connection).writes.append(Write(id_, origin, user, [], Touches.TOKENS, [*hashes]))


async def record_import_end(connection: WriteConnection, user: UUID, end: Mapping[str, Any]) -> None:
    """Note that with this transaction an import ends, which is told in these words."""
    about = {"user_id": user, "version": _OF_NO_DATA, "touches": Touches.NOTHING, "import_end": end}
    id_, origin = await _add(connection, about)
    _notes(connection).writes.append(Write(id_, origin, user, [], Touches.NOTHING, import_end=end))


async def record_begun(connection: WriteConnection, user: UUID) -> None:
    """Note that with this transaction a session of a user's begins."""
    id_, origin = await _add(connection, {"user_id": user, "version": _OF_NO_DATA, "touches": Touches.NOTHING})
    _notes(connection).writes.append(Write(id_, origin, user, [], Touches.NOTHING))


async def _add(connection: WriteConnection, about: Mapping[str, object]) -> tuple[int, UUID]:
    origin = _notes(connection).origin
    row = {**about, "origin": origin, "created_at": instant(wall_ns() // 1000)}
    added = insert(outbox).values(row).returning(outbox.c.id)
    if _is_postgresql(connection):
        told = func.pg_notify(CHANNEL, str(origin))
        added = added.values(xid=func.txid_current()).returning(told)
    return (await connection.execute(added)).scalar_one(), origin


def note_published(connection: WriteConnection, account: UUID, generation: int) -> None:
    """Note that a generation of an account begins with this transaction; what it records after that says so."""
    _notes(connection).published.append((account, generation))


def _notes(connection: WriteConnection) -> Notes:
    notes: Notes = connection.info[NOTES]
    return notes


async def undone(connection: ReadConnection, after: int = 0) -> list[Write]:
    """The first `AT_ONCE` writes after this id that nobody has marked done."""
    query = select(*_COLUMNS).where(outbox.c.done_at.is_(None), outbox.c.id > after)
    return [_write(row) for row in await connection.execute(query.order_by(outbox.c.id).limit(AT_ONCE))]


async def position(connection: ReadConnection) -> Position:
    """Where a reader stands who has read all that this transaction sees."""
    return Position(str(await connection.scalar(select(_position(connection))) or 0))


def _position(connection: ReadConnection) -> ColumnElement[Any]:
    if _is_postgresql(connection):
        return cast(func.txid_current_snapshot(), Text)
    return select(func.max(outbox.c.id)).scalar_subquery()


async def glance(connection: ReadConnection, before: Position | None, reader: UUID) -> Glance:
    """What there is to read, in one statement: most looks find nothing."""
    news = false() if before is None else exists().where(_news(connection, before, reader))
    found = select(_position(connection), exists().where(outbox.c.done_at.is_(None)), news)
    position, is_any_undone, is_any_new = (await connection.execute(found)).one()
    return Glance(Position(str(position or 0)), bool(is_any_undone), bool(is_any_new))


async def since(connection: ReadConnection, before: Position, reader: UUID) -> AsyncIterator[list[Write]]:
    """All writes of others that this transaction sees and one at the position `before` did not, by `AT_ONCE`."""
    query = select(*_COLUMNS).where(_news(connection, before, reader))
    async for part in (await connection.stream(query)).partitions(AT_ONCE):
        yield [_write(row) for row in part]


def _news(connection: ReadConnection, before: Position, reader: UUID) -> ColumnElement[bool]:
    return and_(_not_seen_at(connection, before), outbox.c.origin != reader)


def _not_seen_at(connection: ReadConnection, before: Position) -> ColumnElement[bool]:
    # Ids are given before transactions end, in whatever order: a highest id seen would skip those that come late.
    if _is_postgresql(connection):
        return type_coerce(text(_AFTER_SNAPSHOT).bindparams(bindparam("position", before, Text)), Boolean)
    return outbox.c.id > int(before)


async def mark_done(connection: WriteConnection, ids: Sequence[int], at: datetime) -> None:
    """Note that the copies of what was there before these writes are gone."""
    marked = update(outbox).where(outbox.c.id.in_(ids), outbox.c.done_at.is_(None))
    await connection.execute(marked.values(done_at=at))


async def forget(connection: WriteConnection, done_before: datetime) -> int:
    """Drop the rows that were done before this time, and say how many."""
    return (await connection.execute(delete(outbox).where(outbox.c.done_at < done_before))).rowcount


def _is_postgresql(connection: ReadConnection) -> bool:
    return connection.dialect.name == "postgresql"


def _write(row: Any) -> Write:  # noqa: ANN401 - a row of _COLUMNS
    accounts = None if row.accounts is None else [UUID(each) for each in row.accounts]
    ended = [bytes.fromhex(each) for each in row.ended or ()]
    published = [(UUID(account), generation) for account, generation in row.published or ()]
    return Write(row.id, row.origin, row.user_id, accounts, row.touches, ended, row.version, published, row.import_end)
