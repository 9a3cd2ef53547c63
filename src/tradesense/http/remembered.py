"""Answers to requests that carried an `Idempotency-Key`, kept in SQL for a day."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.elements import ColumnElement

from keel.clock import Clock
from tradesense.db.engine import Database, Writing
from tradesense.db.tables import idempotency
from tradesense.http.authentication import UserId

KEPT: Final = timedelta(hours=24)
_IN_PROGRESS: Final = b""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request was answered with. `request_hash` tells that request from others."""

    request_hash: bytes
    status: int
    headers: Mapping[str, str]
    body: bytes


class RememberedAnswers:
    """The answers by user and key. A key is claimed before the work and holds its answer after it.

    A claim whose holder has died stays one until it is a day old: nobody can know what came of the work, and not to do
    it twice is what a key is for.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def claim(self, user: UserId, key: str) -> bool:
        """Claim the key; False where it holds an answer or another request has claimed it."""
        now = self._clock.now()
        row = {"user_id": user, "key": key, "request_hash": _IN_PROGRESS, "created_at": now}
        dialect = sqlite if self._database.dialect == "sqlite" else postgresql
        async with self._database.write() as connection:
            await connection.execute(delete(idempotency).where(_of(user, key), _expired(now)))
            claimed = await connection.execute(dialect.insert(idempotency).values(row).on_conflict_do_nothing())
        return claimed.rowcount == 1

    async def find(self, user: UserId, key: str) -> Answer | None:
        """The answer under the key; None while it is being worked on."""
        async with self._database.read() as connection:
            row = (await connection.execute(select(idempotency).where(_of(user, key)))).one_or_none()
        if row is None or row.status is None:
            return None
        return Answer(row.request_hash, row.status, row.headers or {}, row.answer or b"")

    async def keep(self, user: UserId, key: str, answer: Answer) -> None:
        """Put the answer under the key that was claimed."""
        values = {
            "request_hash": answer.request_hash,
            "status": answer.status,
            "headers": dict(answer.headers),
            "answer": answer.body,
        }
        async with self._database.write() as connection:
            await connection.execute(update(idempotency).where(_of(user, key)).values(values))

    async def release(self, user: UserId, key: str) -> None:
        """Give up a claim: nothing has been done under the key."""
        async with self._database.write() as connection:
            await connection.execute(delete(idempotency).where(_of(user, key), idempotency.c.status.is_(None)))

    async def forget_expired(self, write: Writing) -> int:
        """Drop what is older than a day, and say how much."""
        async with write() as connection:
            dropped = await connection.execute(delete(idempotency).where(_expired(self._clock.now())))
        return dropped.rowcount


def _of(user: UserId, key: str) -> ColumnElement[bool]:
    return (idempotency.c.user_id == user) & (idempotency.c.key == key)


def _expired(now: datetime) -> ColumnElement[bool]:
    return idempotency.c.created_at < now - KEPT
