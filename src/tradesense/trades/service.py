"""What is asked of trades: lists, one with its executions, edits, and all of them as a stream."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from keel.errors import NotFound
from tradesense.db.engine import Database, ReadConnection
from tradesense.http.authentication import UserId
from tradesense.http.paging import After
from tradesense.journal.repository import Annotation
from tradesense.journal.service import Anchor, Notebook
from tradesense.trades import repository
from tradesense.trades.repository import (
    ORDERS,
    ExecutionFilter,
    ExecutionRow,
    Sort,
    TradeFilter,
    TradeRow,
)

EXPORT_CHUNK: Final = 1000


class TradeNotFound(NotFound):
    """There is no such trade."""

    def __init__(self) -> None:
        super().__init__("There is no such trade; a trade's id goes with the execution that opened it.")


class ExecutionNotFound(NotFound):
    """There is no such execution."""

    def __init__(self) -> None:
        super().__init__("There is no such execution.")


class AnnotatedTrade(NamedTuple):
    """A trade and what is written about it."""

    trade: TradeRow
    annotation: Annotation | None


class Detailed(NamedTuple):
    """A trade, what is written about it, and its executions."""

    trade: TradeRow
    annotation: Annotation | None
    executions: Sequence[ExecutionRow]


@dataclass(frozen=True, slots=True)
class Period:
    """From the first day to the last, both included, of a time zone."""

    first: date | None
    last: date | None
    zone: ZoneInfo

    @property
    def begins(self) -> datetime | None:
        """The first instant."""
        return None if self.first is None else datetime.combine(self.first, time(), self.zone)

    @property
    def ends(self) -> datetime | None:
        """The first instant after."""
        return None if self.last is None else datetime.combine(self.last + timedelta(days=1), time(), self.zone)


class TradeArchive:
    """A user's trades and the executions beneath them."""

    def __init__(self, database: Database, notebook: Notebook) -> None:
        self._database = database
        self._notebook = notebook

    async def trades(
        self, user: UserId, wanted: TradeFilter, sort: Sort, limit: int, after: After[Any] | None
    ) -> list[AnnotatedTrade]:
        """A part of the list of trades, at most `limit`."""
        async with self._database.read() as connection:
            return await self._annotated(connection, user, wanted, sort, limit, after)

    async def _annotated(
        self,
        connection: ReadConnection,
        user: UserId,
        wanted: TradeFilter,
        sort: Sort,
        limit: int,
        after: After[Any] | None,
    ) -> list[AnnotatedTrade]:
        found = await repository.list_trades(connection, user, wanted, sort, limit, after)
        written = await self._notebook.annotations(connection, user, {trade.id: trade.anchor for trade in found})
        return [AnnotatedTrade(trade, written.get(trade.id)) for trade in found]

    async def every(self, user: UserId, wanted: TradeFilter, sort: Sort) -> AsyncIterator[list[AnnotatedTrade]]:
        """All trades that the filter asks for, in parts, as they are at this moment: one snapshot throughout."""
        order, after = ORDERS[sort], None
        async with self._database.read() as connection:
            while part := await self._annotated(connection, user, wanted, sort, EXPORT_CHUNK, after):
                yield part
                last = part[-1].trade
                after = After(order.value(last), last.id)

    async def trade(self, user: UserId, trade: UUID) -> Detailed:
        """One trade with its executions; raises `TradeNotFound`."""
        async with self._database.read() as connection:
            found = await _present(connection, user, trade)
            written = await self._notebook.annotations(connection, user, {found.id: found.anchor})
            executions = await repository.executions_of(connection, user, found)
        return Detailed(found, written.get(found.id), executions)

    async def annotate(self, user: UserId, trade: UUID, edit: Mapping[str, Any], expected: int | None) -> int:
        """Write about a trade and return the user's version; raises `TradeNotFound` and what `Notebook` raises."""
        async with self._database.write() as connection:
            found = await _present(connection, user, trade)
            anchor = Anchor(found.id, found.anchor, found.account_id)
            return await self._notebook.annotate(connection, user, anchor, edit, expected)

    async def executions(
        self, user: UserId, wanted: ExecutionFilter, limit: int, after: After[datetime] | None
    ) -> list[ExecutionRow]:
        """A part of the list of executions, newest first."""
        async with self._database.read() as connection:
            return await repository.list_executions(connection, user, wanted, limit, after)

    async def execution(self, user: UserId, execution: UUID) -> ExecutionRow:
        """One execution; raises `ExecutionNotFound`."""
        async with self._database.read() as connection:
            found = await repository.find_execution(connection, user, execution)
        if found is None:
            raise ExecutionNotFound
        return found


async def _present(connection: ReadConnection, user: UserId, trade: UUID) -> TradeRow:
    found = await repository.find_trade(connection, user, trade)
    if found is None:
        raise TradeNotFound
    return found
