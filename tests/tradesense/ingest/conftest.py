"""A user with everything that importing needs, on each kind of database, and a queue that runs when a test says so."""

import io
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Table, insert, select, update

from keel.clock import SystemClock
from keel.ids import uuid7
from keel.tasks import Tasks
from tradesense.brokers.documents import Limits
from tradesense.db.engine import Database
from tradesense.db.generations import visible
from tradesense.db.tables import accounts, cash_movements, execution_sources, executions, segments, trades, users
from tradesense.http.authentication import UserId
from tradesense.ingest.repository.queue import ImportRecord
from tradesense.ingest.service.changing import Changes
from tradesense.ingest.service.files import KeptFiles
from tradesense.ingest.service.manual import ManualExecutions
from tradesense.ingest.service.opening import Opener
from tradesense.ingest.service.restoring import Restoring
from tradesense.ingest.service.running import Equipment, Progress
from tradesense.ingest.service.undoing import Undoing
from tradesense.ingest.service.uploads import Imports, Upload
from tradesense.ingest.tasks import ImportRunner
from tradesense.work.repository import unpark
from tradesense.work.service.lanes import Lane
from tradesense.work.service.queue import TaskQueue

LEASE = timedelta(seconds=5)
UNSEEN = {"born", "died", "net_sort", "quantity_sort"}

Row = tuple[Any, ...]


def generic(rows: Iterable[str], header: str = "datetime,symbol,side,quantity,price") -> bytes:
    return "\n".join([header, *rows, ""]).encode()


def nobody(_task: UUID) -> None:
    """Is woken."""


@dataclass
class World:
    """What a test of importing talks to."""

    database: Database
    folder: Path
    user: UserId
    tasks: Tasks
    told: list[Progress] = field(default_factory=list)

    def __post_init__(self) -> None:
        clock = SystemClock()
        self.files = KeptFiles(self.folder / "files", 10 << 20)
        opener = Opener(self.database, Limits())
        self.equipment = Equipment(self.database, clock, self.files, opener, LEASE, self.told.append)
        self.queue = TaskQueue(self.database, clock, nobody)
        self.runner = ImportRunner(self.equipment, self.queue.park)
        self.imports = Imports(self.database, clock, self.files, nobody)
        changes = Changes(self.database, clock, LEASE)
        self.undoing = Undoing(self.database, clock, changes)
        self.manual = ManualExecutions(self.database, clock, changes)
        self.restoring = Restoring(self.database, self.files, opener, changes)

    async def upload(
        self,
        content: bytes,
        *,
        name: str = "file.csv",
        account_id: UUID | None = None,
        broker: str | None = None,
        **options: object,
    ) -> ImportRecord:
        stream = io.BytesIO(content)

        async def read() -> bytes:
            return stream.read(1 << 16)

        return await self.imports.upload(Upload(self.user, name, account_id, broker, options), read)

    def lane(self, tasks: Tasks | None = None) -> Lane:
        return Lane("imports", self.runner, tasks or self.tasks, poll=timedelta(milliseconds=50))

    async def drain(self) -> None:
        while (claimed := await self.runner._claim()) is not None:
            await self.runner._run(*claimed)

    async def take(self, content: bytes, **said: Any) -> ImportRecord:  # noqa: ANN401 - as upload
        record = await self.upload(content, **said)
        await self.drain()
        return await self.imports.get(self.user, record.id)

    async def answer(self, record: ImportRecord, account_id: UUID | None = None, **options: object) -> ImportRecord:
        await self.imports.answer(self.user, record.id, options, account_id)
        await self.drain()
        return await self.imports.get(self.user, record.id)

    async def let_wait(self, table: Table[Any]) -> None:
        """Let what was put back be ready at once."""
        async with self.database.write() as connection:
            await connection.execute(update(table).values(claimed_until=None))

    async def retry(self, task: UUID) -> None:
        async with self.database.write() as connection:
            assert await unpark(connection, task, SystemClock().now())

    async def add_account(self, **values: object) -> UUID:
        account, at = uuid7(), SystemClock().now()
        row = {"id": account, "user_id": self.user, "name": "Mine", "currency": "USD", "created_at": at}
        async with self.database.write() as connection:
            await connection.execute(insert(accounts).values({**row, **values}))
        return account

    async def delete_account(self, account: UUID) -> None:
        async with self.database.write() as connection:
            gone = update(accounts).where(accounts.c.id == account)
            await connection.execute(gone.values(deleted_at=SystemClock().now()))

    async def rows_of_all(self, table: Table[Any]) -> Sequence[Any]:
        async with self.database.read() as connection:
            return (await connection.execute(select(table))).all()

    async def accounts(self) -> Sequence[Any]:
        async with self.database.read() as connection:
            shown = select(accounts).where(accounts.c.user_id == self.user, accounts.c.deleted_at.is_(None))
            return (await connection.execute(shown.order_by(accounts.c.created_at, accounts.c.id))).all()

    async def rows(self, table: Table[Any]) -> list[Row]:
        """What counts now, in the order of the rows' values, without the generations."""
        columns = [column for column in table.c if column.name not in UNSEEN]
        chosen = select(*columns).join(accounts, accounts.c.id == table.c.account_id)
        async with self.database.read() as connection:
            found = await connection.execute(chosen.where(accounts.c.user_id == self.user, visible(table)))
            return sorted((tuple(row) for row in found), key=repr)

    async def everything(self) -> Mapping[str, list[Row]]:
        tables = (executions, execution_sources, trades, segments, cash_movements)
        return {table.name: await self.rows(table) for table in tables}

    async def totals(self) -> tuple[int, int, Any]:
        """Executions, trades, and the net of all trades."""
        place = [column.name for column in trades.c if column.name not in UNSEEN].index("net")
        nets = [row[place] for row in await self.rows(trades)]
        return len(await self.rows(executions)), len(nets), sum(nets)

    async def hidden(self) -> int:
        """Rows that no generation shows: garbage, unless deleted by hand."""
        count = 0
        async with self.database.read() as connection:
            for table in (executions, execution_sources, trades, segments, cash_movements):
                chosen = select(table.c.born).join(accounts, accounts.c.id == table.c.account_id).where(~visible(table))
                count += len((await connection.execute(chosen)).all())
        return count


async def new_user(database: Database) -> UserId:
    user = UserId(uuid7())
    async with database.write() as connection:
        row = {"id": user, "email": f"{user}@example.org", "password_hash": "x", "created_at": SystemClock().now()}
        await connection.execute(insert(users).values(row))
    return user


@pytest.fixture
async def world(database: Database, tmp_path: Path) -> AsyncIterator[World]:
    async with Tasks() as tasks:
        yield World(database, tmp_path, await new_user(database), tasks)
