"""The database, its transactions and its column types, on SQLite and PostgreSQL."""

import asyncio
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import pytest
from sqlalchemy import insert, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError, StatementError

from keel.ids import uuid7
from tradesense.db.engine import Database, WriteConnection, database_url
from tradesense.db.tables import Role, accounts, users

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


async def _add_user(connection: WriteConnection, email: str, at: datetime = NOON) -> None:
    await connection.execute(insert(users).values(id=uuid7(), email=email, password_hash="x", created_at=at))


async def _emails(database: Database) -> set[str]:
    async with database.read() as connection:
        return set((await connection.scalars(select(users.c.email))).all())


async def test_a_block_that_raises_writes_nothing(database: Database) -> None:
    async with database.write() as connection:
        await _add_user(connection, "stays@example.org")

    async def fail() -> None:
        async with database.write() as connection:
            await _add_user(connection, "goes@example.org")
            raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        await fail()
    assert await _emails(database) == {"stays@example.org"}


async def test_an_id_is_read_as_a_plain_uuid(database: Database) -> None:
    async with database.write() as connection:
        await _add_user(connection, "a@example.org")
    async with database.read() as connection:
        assert type(await connection.scalar(select(users.c.id))) is UUID


async def test_a_reader_cannot_write(database: Database) -> None:
    async with database.read() as connection:
        with pytest.raises(DBAPIError):
            await connection.execute(text("DELETE FROM users"))


async def test_a_reader_sees_one_state_throughout_and_does_not_wait_for_a_writer(database: Database) -> None:
    async with database.read() as reader:
        count = text("SELECT count(*) FROM users")
        assert await reader.scalar(count) == 0
        async with database.write() as connection:
            await _add_user(connection, "a@example.org")
        assert await reader.scalar(count) == 0
    assert await _emails(database) == {"a@example.org"}


async def test_writers_in_one_process_all_come_through(database: Database) -> None:
    async def write(number: int) -> None:
        async with database.write() as connection:
            await _add_user(connection, f"{number}@example.org")
            await asyncio.sleep(0)

    await asyncio.gather(*(write(number) for number in range(20)))
    assert len(await _emails(database)) == 20


async def test_a_row_whose_parent_is_missing_is_refused(database: Database) -> None:
    orphan = {"id": uuid7(), "user_id": uuid7(), "name": "A", "currency": "USD", "created_at": NOON}
    with pytest.raises(IntegrityError):
        async with database.write() as connection:
            await connection.execute(insert(accounts).values(orphan))


async def test_values_come_back_as_they_went_in(database: Database) -> None:
    user, account = uuid7(), uuid7()
    at = datetime(2026, 3, 29, 1, 2, 3, 456789, tzinfo=timezone(timedelta(hours=-5)))
    balance = Decimal("12345678901234567890.123456789012345678901234")
    async with database.write() as connection:
        await connection.execute(
            insert(users).values(id=user, email="e", password_hash="x", role=Role.ADMIN, created_at=at)
        )
        await connection.execute(
            insert(accounts).values(
                id=account,
                user_id=user,
                name="A",
                currency="USD",
                starting_balance=balance,
                fees={"future": "0.85"},
                created_at=at,
            )
        )
    async with database.read() as connection:
        who = (await connection.execute(select(users.c.id, users.c.role, users.c.created_at))).one()
        row = (
            await connection.execute(
                select(accounts.c.id, accounts.c.starting_balance, accounts.c.fees, accounts.c.multipliers)
            )
        ).one()
    assert tuple(who) == (user, Role.ADMIN, at)
    assert who.role is Role.ADMIN
    assert who.created_at.tzinfo is UTC
    assert tuple(row) == (account, balance, {"future": "0.85"}, None)


async def test_a_naive_time_and_an_unknown_word_are_refused(database: Database) -> None:
    for wrong in ({"created_at": NOON.replace(tzinfo=None)}, {"created_at": NOON, "role": "king"}):
        with pytest.raises(StatementError):
            async with database.write() as connection:
                await connection.execute(insert(users).values(id=uuid7(), email="e", password_hash="x", **wrong))


async def test_an_update_through_core_uses_the_same_types(database: Database) -> None:
    async with database.write() as connection:
        await _add_user(connection, "a@example.org")
        later = NOON + timedelta(microseconds=1)
        await connection.execute(update(users).where(users.c.created_at == NOON).values(disabled_at=later))
    async with database.read() as connection:
        assert await connection.scalar(select(users.c.disabled_at)) == later


@pytest.mark.parametrize(
    ("given_url", "driver"),
    [
        ("postgres://u:p@h/d", "postgresql+asyncpg"),
        ("postgresql://u:p@h/d", "postgresql+asyncpg"),
        ("postgresql+psycopg://u:p@h/d", "postgresql+asyncpg"),
        ("sqlite:///x.db", "sqlite+aiosqlite"),
    ],
)
def test_urls_are_taken_as_hosting_services_give_them(given_url: str, driver: str) -> None:
    assert database_url(given_url).drivername == driver


def test_another_database_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="mysql"):
        database_url("mysql://u:p@h/d")
