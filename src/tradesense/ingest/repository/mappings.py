"""Column mappings that users gave for unknown files, by the fingerprint of the header."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import and_, delete, insert, select

from keel.ids import uuid7
from tradesense.db.engine import ReadConnection, WriteConnection
from tradesense.db.tables import mappings
from tradesense.http.authentication import UserId


async def find_mapping(connection: ReadConnection, user_id: UserId, header: str) -> Mapping[str, str] | None:
    """The mapping for files with a header."""
    theirs = and_(mappings.c.user_id == user_id, mappings.c.header == header)
    return await connection.scalar(select(mappings.c.mapping).where(theirs))


async def save_mapping(
    connection: WriteConnection, user_id: UserId, header: str, columns: Mapping[str, str], at: datetime
) -> None:
    """Keep a mapping, in the place of an earlier one."""
    await connection.execute(delete(mappings).where(mappings.c.user_id == user_id, mappings.c.header == header))
    row = {"id": uuid7(), "user_id": user_id, "header": header, "mapping": dict(columns), "created_at": at}
    await connection.execute(insert(mappings).values(row))
