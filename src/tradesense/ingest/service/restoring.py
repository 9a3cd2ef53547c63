"""Accounts rebuilt: their trades from their executions, or all of it from the kept files; the same, bit for bit."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from uuid import UUID

from tradesense.brokers.reading import Reading
from tradesense.db.engine import Database, WriteConnection
from tradesense.domain.matching import Method
from tradesense.http.authentication import UserId
from tradesense.ingest.repository import ledgers, places, queue, staging
from tradesense.ingest.repository.queue import ImportRecord
from tradesense.ingest.repository.staging import Rows
from tradesense.ingest.service.behind import Desk, in_thread
from tradesense.ingest.service.changing import Change, Changes, nothing_more
from tradesense.ingest.service.comparing import Comparison
from tradesense.ingest.service.files import KeptFiles
from tradesense.ingest.service.opening import Opener
from tradesense.ingest.service.rebuilding import FROM_THE_START
from tradesense.ingest.service.staging import Destination, Origin, Staging
from tradesense.ingest.service.suspects import Search
from tradesense.ingest.service.undoing import take_back


class Restoring:
    """Rebuilds accounts: after another matching method or multiplier was chosen, or a later version reads better."""

    def __init__(self, database: Database, files: KeptFiles, opener: Opener, changes: Changes) -> None:
        self._database = database
        self._files = files
        self._opener = opener
        self._changes = changes

    async def rebuild(
        self,
        user_id: UserId,
        account_id: UUID,
        *,
        method: Method,
        multipliers: Mapping[str, Decimal],
        last: Callable[[WriteConnection], Awaitable[None]],
    ) -> int:
        """Match all executions of an account anew, by this method and at these multipliers by contract root.

        One that another instance has matched so meanwhile is left as it is. `last` writes what belongs to it into the
        transaction that publishes it. Gives the data's version; raises `AccountNotFound`, `AccountBusy`.
        """
        async with self._changes.to(user_id, [account_id]) as (change, tenure):
            (destination,) = change.destinations
            wanted = replace(destination.account, method=method, multipliers=multipliers)
            if wanted != destination.account:
                destination.account = wanted
                await self._land_everywhere(destination)

            async def settle(connection: WriteConnection) -> None:
                await places.set_multipliers(connection, destination.account)
                await last(connection)

            return await self._changes.publish(user_id, change, tenure, settle)

    async def rebuild_from_files(
        self, user_id: UserId, account_id: UUID, last: Callable[[WriteConnection], Awaitable[None]] = nothing_more
    ) -> int:
        """Read all files of an account again, in the order in which they came, and match everything anew.

        Executions entered by hand stay, and so do the multipliers of their books; others have the one that is read now.
        Those deleted by hand stay away while they are remembered (30 days). `last` writes into the transaction that
        publishes it. Raises what `rebuild` does, and `NeedsInput` or `Unreadable` where a file is not read as it was
        before; nothing has changed then.
        """
        async with self._database.read() as connection:
            records = await queue.imports_of_account(connection, user_id, account_id)
        async with self._changes.to(user_id, [account_id]) as (change, tenure):
            (destination,) = change.destinations
            for record in records:
                await take_back(self._database, change.write, destination, record.id)
            for record in records:
                await self._read_again(change, destination, record)
            await self._land_everywhere(destination)
            return await self._changes.publish(user_id, change, tenure, last)

    async def _land_everywhere(self, destination: Destination) -> None:
        async with self._database.read() as connection:
            books = await ledgers.books_of_account(connection, destination.account.id)
        destination.landings = dict.fromkeys(books, FROM_THE_START)

    async def _read_again(self, change: Change, destination: Destination, record: ImportRecord) -> None:
        said = replace(record, options={**record.options, "timezone": record.zone})
        opened = await self._opener.open(self._files.path(record.sha256), said)
        origin = Origin(record.id, opened.format.broker, opened.format.name, opened.zone)

        def work(desk: Desk) -> None:
            with opened.read() as reading:
                labels = _labels(reading, destination, record)
                left_out = self._left_out(desk, reading, destination, record, labels)
                deleted = desk.read(staging.deleted_by_hand, destination.account.id)
                staged = Staging(desk, change.write, Rows(self._database.dialect), origin, Comparison())
                staged.run(
                    reading,
                    dict.fromkeys(labels, destination),
                    lambda entry: (entry.line, entry.part) in left_out or entry.identity in deleted,
                    lambda _done: None,
                )

        await in_thread(self._database, work)

    def _left_out(
        self,
        desk: Desk,
        reading: Reading,
        destination: Destination,
        record: ImportRecord,
        labels: Sequence[str | None],
    ) -> set[tuple[int, int]]:
        if record.options.get("suspected_duplicates") != "skip":
            return set()
        found = Search(desk, reading).run(labels, destination.account.id, destination.claim.generation)
        return {(each.line, each.part) for each in found}


def _labels(reading: Reading, destination: Destination, record: ImportRecord) -> Sequence[str | None]:
    """Which of the file's accounts went into this one."""
    every = [*reading.accounts, *{moved.movement.account for moved in reading.movements()}, None]
    if len(record.accounts) == 1:
        return every
    return [label for label in every if label == destination.account.label]
