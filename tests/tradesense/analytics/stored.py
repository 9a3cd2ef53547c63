"""Books stored as an import leaves them: executions, trades and segments of the account's first generation."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import insert, update

from keel.ids import uuid7
from tests.application import Person, Served
from tradesense.brokers.contract import CashKind
from tradesense.db.engine import Database, WriteConnection
from tradesense.db.tables import accounts, books, cash_movements, executions, instruments, segments, trades
from tradesense.domain.executions import Execution, ExecutionId, Side, order_key
from tradesense.domain.instruments import AssetClass
from tradesense.domain.local_time import microseconds
from tradesense.domain.matching import match
from tradesense.domain.matching import segments as cut
from tradesense.domain.money import exact
from tradesense.domain.packing import pack
from tradesense.domain.trades import Trade
from tradesense.http.authentication import UserId
from tradesense.http.versions import raise_data_version

GENERATION = 1


class Fill(NamedTuple):
    """A fill: when (UTC, ISO 8601), the signed quantity, price and costs."""

    at: str
    quantity: str | int
    price: str | int
    costs: str | int = 0


@dataclass(frozen=True, slots=True)
class Traded:
    """What is traded."""

    symbol: str
    asset_class: AssetClass = AssetClass.STOCK
    currency: str = "USD"
    multiplier: str = "1"
    underlying: str | None = None


VT = Traded("VT")
MNQ = Traded("MNQM6", AssetClass.FUTURE, multiplier="2", underlying="MNQ")
SAP = Traded("SAP", currency="EUR")


def utc(at: str) -> datetime:
    return datetime.fromisoformat(at).replace(tzinfo=UTC)


def execution(number: int, fill: Fill) -> Execution:
    at, signed = utc(fill.at), Decimal(fill.quantity)
    identity = uuid7()
    return Execution(
        id=ExecutionId(identity),
        order=order_key(microseconds(at), number, identity.bytes),
        at=at,
        side=Side.BUY if signed > 0 else Side.SELL,
        quantity=abs(signed),
        price=Decimal(fill.price),
        costs=Decimal(fill.costs),
    )


class Store:
    """Somebody's accounts and books."""

    def __init__(self, database: Database, owner: UUID) -> None:
        self._database = database
        self._owner = owner

    @asynccontextmanager
    async def _writing(self) -> AsyncIterator[WriteConnection]:
        """A write that is counted, as every write of a user's data is."""
        async with self._database.write() as connection:
            yield connection
            await raise_data_version(connection, UserId(self._owner))

    async def account(
        self, name: str = "Main", *, currency: str = "USD", balance: str | None = "10000", deleted: bool = False
    ) -> UUID:
        """Add an account whose first generation counts."""
        account = uuid7()
        now = utc("2026-01-01T00:00")
        row = {
            "id": account,
            "user_id": self._owner,
            "name": name,
            "currency": currency,
            "starting_balance": None if balance is None else Decimal(balance),
            "generation": GENERATION,
            "created_at": now,
            "deleted_at": now if deleted else None,
        }
        async with self._writing() as connection:
            await connection.execute(insert(accounts).values(row))
        return account

    async def book(
        self, account: UUID, traded: Traded, *fills: Fill, born: int = GENERATION, target: int = 4096
    ) -> list[Trade]:
        """Add a book with these fills, cut into segments of at least `target` of them."""
        listed = [execution(number, fill) for number, fill in enumerate(fills)]
        matched = list(match(listed, multiplier=Decimal(traded.multiplier)))
        async with self._writing() as connection:
            place = {"account_id": account, "born": born, "book_id": await self._opened(connection, account, traded)}
            await connection.execute(insert(executions), [{**place, **_execution_row(each)} for each in listed])
            for ordinal, segment in enumerate(cut(matched, target)):
                await _add_segment(connection, place, ordinal, segment)
        return matched

    async def _opened(self, connection: WriteConnection, account: UUID, traded: Traded) -> int:
        instrument = uuid7()
        row = {
            "id": instrument,
            "user_id": self._owner,
            "key": f"{instrument}",
            "symbol": traded.symbol,
            "asset_class": traded.asset_class,
            "root": traded.symbol,
            "underlying": traded.underlying,
            "currency": traded.currency,
        }
        await connection.execute(insert(instruments).values(row))
        book = {"account_id": account, "instrument_id": instrument, "multiplier": Decimal(traded.multiplier)}
        return (await connection.execute(insert(books).values(book).returning(books.c.id))).scalar_one()

    async def cash(
        self, account: UUID, at: str, amount: str, kind: CashKind = CashKind.DEPOSIT, currency: str = "USD"
    ) -> None:
        """Move cash."""
        movement = uuid7()
        row = {
            "id": movement,
            "account_id": account,
            "born": GENERATION,
            "identity": movement.bytes,
            "kind": kind.value,
            "amount": Decimal(amount),
            "currency": currency,
            "at": utc(at),
            "local_time": at,
            "zone": "UTC",
        }
        async with self._writing() as connection:
            await connection.execute(insert(cash_movements).values(row))

    async def generation(self, account: UUID, number: int) -> None:
        """Publish a generation."""
        async with self._writing() as connection:
            await connection.execute(update(accounts).where(accounts.c.id == account).values(generation=number))


def _execution_row(each: Execution) -> dict[str, Any]:
    return {
        "id": each.id,
        "identity": each.id.bytes,
        "order_key": each.order,
        "at": each.at,
        "side": each.side,
        "kind": each.kind,
        "quantity": each.quantity,
        "price": each.price,
        "commission": each.costs,
        "fees": Decimal(0),
        "broker": "test",
        "format": "test",
        "local_time": each.at.isoformat(),
        "zone": "UTC",
    }


async def _add_segment(
    connection: WriteConnection, place: dict[str, Any], ordinal: int, segment: Sequence[Trade]
) -> None:
    row = {
        **place,
        "ordinal": ordinal,
        "first": segment[0].first,
        "last": segment[-1].last,
        "executions": len(segment),
        "blob": pack(segment),
    }
    await connection.execute(insert(segments).values(row))
    with exact():
        rows = [{**place, "segment": ordinal, "net": trade.net, **_trade_row(trade)} for trade in segment]
    await connection.execute(insert(trades), rows)


def _trade_row(trade: Trade) -> dict[str, Any]:
    row = trade._asdict()
    del row["realisations"]
    return row


def store(app: Served, person: Person) -> Store:
    """What a person of a running application has stored."""
    return Store(app.state["notebook"]._database, UUID(person.user_id))
