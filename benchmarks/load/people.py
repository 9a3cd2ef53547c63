"""A database full of people: users with sessions, accounts, instruments, and trades shared out by Zipf's law.

All is written the way an import writes it (the same matching, the same packed segments), but for all users together,
and without passwords.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import accumulate, groupby, pairwise
from operator import itemgetter
from random import Random
from typing import Any, Final
from uuid import UUID

from sqlalchemy import insert, select, text

from keel.clock import SystemClock
from keel.sessions.contract import token_hash
from tradesense.brokers.identities import execution_id
from tradesense.db.engine import Database, WriteConnection
from tradesense.db.migrations import migrate
from tradesense.db.tables import accounts, books, instrument_aliases, instruments, sessions, users
from tradesense.domain.executions import Execution, ExecutionKind, Side, order_key
from tradesense.domain.instruments import AssetClass, Instrument
from tradesense.domain.local_time import microseconds
from tradesense.domain.matching import match, segments
from tradesense.domain.money import ONE, exact
from tradesense.domain.packing import pack
from tradesense.ingest.repository.ledgers import LedgerRows
from tradesense.ingest.repository.places import key_text
from tradesense.ingest.repository.staging import Rows

DAYS: Final = 700
"""How far back trades go."""
REMEMBERED: Final = 20
"""Trades of each user, the latest of each symbol, that may be written about."""
_BY_HAND: Final = "manual"
_GENERATION: Final = 1
_COMMISSION: Final = Decimal("1.07")


@dataclass(frozen=True)
class Person:
    """A user who is logged in, and what they need to know to write: trades and symbols of theirs."""

    user: UUID
    account: UUID
    token: str
    symbols: list[str]
    trades: list[UUID] = field(default_factory=list)


def zipf(count: int) -> list[float]:
    """The cumulative shares of `count` ranks by Zipf's law with s = 1: the second has half of what the first has."""
    sums = list(accumulate(1 / rank for rank in range(1, count + 1)))
    return [each / sums[-1] for each in sums]


def shared_out(total: int, count: int) -> list[int]:
    """`total` things shared out among `count` ranks by Zipf's law, to the last one."""
    ends = [0, *(round(share * total) for share in zipf(count))]
    return [end - start for start, end in pairwise(ends)]


async def settle(url: str, people: int, trades: int, seed: int) -> list[Person]:
    """Fill an empty database with people, the one with the most trades first; the same ones for the same seed."""
    database, random = Database(url), Random(seed)
    await migrate(database)
    settled = [_person(random, number, share) for number, share in enumerate(shared_out(trades, people))]
    now = SystemClock().now()
    async with database.write() as connection:
        await _admit(connection, settled, now)
        places = await _books(connection, settled, random)
        for person, share in zip(settled, shared_out(trades, people), strict=True):
            await _trade(connection, person, places[person.account], _Trading(random, now, share))
    if database.dialect == "postgresql":  # as the server does by itself, sooner or later
        async with database.write() as connection:
            await connection.execute(text("ANALYZE"))
    await database.close()
    return settled


def _person(random: Random, number: int, trades: int) -> Person:
    symbols = [f"S{each}" for each in range(min(20, 2 + trades // 200))]
    return Person(_uuid(random), _uuid(random), f"{number:06}{random.getrandbits(128):032x}", symbols)


def _uuid(random: Random) -> UUID:
    return UUID(int=random.getrandbits(128), version=4)


async def _admit(connection: WriteConnection, settled: list[Person], now: datetime) -> None:
    later = now + timedelta(days=7)
    rows: dict[Any, list[dict[str, Any]]] = {users: [], sessions: [], accounts: []}
    for number, each in enumerate(settled):
        email = f"trader{number}@example.org"
        rows[users].append({"id": each.user, "email": email, "password_hash": "none", "created_at": now})
        rows[sessions].append(
            {
                "id": each.account,
                "user_id": each.user,
                "token_hash": token_hash(each.token),
                "created_at": now,
                "last_seen_at": now,
                "expires_at": later,
                "absolute_expires_at": later,
            }
        )
        rows[accounts].append(
            {
                "id": each.account,
                "user_id": each.user,
                "name": "Main",
                "currency": "USD",
                "starting_balance": Decimal(100_000),
                "generation": _GENERATION,
                "created_at": now,
            }
        )
    for table, values in rows.items():
        await connection.execute(insert(table), values)


async def _books(connection: WriteConnection, settled: list[Person], random: Random) -> dict[UUID, list[int]]:
    rows: dict[Any, list[dict[str, Any]]] = {instruments: [], instrument_aliases: [], books: []}
    for person in settled:
        for symbol in person.symbols:
            instrument, id_ = Instrument(symbol, AssetClass.STOCK, "USD", symbol), _uuid(random)
            own = {"user_id": person.user, "symbol": symbol}
            traded = {"id": id_, "key": key_text(instrument.key), "root": symbol}
            rows[instruments].append({**own, **traded, "asset_class": AssetClass.STOCK, "currency": "USD"})
            rows[instrument_aliases].append({**own, "instrument_id": id_})
            rows[books].append({"account_id": person.account, "instrument_id": id_, "multiplier": ONE})
    for table, values in rows.items():
        await connection.execute(insert(table), values)
    found = await connection.execute(select(books.c.account_id, books.c.id).order_by(books.c.account_id, books.c.id))
    return {account: [row.id for row in group] for account, group in groupby(found, itemgetter(0))}


@dataclass(frozen=True)
class _Trading:
    """How somebody trades: `count` round trips until `now`."""

    random: Random
    now: datetime
    count: int

    def fills(self, account: UUID, first: int, every: int) -> Iterator[Execution]:
        """Every `every`-th trade from the `first` on, in and out; the last of the first book stays open."""
        price = self.random.randint(1_000, 40_000)
        gap = timedelta(days=DAYS) / (self.count + 1)
        for number in range(first, self.count, every):
            entered = self.now - gap * (self.count - number)
            quantity = Decimal(self.random.randint(1, 500))
            price = max(500, price + self.random.randint(-60, 60))
            sides = self.random.choice(((Side.BUY, Side.SELL), (Side.SELL, Side.BUY)))
            yield self._fill(account, entered, sides[0], quantity, price)
            if number < self.count - every or first:
                leaving = price + self.random.randint(-40, 41) * (1 if sides[0] is Side.BUY else -1)
                yield self._fill(account, entered + gap * self.random.random(), sides[1], quantity, leaving)

    def _fill(self, account: UUID, at: datetime, side: Side, quantity: Decimal, cents: int) -> Execution:
        identity = self.random.randbytes(16)
        id_ = execution_id(account, identity, at.replace(tzinfo=None))
        order = order_key(microseconds(at), 0, identity)
        return Execution(id_, order, at, side, quantity, Decimal(cents) / 100, _COMMISSION)


async def _trade(connection: WriteConnection, person: Person, places: list[int], trading: _Trading) -> None:
    dialect = connection.dialect.name
    same = (_GENERATION, person.account)
    fills, trades, parts = _ledger(person, places, trading)
    executions, ledger = Rows(dialect).executions, LedgerRows(dialect)
    await executions.insert(connection, executions.prepare((*same, _BY_HAND, _BY_HAND, "UTC"), fills))
    await ledger.trades.insert(connection, ledger.trades.prepare(same, trades))
    await ledger.segments.insert(connection, ledger.segments.prepare(same, parts))


def _ledger(person: Person, places: list[int], trading: _Trading) -> tuple[list[Any], list[Any], list[Any]]:
    """The rows of a person's executions, trades and segments."""
    fills: list[tuple[Any, ...]] = []
    trades: list[tuple[Any, ...]] = []
    parts: list[tuple[Any, ...]] = []
    for place, book in enumerate(places):
        executions = sorted(trading.fills(person.account, place, len(places)), key=itemgetter(1))
        fills += [_row(book, each) for each in executions]
        for ordinal, part in enumerate(segments(match(executions, multiplier=ONE))):
            with exact():
                trades += [(book, ordinal, *trade[:-1], trade.net) for trade in part]
            size = sum(trade.executions for trade in part)
            parts.append((book, ordinal, part[0].first, part[-1].last, size, pack(part)))
            person.trades[:] = [*(trade.id for trade in part[-2:]), *person.trades][:REMEMBERED]
    return fills, trades, parts


def _row(book: int, execution: Execution) -> tuple[Any, ...]:
    id_, order, at, side, quantity, price, costs, _ = execution
    named = (id_, book, order[-16:], order, at, side, ExecutionKind.TRADE)
    return (*named, quantity, price, costs, Decimal(0), None, _BY_HAND, at.isoformat())
