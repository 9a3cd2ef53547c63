"""What a person does with imports: upload a file, follow it, answer its questions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from keel.clock import Clock
from keel.errors import Conflict, Invalid
from keel.ids import uuid7
from tradesense.accounts.service import AccountNotFound
from tradesense.brokers import registry
from tradesense.brokers.registry import UnknownBroker
from tradesense.db.engine import Database, ReadConnection, Writing
from tradesense.db.tables import ImportStatus
from tradesense.http.authentication import UserId
from tradesense.ingest.repository import places, queue
from tradesense.ingest.repository.queue import ImportRecord
from tradesense.ingest.service.changing import DELETED_STAY
from tradesense.ingest.service.files import KeptFiles, Read
from tradesense.work.service.tracing import traceparent


class BrokerUnknown(Invalid):
    """No broker goes by this name."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail, loc=("body", "broker"))


class NothingToAnswer(Conflict):
    """The import is running or done, and takes no answers."""

    def __init__(self) -> None:
        super().__init__("The import is running or done; it takes no answers.")


@dataclass(frozen=True, slots=True)
class Upload:
    """What comes with a file: whose it is, what they call it, and what they say about it."""

    user_id: UserId
    file_name: str
    account_id: UUID | None = None
    broker: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


class Imports:
    """A user's imports. `wake` tells whoever runs them of one, by its id."""

    def __init__(self, database: Database, clock: Clock, files: KeptFiles, wake: Callable[[UUID], None]) -> None:
        self._database = database
        self._clock = clock
        self._files = files
        self._wake = wake

    async def upload(self, upload: Upload, read: Read) -> ImportRecord:
        """Keep a file and queue its import; raises `FileTooLarge`, `AccountNotFound`, `BrokerUnknown`."""
        await check(self._database, upload)
        kept = await self._files.keep(read)
        import_id, now = uuid7(), self._clock.now()
        async with self._database.write() as connection:
            await queue.add_file(connection, kept.sha256, kept.size, now)
            options = await self._answered_before(connection, upload, kept.sha256)
            row = {"id": import_id, "sha256": kept.sha256, "options": options, "created_at": now}
            said = {"account_id": upload.account_id, "broker": upload.broker, "file_name": upload.file_name}
            asked = {"user_id": upload.user_id, "traceparent": traceparent()}
            await queue.add_import(connection, row | said | asked)
            record = await queue.get_import(connection, upload.user_id, import_id)
        self._wake(import_id)
        return record

    async def _answered_before(self, connection: ReadConnection, upload: Upload, sha256: str) -> Mapping[str, Any]:
        """What was said of suspected duplicates when this very file came before counts again."""
        before = await queue.earlier_answer(connection, upload.user_id, sha256) or {}
        kept = {name: before[name] for name in ("suspected_duplicates",) if name in before}
        return kept | dict(upload.options)

    async def get(self, user_id: UserId, import_id: UUID) -> ImportRecord:
        """One import; raises `ImportNotFound`."""
        async with self._database.read() as connection:
            return await queue.get_import(connection, user_id, import_id)

    async def list(self, user_id: UserId, after: tuple[datetime, UUID] | None, limit: int) -> Sequence[ImportRecord]:
        """The user's imports, newest first."""
        async with self._database.read() as connection:
            return await queue.list_imports(connection, user_id, after, limit)

    async def answer(
        self, user_id: UserId, import_id: UUID, options: Mapping[str, Any], account_id: UUID | None
    ) -> ImportRecord:
        """Queue an import that has failed or asks again, with further options; raises `NothingToAnswer`."""
        async with self._database.write() as connection:
            record = await queue.get_import(connection, user_id, import_id)
            if record.status not in {ImportStatus.NEEDS_INPUT, ImportStatus.FAILED, ImportStatus.QUEUED}:
                raise NothingToAnswer
            values: dict[str, Any] = {"options": {**record.options, **options}}
            if account_id is not None:
                if await places.find_account(connection, user_id, account_id) is None:
                    raise AccountNotFound
                values["account_id"] = account_id
            if not await queue.answer(connection, record, values):
                raise NothingToAnswer
            record = await queue.get_import(connection, user_id, import_id)
        self._wake(import_id)
        return record

    async def purge_deleted(self, write: Writing) -> None:
        """Forget imports that were deleted more than 30 days ago, and the files that only they had."""
        before = self._clock.now() - DELETED_STAY
        async with write() as connection:
            orphans = await queue.erase_deleted(connection, before)
        for sha256 in orphans:
            await self._files.remove(sha256, before)
        await self._files.remove_leftovers(before)


async def check(database: Database, upload: Upload) -> None:
    """Raise `AccountNotFound` or `BrokerUnknown` where an upload names what is not there."""
    if upload.broker is not None:
        try:
            registry.find(upload.broker)
        except UnknownBroker as error:
            raise BrokerUnknown(str(error)) from None
    if upload.account_id is not None:
        async with database.read() as connection:
            if await places.find_account(connection, upload.user_id, upload.account_id) is None:
                raise AccountNotFound
