"""An import taken back: what it alone told of goes, and the trades are what they would be without it."""

from uuid import UUID

from keel.clock import Clock
from tradesense.db.engine import Database, WriteConnection, Writing
from tradesense.db.generations import Claim
from tradesense.db.tables import ImportStatus
from tradesense.domain.executions import order_key
from tradesense.http.authentication import UserId
from tradesense.http.versions import raise_data_version
from tradesense.ingest.repository import places, queue, removal, staging
from tradesense.ingest.repository.queue import ImportRecord
from tradesense.ingest.repository.removal import Sourced
from tradesense.ingest.repository.staging import Moved
from tradesense.ingest.service.changing import Changes
from tradesense.ingest.service.staging import Destination


class Undoing:
    """Takes imports back."""

    def __init__(self, database: Database, clock: Clock, changes: Changes) -> None:
        self._database = database
        self._clock = clock
        self._changes = changes

    async def undo(self, user_id: UserId, import_id: UUID) -> int:
        """Delete an import, and with it all that no other import has told of; gives the data's version.

        One that is not done has left nothing that counts; a worker that runs it notices. Raises `ImportNotFound`,
        `AccountBusy`.
        """
        async with self._database.write() as connection:
            record = await queue.get_import(connection, user_id, import_id)
            if record.status is not ImportStatus.DONE:
                await queue.mark_deleted(connection, import_id, self._clock.now())
                return await raise_data_version(connection, user_id)
        return await self._take_back(user_id, record)

    async def _take_back(self, user_id: UserId, record: ImportRecord) -> int:
        async with self._database.read() as connection:
            accounts = [UUID(each) for each in record.accounts]
            there = [each for each in accounts if await places.find_account(connection, user_id, each)]

        async def mark(connection: WriteConnection) -> None:
            await queue.mark_deleted(connection, record.id, self._clock.now())

        async with self._changes.to(user_id, there) as (change, tenure):
            for destination in change.destinations:
                await take_back(self._database, change.write, destination, record.id)
            return await self._changes.publish(user_id, change, tenure, mark)


async def take_back(database: Database, write: Writing, destination: Destination, import_id: UUID) -> None:
    """Let what an account has from one import alone die in the claimed generation."""
    account_id, claim = destination.account.id, destination.claim
    after: UUID | None = None
    while True:
        async with database.read() as reader:
            page = await removal.executions_of_import(reader, account_id, import_id, after)
        if not page:
            break
        after = page[-1].id
        moved = [each for sourced in page for each in _moved(sourced)]
        gone = [sourced.id for sourced in page if sourced.least is None]
        async with write() as connection:
            await removal.bury_sources(connection, claim, [sourced.id for sourced in page], import_id)
            await removal.bury_executions(connection, claim, gone)
            await staging.move(connection, claim, moved)
        moves = {each.id: each.order_key for each in moved}
        for sourced in page:
            if sourced.least is None or sourced.id in moves:
                destination.land(sourced.book_id, min(sourced.order_key, moves.get(sourced.id, sourced.order_key)))
    await _take_back_cash(database, write, claim, import_id)


def _moved(sourced: Sourced) -> list[Moved]:
    """An execution that stays takes the first place that the other imports give it."""
    key = sourced.order_key
    if sourced.least is None:
        return []
    at, identity = int.from_bytes(key[:8], "big") - (1 << 63), key[16:]
    placed = order_key(at, sourced.least, identity)
    return [Moved(sourced.id, placed)] if placed != key else []


async def _take_back_cash(database: Database, write: Writing, claim: Claim, import_id: UUID) -> None:
    after: UUID | None = None
    while True:
        async with database.read() as reader:
            page = await removal.cash_of_import(reader, claim.account_id, import_id, after)
        if not page:
            return
        after = page[-1][0]
        async with write() as connection:
            await removal.bury_sources(connection, claim, [each for each, _ in page], import_id)
            await removal.bury_cash(connection, claim, [each for each, is_shared in page if not is_shared])
