"""What is asked of trades: lists, one with its executions, edits, and all of them as a stream."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from keel.errors import Invalid, NotFound
from tradesense.accounts.repository import Account, AccountId
from tradesense.accounts.service import Accounts
from tradesense.brokers.contract import Options
from tradesense.brokers.instruments import Instruments
from tradesense.brokers.tables import RowError
from tradesense.db.engine import Database, ReadConnection
from tradesense.domain import money
from tradesense.domain.executions import Side
from tradesense.domain.instruments import AssetClass, Instrument
from tradesense.domain.matching import NotExact
from tradesense.http.authentication import UserId
from tradesense.http.paging import After
from tradesense.ingest.service.manual import Entered, ExecutionNotFound, ManualExecutions
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

    async def annotate(
        self, user: UserId, trade: UUID, edit: Mapping[str, Any], expected: int | None
    ) -> tuple[Detailed, int]:
        """Write about a trade; with it comes the user's version. Raises `TradeNotFound` and what `Notebook` raises."""
        async with self._database.write() as connection:
            found = await _present(connection, user, trade)
            anchor = Anchor(found.id, found.anchor, found.account_id)
            written, version = await self._notebook.annotate(connection, user, anchor, edit, expected)
            return Detailed(found, written, await repository.executions_of(connection, user, found)), version

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


@dataclass(frozen=True, slots=True)
class Entry:
    """A fill as a person enters it: what is None is known from the symbol or from the account."""

    account_id: AccountId
    symbol: str
    asset_class: AssetClass | None
    currency: str | None
    multiplier: Decimal | None
    side: Side
    quantity: Decimal
    price: Decimal
    commission: Decimal | None
    fees: Decimal
    executed_at: datetime


class SymbolUnknown(Invalid):
    """The symbol names a contract whose multiplier is not known."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail, loc=("body", "symbol"))


class NumbersTooLong(Invalid):
    """The book's numbers have too many digits to be added up exactly."""

    def __init__(self) -> None:
        super().__init__("With this fill the book cannot be added up exactly: use fewer digits.", loc=("body", "price"))


class ManualEntry:
    """Fills entered and deleted by hand."""

    def __init__(self, accounts: Accounts, executions: ManualExecutions) -> None:
        self._accounts = accounts
        self._executions = executions

    async def add(self, user: UserId, entry: Entry, zone: str) -> tuple[UUID, int]:
        """Enter a fill; gives its id and the user's version.

        Raises `SymbolUnknown`, `NumbersTooLong`, and what `Accounts.get` and `ManualExecutions.add` raise.
        """
        account = await self._accounts.get(user, entry.account_id)
        entered = Entered(
            _instrument(entry, account),
            entry.side,
            entry.quantity,
            entry.price,
            entry.executed_at,
            _usual_commission(account, entry.quantity) if entry.commission is None else entry.commission,
            entry.fees,
            zone=zone,
            multiplier=entry.multiplier,
        )
        try:
            return await self._executions.add(user, account.id, entered)
        except NotExact as error:
            raise NumbersTooLong from error

    async def delete(self, user: UserId, execution: UUID) -> int:
        """Delete a fill; raises what `ManualExecutions.delete` raises."""
        return await self._executions.delete(user, execution)


def _instrument(entry: Entry, account: Account) -> Instrument:
    options = Options(ZoneInfo("UTC"), currency=account.currency, multipliers=account.multipliers)
    try:
        return Instruments(options).named(
            entry.symbol,
            entry.executed_at.date(),
            entry.currency,
            asset_class=entry.asset_class,
            multiplier=entry.multiplier,
        )
    except RowError as error:
        raise SymbolUnknown(f"{error}.") from error


def _usual_commission(account: Account, quantity: Decimal) -> Decimal:
    """What the account's fee profile makes of a fill."""
    fees = account.fees or {}
    with money.exact():
        return Decimal(fees.get("per_fill", "0")) + Decimal(fees.get("per_unit", "0")) * quantity


async def _present(connection: ReadConnection, user: UserId, trade: UUID) -> TradeRow:
    found = await repository.find_trade(connection, user, trade)
    if found is None:
        raise TradeNotFound
    return found
