"""Generations: how many rows change at once. A row counts from the one it was born in until the one it died in.

Whoever wants to change an account claims it, writes rows of the next generation in transactions as short as they like,
invisible, and then publishes them all by raising the account's generation. What a writer that died has left behind is
swept away before the next one works.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple, NewType
from uuid import UUID

from sqlalchemy import Delete, Table, Update, and_, bindparam, delete, exists, literal_column, or_, select, update
from sqlalchemy.sql.elements import ColumnElement

from keel.clock import Clock
from keel.errors import Conflict
from keel.ids import uuid7
from tradesense.db import outbox
from tradesense.db.engine import Database, WriteConnection, Writing
from tradesense.db.tables import (
    FOREVER,
    accounts,
    cash_movements,
    cash_sources,
    execution_sources,
    executions,
    segments,
    trades,
)
from tradesense.db.tables.schema import GenerationColumns
from tradesense.db.types import Identifier

Owner = NewType("Owner", str)
"""Who holds a claim: a name that nobody else ever has."""

TABLES: Final[tuple[Table[Any], ...]] = (
    trades,
    segments,
    execution_sources,
    cash_sources,
    executions,
    cash_movements,
)
CHUNK: Final = 500
"""Rows that one transaction of a sweep touches, some 20 ms of writing."""
FOUND_AT_ONCE: Final = 20_000
"""Rows that are looked up before they are swept, a few MB."""


USER: Final = bindparam("user", type_=Identifier)
"""The user to whom what is visible belongs, in statements that are built once: building takes longer than running."""


class AccountBusy(Conflict):
    """The account is being written to by an import."""

    def __init__(self) -> None:
        super().__init__("The account is being imported into; try again in a moment.", retry_after=timedelta(seconds=2))


class ClaimLost(Exception):
    """Another has taken over what this writer had claimed; nothing more may be written for it."""


class Claim(NamedTuple):
    """The right to write `generation` of an account. `dirty` where an earlier writer may have left rows of it."""

    account_id: UUID
    generation: int
    dirty: bool


def visible(rows: Table[GenerationColumns]) -> ColumnElement[bool]:
    """Rows that count now; join `accounts` on `account_id`, which scopes them to their user, too."""
    return and_(rows.c.born <= accounts.c.generation, rows.c.died > accounts.c.generation)


def visible_at(rows: Table[GenerationColumns], generation: int) -> ColumnElement[bool]:
    """Rows that count in a generation, published or not."""
    return and_(rows.c.born <= generation, rows.c.died > generation)


class Tenure:
    """One writer's claims on accounts, prolonged by everything it writes, for as long as nobody has taken them over."""

    def __init__(self, database: Database, clock: Clock, lease: timedelta) -> None:
        self.owner = Owner(str(uuid7()))
        self.claims: dict[UUID, Claim] = {}
        self._database = database
        self._clock = clock
        self._lease = lease

    async def claim(self, connection: WriteConnection, account_id: UUID) -> Claim:
        """Claim an account; raises `AccountBusy` while another's claim holds."""
        now = self._clock.now()
        of_another = accounts.c.claimed_by.is_not(None)
        before = (
            await connection.execute(
                select(accounts.c.generation, of_another.label("dirty"))
                .where(accounts.c.id == account_id)
                .with_for_update()
            )
        ).one()
        taken = await connection.execute(
            update(accounts)
            .where(accounts.c.id == account_id, or_(~of_another, accounts.c.claimed_until < now))
            .values(claimed_by=self.owner, claimed_until=now + self._lease)
        )
        if not taken.rowcount:
            raise AccountBusy
        self.claims[account_id] = claim = Claim(account_id, before.generation + 1, bool(before.dirty))
        return claim

    async def take_over(self, connection: WriteConnection, owner: Owner) -> None:
        """Take the claims of a writer that is known to have died; what it left must be swept."""
        taken = update(accounts).where(accounts.c.claimed_by == owner)
        await connection.execute(taken.values(claimed_by=self.owner, claimed_until=self._clock.now() + self._lease))
        mine = select(accounts.c.id, accounts.c.generation).where(accounts.c.claimed_by == self.owner)
        self.claims = {row.id: Claim(row.id, row.generation + 1, dirty=True) for row in await connection.execute(mine)}

    async def abandon(self, connection: WriteConnection) -> None:
        """Let anybody take the claims over at once, with what was written for them still to be swept."""
        mine = update(accounts).where(accounts.c.claimed_by == self.owner)
        await connection.execute(mine.values(claimed_until=self._clock.now() - self._lease))

    @asynccontextmanager
    async def write(self) -> AsyncIterator[WriteConnection]:
        """A writing transaction behind the fence: raises `ClaimLost` where a claim has been lost."""
        async with self._database.write() as connection:
            await self._hold(connection)
            yield connection

    async def renew(self) -> None:
        """Prolong the claims; raises `ClaimLost`."""
        async with self.write():
            pass

    async def publish(self, connection: WriteConnection) -> None:
        """Make the claimed generations the ones that count, and give the claims back; raises `ClaimLost`."""
        for claim in self.claims.values():
            published = await connection.execute(
                update(accounts)
                .where(accounts.c.id == claim.account_id, accounts.c.claimed_by == self.owner)
                .values(generation=claim.generation, claimed_by=None, claimed_until=None)
            )
            if not published.rowcount:
                raise ClaimLost
            outbox.note_published(connection, claim.account_id, claim.generation)
        self.claims.clear()

    async def sweep(self, claim: Claim) -> None:
        """Take back what was written for a generation that is not published: delete its rows, revive what it killed."""
        for table in TABLES:
            mine = table.c.account_id == claim.account_id
            delete_them = delete(table).where(_is_row(table))
            await _in_chunks(
                self._database, table, and_(mine, table.c.born >= claim.generation), delete_them, self.write
            )
        for table in TABLES:
            dying = and_(table.c.account_id == claim.account_id, table.c.died == claim.generation, _dead(table))
            revive = update(table).where(_is_row(table)).values(died=FOREVER)
            await _in_chunks(self._database, table, dying, revive, self.write)

    async def release(self, connection: WriteConnection) -> None:
        """Give the claims back; what was written for them must have been swept."""
        mine = update(accounts).where(accounts.c.claimed_by == self.owner)
        await connection.execute(mine.values(claimed_by=None, claimed_until=None))
        self.claims.clear()

    async def _hold(self, connection: WriteConnection) -> None:
        until = self._clock.now() + self._lease
        held = await connection.execute(
            update(accounts).where(accounts.c.claimed_by == self.owner).values(claimed_until=until)
        )
        if held.rowcount != len(self.claims):
            raise ClaimLost


async def purge(database: Database, account_id: UUID, generation: int, kept_since: datetime) -> None:
    """Delete rows that died in this generation of an account or before; executions that a person deleted stay a while.

    `kept_since` is the time after which one must have been deleted to stay.
    """
    dead = {table: and_(table.c.account_id == account_id, table.c.died <= generation, _dead(table)) for table in TABLES}
    dead[executions] &= or_(executions.c.deleted_at.is_(None), executions.c.deleted_at < kept_since)
    async with database.read() as reader:
        found = (await reader.execute(select(*(exists().where(each) for each in dead.values())))).one()
    for (table, where), is_any in zip(dead.items(), found, strict=True):
        if is_any:
            await _in_chunks(database, table, where, delete(table).where(_is_row(table)), database.write)


def _dead(table: Table[Any]) -> ColumnElement[bool]:
    # Word for word the condition of the partial index, or SQLite would not use it.
    return literal_column(f"{table.name}.died") < literal_column(str(FOREVER))


def _is_row(table: Table[Any]) -> ColumnElement[bool]:
    return and_(*(column == bindparam(f"key_{column.name}") for column in table.primary_key.columns))


async def _in_chunks(
    database: Database, table: Table[Any], where: ColumnElement[bool], statement: Delete | Update, write: Writing
) -> None:
    """Apply a statement to the rows of a condition, which it must make false, `CHUNK` of them per transaction."""
    keys = [column.label(f"key_{column.name}") for column in table.primary_key.columns]
    while True:
        async with database.read() as reader:
            found = (await reader.execute(select(*keys).where(where).limit(FOUND_AT_ONCE))).mappings().all()
        for first in range(0, len(found), CHUNK):
            async with write() as connection:
                await connection.execute(statement, [dict(row) for row in found[first : first + CHUNK]])
        if len(found) < FOUND_AT_ONCE:
            return
