"""The queue of imports: their rows are the record of what is to do, who does it and what came of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Exists, and_, delete, exists, func, insert, literal, or_, select, update
from sqlalchemy.sql.elements import ColumnElement

from keel.errors import NotFound
from tradesense.db.engine import ReadConnection, WriteConnection
from tradesense.db.generations import Owner
from tradesense.db.tables import ImportStatus, files, imports, users
from tradesense.db.types import UtcDateTime
from tradesense.http.authentication import UserId


class ImportNotFound(NotFound):
    """There is no such import."""

    def __init__(self) -> None:
        super().__init__("There is no such import.")


@dataclass(frozen=True, slots=True)
class ImportRecord:
    """One import as its row has it; see `db.tables.imports`."""

    id: UUID
    user_id: UserId
    account_id: UUID | None
    sha256: str
    file_name: str
    status: ImportStatus
    broker: str | None
    format: str | None
    options: Mapping[str, Any]
    accounts: Sequence[str]
    zone: str | None
    rows: int
    imported: int
    executions: int
    duplicates: int
    cash: int
    ignored: Sequence[Mapping[str, Any]]
    errors: Sequence[Mapping[str, Any]]
    error_count: int
    warnings: Sequence[str]
    questions: Sequence[Mapping[str, Any]]
    percent: float
    attempts: int
    claimed_by: Owner | None
    claimed_until: datetime | None
    traceparent: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    deleted_at: datetime | None


async def add_file(connection: WriteConnection, sha256: str, size: int, at: datetime) -> None:
    """Note that a file is kept, unless it was already."""
    known = await connection.scalar(select(files.c.sha256).where(files.c.sha256 == sha256).with_for_update())
    if known is None:
        await connection.execute(insert(files).values(sha256=sha256, size=size, created_at=at))


async def add_import(connection: WriteConnection, values: Mapping[str, Any]) -> None:
    """Add an import: `id`, `user_id`, `account_id`, `sha256`, `file_name`, `broker`, `options` and `created_at`."""
    nothing_yet: dict[str, Any] = {"accounts": [], "ignored": [], "errors": [], "warnings": [], "questions": []}
    await connection.execute(insert(imports).values(nothing_yet | {"status": ImportStatus.QUEUED} | dict(values)))


async def get_import(connection: ReadConnection, user_id: UserId, import_id: UUID) -> ImportRecord:
    """One of a user's imports; raises `ImportNotFound`."""
    theirs = and_(imports.c.id == import_id, imports.c.user_id == user_id, imports.c.deleted_at.is_(None))
    found = (await connection.execute(select(imports).where(theirs))).one_or_none()
    if found is None:
        raise ImportNotFound
    return ImportRecord(**found._mapping)  # noqa: SLF001 - its public name


async def list_imports(
    connection: ReadConnection, user_id: UserId, after: tuple[datetime, UUID] | None, limit: int
) -> list[ImportRecord]:
    """A user's imports, newest first, from the one after `after` (creation time and id)."""
    chosen = select(imports).where(imports.c.user_id == user_id, imports.c.deleted_at.is_(None))
    if after is not None:
        at, last = after
        chosen = chosen.where(
            or_(imports.c.created_at < at, and_(imports.c.created_at == at, imports.c.id < last)),
        )
    chosen = chosen.order_by(imports.c.created_at.desc(), imports.c.id.desc()).limit(limit)
    return [ImportRecord(**row._mapping) for row in await connection.execute(chosen)]  # noqa: SLF001


async def imports_of_account(connection: ReadConnection, user_id: UserId, account_id: UUID) -> list[ImportRecord]:
    """The imports whose executions an account has, oldest first."""
    done = and_(imports.c.user_id == user_id, imports.c.deleted_at.is_(None), imports.c.status == ImportStatus.DONE)
    rows = await connection.execute(select(imports).where(done).order_by(imports.c.finished_at, imports.c.id))
    records = (ImportRecord(**row._mapping) for row in rows)  # noqa: SLF001
    return [record for record in records if str(account_id) in record.accounts]


async def earlier_answer(connection: ReadConnection, user_id: UserId, sha256: str) -> Mapping[str, Any] | None:
    """The options under which a user's import of this file was done the last time."""
    same = and_(
        imports.c.user_id == user_id,
        imports.c.sha256 == sha256,
        imports.c.status == ImportStatus.DONE,
        imports.c.deleted_at.is_(None),
    )
    newest = select(imports.c.options).where(same).order_by(imports.c.finished_at.desc()).limit(1)
    return await connection.scalar(newest)


def waiting(now: datetime) -> Exists:
    """Whether `claim_next` would find something, in SQL."""
    return exists().where(_ready(now))


async def oldest_queued(connection: ReadConnection, now: datetime) -> datetime | None:
    """Since when the import waits that has waited longest; None where none does."""
    idle = or_(imports.c.claimed_until.is_(None), imports.c.claimed_until < now)
    queued = and_(imports.c.status == ImportStatus.QUEUED, imports.c.deleted_at.is_(None), idle)
    return await connection.scalar(select(func.min(imports.c.created_at)).where(queued))


async def claim_next(connection: WriteConnection, owner: Owner, now: datetime, until: datetime) -> ImportRecord | None:
    """Claim the oldest import that waits, or whose worker has died; None where there is none.

    Of one user only one runs at a time, so that two files do not both create the account they name. The record's
    `claimed_by` is the worker that had it before.
    """
    ready = _ready(now)
    chosen = select(imports).where(ready).order_by(imports.c.created_at, imports.c.id).limit(1)
    # The import is locked before its user, as its worker does with each write: one that is late may be at it still.
    found = (await connection.execute(chosen.with_for_update())).one_or_none()
    if found is None:
        return None
    # Two processes may have chosen two imports of one user: the second waits here, and then finds it not ready.
    await connection.execute(select(users.c.id).where(users.c.id == found.user_id).with_for_update())
    claimed = await connection.execute(
        update(imports)
        .where(imports.c.id == found.id, ready)
        .values(
            status=ImportStatus.RUNNING,
            claimed_by=owner,
            claimed_until=until,
            attempts=imports.c.attempts + 1,
            started_at=func.coalesce(imports.c.started_at, literal(now, UtcDateTime)),
        )
    )
    return ImportRecord(**found._mapping) if claimed.rowcount else None  # noqa: SLF001


def _ready(now: datetime) -> ColumnElement[bool]:
    other = imports.alias()
    idle = or_(imports.c.claimed_until.is_(None), imports.c.claimed_until < now)
    return and_(
        imports.c.status.in_([ImportStatus.QUEUED, ImportStatus.RUNNING]),
        imports.c.deleted_at.is_(None),
        idle,
        ~exists().where(
            other.c.user_id == imports.c.user_id,
            other.c.id != imports.c.id,
            other.c.status == ImportStatus.RUNNING,
            other.c.claimed_until >= now,
        ),
    )


async def advance(connection: WriteConnection, import_id: UUID, owner: Owner, values: Mapping[str, Any]) -> bool:
    """Set columns of an import that `owner` runs; False where it is not theirs any more, or deleted."""
    mine = and_(imports.c.id == import_id, imports.c.claimed_by == owner, imports.c.deleted_at.is_(None))
    advanced = await connection.execute(update(imports).where(mine).values(dict(values)))
    return bool(advanced.rowcount)


async def put_back(
    connection: WriteConnection, import_id: UUID, owner: Owner, not_before: datetime, *, counts: bool
) -> None:
    """Queue an import again that `owner` does not run to its end; what they have claimed is still in their name.

    Whether the attempt `counts` decides how many more there will be.
    """
    mine = and_(imports.c.id == import_id, imports.c.claimed_by == owner)
    attempts = imports.c.attempts if counts else imports.c.attempts - 1
    again = {"status": ImportStatus.QUEUED, "claimed_until": not_before, "percent": 0, "attempts": attempts}
    await connection.execute(update(imports).where(mine).values(again))


async def answer(connection: WriteConnection, record: ImportRecord, values: Mapping[str, Any]) -> bool:
    """Queue an import with other options or another account; False where it has moved on meanwhile."""
    unchanged = and_(imports.c.id == record.id, imports.c.status == record.status, imports.c.deleted_at.is_(None))
    queued: dict[str, Any] = {
        "status": ImportStatus.QUEUED,
        "claimed_by": None,
        "claimed_until": None,
        "percent": 0,
        "questions": [],
    }
    answered = await connection.execute(update(imports).where(unchanged).values(queued | dict(values)))
    return bool(answered.rowcount)


async def try_again(connection: WriteConnection, import_id: UUID) -> None:
    """Queue an import that has failed as if it were new."""
    failed = and_(imports.c.id == import_id, imports.c.status == ImportStatus.FAILED, imports.c.deleted_at.is_(None))
    queued = {"status": ImportStatus.QUEUED, "attempts": 0, "percent": 0, "errors": [], "error_count": 0}
    await connection.execute(update(imports).where(failed).values({**queued, "finished_at": None}))


async def mark_deleted(connection: WriteConnection, import_id: UUID, at: datetime) -> None:
    """Delete an import; a worker that runs it notices."""
    await connection.execute(update(imports).where(imports.c.id == import_id).values(deleted_at=at))


async def erase_deleted(connection: WriteConnection, before: datetime) -> Sequence[str]:
    """Forget imports that were deleted before a time; gives the hashes of files that no import names any more."""
    await connection.execute(delete(imports).where(imports.c.deleted_at < before))
    named = select(imports.c.sha256)
    orphans = delete(files).where(files.c.created_at < before, files.c.sha256.not_in(named))
    return list(await connection.scalars(orphans.returning(files.c.sha256)))
