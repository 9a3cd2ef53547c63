"""Rows in bulk are the same rows as by the column types, on both databases."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, func, insert, select

from keel.ids import uuid7
from tradesense.db.bulk import COPIED_AT_ONCE, Bulk, RawRows
from tradesense.db.engine import Database
from tradesense.db.tables import cash_movements, executions
from tradesense.domain import money
from tradesense.domain.executions import ExecutionKind, Side

AT = datetime(2026, 1, 5, 12, 0, 0, 123456, tzinfo=UTC)
VARYING = ("id", "identity", "kind", "amount", "currency", "at", "local_time", "description")
EXAMPLES = settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@EXAMPLES
@given(st.lists(st.decimals(-(10**15), 10**15, places=6), min_size=1, max_size=20), st.text("äb c", max_size=5))
async def test_bulk_rows_read_as_they_were_given(database: Database, amounts: list[Decimal], told: str) -> None:
    account = uuid7()
    bulk = Bulk(cash_movements, ("born", "account_id", "zone"), VARYING, database.dialect)
    rows = [(uuid7(), bytes([n]) * 16, "fee", amount, "USD", AT, "12:00", told) for n, amount in enumerate(amounts)]
    async with database.write() as connection:
        await connection.execute(delete(cash_movements))
        await bulk.insert(connection, bulk.prepare((1, account, "UTC"), rows))
    columns = [cash_movements.c[name] for name in VARYING]
    chosen = select(*columns).where(cash_movements.c.account_id == account).order_by(cash_movements.c.identity)
    async with database.read() as connection:
        assert [tuple(row) for row in await connection.execute(chosen)] == rows


@pytest.mark.parametrize("count", [1, 10, 99, 1111, COPIED_AT_ONCE + 345])
async def test_however_many_rows_there_are_each_is_written_once(database: Database, count: int) -> None:
    account = uuid7()
    bulk = Bulk(cash_movements, ("born", "account_id", "zone"), VARYING, database.dialect)
    rows = [(uuid7(), n.to_bytes(16, "big"), "fee", Decimal(n), "USD", AT, "12:00", str(n)) for n in range(count)]
    async with database.write() as connection:
        await connection.execute(select(1))
        await bulk.insert(connection, bulk.prepare((1, account, "UTC"), rows))
    columns = [cash_movements.c[name] for name in VARYING]
    async with database.read() as connection:
        found = await connection.execute(select(*columns).order_by(cash_movements.c.identity))
        assert [tuple(row) for row in found] == rows
        same = select(func.count()).where(
            cash_movements.c.born == 1, cash_movements.c.account_id == account, cash_movements.c.zone == "UTC"
        )
        assert await connection.scalar(same) == count


@pytest.mark.parametrize("rates", [(None, None), (None, Decimal("1.50")), (Decimal(2), Decimal(3))])
def test_a_column_may_be_empty_in_some_rows_or_in_all(rates: tuple[Decimal | None, ...]) -> None:
    bulk = Bulk(executions, ("born",), ("kind", "fx_to_account", "identity"), "sqlite")
    batch = bulk.prepare((7,), [(ExecutionKind.TRADE, rate, b"i") for rate in rates])
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE executions (born, kind, fx_to_account, identity)")
        for statement, values in batch.parts:
            connection.executemany(statement, values)
        texts = [None if rate is None else money.text(rate) for rate in rates]
        found = connection.execute("SELECT * FROM executions").fetchall()
        assert found == [(7, "trade", text, b"i") for text in texts]


async def test_raw_rows_read_as_the_column_types_do(database: Database) -> None:
    names = ("id", "at", "side", "quantity", "order_key")
    row = {
        "id": uuid7(),
        "born": 1,
        "account_id": uuid7(),
        "amount": Decimal("-0.50"),
        "currency": "USD",
        "at": AT,
        "identity": b"i" * 16,
        "kind": "fee",
        "local_time": "",
        "zone": "UTC",
    }
    async with database.write() as connection:
        await connection.execute(insert(cash_movements).values(row))
    columns = [cash_movements.c[name] for name in ("id", "amount", "at", "identity")]
    raw = RawRows(columns, database.dialect)
    async with database.read() as connection:
        (found,) = raw.parse((await connection.execute(select(*raw.columns))).all())
        assert found == tuple((await connection.execute(select(*columns))).one())
    assert list(RawRows([executions.c[name] for name in names], database.dialect).parse([])) == []


async def test_words_come_back_as_members(database: Database) -> None:
    raw = RawRows([executions.c.side], database.dialect)
    assert [side for (side,) in raw.parse([("sell",)])] == [Side.SELL]
    with pytest.raises(KeyError):
        list(raw.parse([("hold",)]))


async def test_no_rows_are_no_statement(database: Database) -> None:
    bulk = Bulk(cash_movements, ("born",), VARYING, database.dialect)
    async with database.write() as connection:
        await bulk.insert(connection, bulk.prepare((1,), []))
