"""Files handed to an instance, and followed until each of them is imported, refused or asks."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple
from uuid import UUID

from anyio import sleep, to_thread

from tradesense.brokers.contract import Failed, Question
from tradesense.cli.progress import bars
from tradesense.cli.report_files import FileAccount
from tradesense.db.tables import ImportStatus
from tradesense.ingest.repository.queue import ImportRecord
from tradesense.ingest.service.uploads import Imports, Upload
from tradesense.wiring import State

_BLOCK: Final = 1 << 20
_LOOK_EVERY_S: Final = 0.05
_WHOLE: Final = 100
_MOVING: Final = {ImportStatus.QUEUED, ImportStatus.RUNNING}


class Wanted(NamedTuple):
    """Whose the files are, and what is said of all of them."""

    email: str
    broker: str | None
    account_id: UUID | None
    options: Mapping[str, Any]


async def import_all(state: State, paths: Sequence[Path], wanted: Wanted) -> list[FileAccount]:
    """Import files one after the other; raises the refusals of `Imports.upload` and `UserNotFound`."""
    user = await state["users"].get_by_email(wanted.email)
    accounts = []
    for path in paths:
        upload = Upload(user.id, path.name, wanted.account_id, wanted.broker, wanted.options)
        accounts.append(account(await import_one(state["imports"], path, upload)))
    return accounts


async def import_one(imports: Imports, path: Path, upload: Upload) -> ImportRecord:
    """Hand one file over and wait until it moves no more."""
    with path.open("rb") as file:
        return await _import(imports, file, upload)


async def import_bytes(imports: Imports, content: bytes, upload: Upload) -> ImportRecord:
    """The same for a file that was just made."""
    return await _import(imports, BytesIO(content), upload)


async def _import(imports: Imports, file: BinaryIO, upload: Upload) -> ImportRecord:
    async def read() -> bytes:
        return await to_thread.run_sync(file.read, _BLOCK)

    record = await imports.upload(upload, read)
    with bars() as progress:
        task = progress.add_task(upload.file_name, total=_WHOLE, told="")
        while record.status in _MOVING:
            progress.update(task, completed=record.percent, told=f"{record.rows:,} rows")
            await sleep(_LOOK_EVERY_S)
            record = await imports.get(record.user_id, record.id)
    return record


def account(record: ImportRecord) -> FileAccount:
    """What became of an import's file."""
    return FileAccount(
        name=record.file_name,
        broker=record.broker,
        format=record.format,
        rows=record.rows,
        imported=record.imported,
        executions=record.executions,
        duplicates=record.duplicates,
        ignored={each["reason"]: each["count"] for each in record.ignored},
        errors=[Failed(**each) for each in record.errors],
        error_count=record.error_count,
        warnings=list(record.warnings),
        questions=[Question(each["field"], each["why"], tuple(each["options"])) for each in record.questions],
    )
