"""Personal API keys in SQL: the hash of each, what it is for and when it was last used."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, func, insert, select, update

from tradesense.db.engine import ReadConnection, WriteConnection
from tradesense.db.tables import KeyScope, api_keys
from tradesense.http.authentication import UserId


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key. What it opens is not in it; None for `expires_at` is never."""

    id: UUID
    user_id: UUID
    name: str
    scope: KeyScope
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


_COLUMNS = [api_keys.c[name] for name in ApiKey.__dataclass_fields__]


async def insert_key(connection: WriteConnection, key: ApiKey, token_hash: bytes) -> None:
    """Add a key that opens by the token with this hash."""
    row = {name: getattr(key, name) for name in ApiKey.__dataclass_fields__}
    await connection.execute(insert(api_keys).values({**row, "token_hash": token_hash}))


async def count_keys(connection: ReadConnection, user: UserId) -> int:
    """How many keys the user has."""
    return await connection.scalar(select(func.count()).where(api_keys.c.user_id == user)) or 0


async def keys_of(connection: ReadConnection, user: UserId) -> Sequence[ApiKey]:
    """The user's keys, the newest first."""
    query = select(*_COLUMNS).where(api_keys.c.user_id == user)
    rows = await connection.execute(query.order_by(api_keys.c.created_at.desc(), api_keys.c.id.desc()))
    return [_key(row) for row in rows]


async def find_key(connection: ReadConnection, token_hash: bytes) -> ApiKey | None:
    """The key of a token."""
    row = (await connection.execute(select(*_COLUMNS).where(api_keys.c.token_hash == token_hash))).one_or_none()
    return None if row is None else _key(row)


async def hashes_of(connection: ReadConnection, user: UserId) -> Sequence[bytes]:
    """The hashes of the tokens of all of the user's keys."""
    return (await connection.scalars(select(api_keys.c.token_hash).where(api_keys.c.user_id == user))).all()


async def note_use(connection: WriteConnection, key: UUID, at: datetime, unless_since: datetime) -> None:
    """Note that a key was used, unless that was noted `unless_since`."""
    is_due = api_keys.c.last_used_at.is_(None) | (api_keys.c.last_used_at < unless_since)
    await connection.execute(update(api_keys).where(api_keys.c.id == key, is_due).values(last_used_at=at))


async def delete_key(connection: WriteConnection, user: UserId, key: UUID) -> bytes | None:
    """Delete one of the user's keys, and give the hash of its token; None where there is no such key."""
    gone = delete(api_keys).where(api_keys.c.id == key, api_keys.c.user_id == user)
    return (await connection.execute(gone.returning(api_keys.c.token_hash))).scalar_one_or_none()


def _key(row: Row[Any]) -> ApiKey:
    return ApiKey(**row._mapping)  # noqa: SLF001 - its public name
