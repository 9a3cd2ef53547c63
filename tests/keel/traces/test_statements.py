from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from keel.context import MOST_STATEMENTS, Segment, doing
from keel.traces.recorder import Traces
from keel.traces.statements import REPEATED, normalised, summarised
from tradesense.db.engine import Database, ReadConnection


@pytest.fixture
def segment() -> Iterator[Segment]:
    """A segment that is under way."""
    begun = Traces().begin("job", "test")
    token = doing.set(begun)
    yield begun
    doing.reset(token)


async def ask(connection: ReadConnection, value: object = 1) -> None:
    await connection.execute(text("SELECT CAST(:value AS VARCHAR) AS a"), {"value": str(value)})


async def test_each_statement_is_a_span_without_its_values(database: Database, segment: Segment) -> None:
    async with database.read() as connection:
        await ask(connection, "hunter2")
    async with database.write() as connection:
        await connection.execute(
            text("DELETE FROM users WHERE email = 'bob@example.com' AND timezone = :a"), {"a": "x"}
        )
    spans = [each for each in segment.spans if not each.name.startswith("BEGIN")]
    assert [each.name for each in spans] == ["SELECT", "DELETE users"]
    assert spans[1].attributes is not None
    assert spans[1].attributes["db.query.text"].startswith("DELETE FROM users WHERE email = ? AND timezone = ")
    assert {each.attributes["db.system.name"] for each in spans if each.attributes} == {database.dialect}
    assert all(each.parent_id == segment.span_id and each.kind == "client" for each in spans)
    assert segment.queries == 2
    assert 0 < segment.queries_s < 60
    assert "hunter2" not in str(segment.spans)
    assert "bob@" not in str(segment.spans)


async def test_a_statement_that_is_repeated_is_known_with_its_caller(database: Database, segment: Segment) -> None:
    async with database.read() as connection:
        for number in range(REPEATED):
            assert segment.statements is None or not next(iter(segment.statements.values())).caller
            await ask(connection, number)
    assert segment.statements is not None
    (found,) = segment.statements.values()
    assert found.count == segment.queries == REPEATED
    file, _, function = found.caller.rpartition(" ")
    assert file.startswith("tests/keel/traces/test_statements.py:")
    assert function == "ask"


async def test_a_statement_that_fails_is_a_span_that_says_so(database: Database, segment: Segment) -> None:
    with pytest.raises(DBAPIError) as failed:
        async with database.read() as connection:
            await connection.execute(text("SELECT a FROM nowhere WHERE b = :b"), {"b": "hunter2"})
    assert "hunter2" not in str(failed.value)
    (span,) = segment.spans
    assert (span.name, bool(span.error)) == ("SELECT nowhere", True)


async def test_outside_of_everything_nothing_is_recorded(database: Database) -> None:
    async with database.read() as connection:
        await ask(connection)
    assert doing.get() is None


async def test_only_so_many_statements_are_told_apart(database: Database, segment: Segment) -> None:
    async with database.read() as connection:
        for number in range(MOST_STATEMENTS + 5):
            await connection.execute(text(f"SELECT 1 AS a{number}"))
    assert segment.queries == MOST_STATEMENTS + 5
    assert segment.statements is not None
    assert len(segment.statements) == MOST_STATEMENTS


@pytest.mark.parametrize(
    ("statement", "shown"),
    [
        ("SELECT a\n  FROM t WHERE b = 'it''s'  AND c > 3.5", "SELECT a FROM t WHERE b = ? AND c > ?"),
        ("SELECT t1.a FROM t1 WHERE id IN (?, ?, ?)", "SELECT t1.a FROM t1 WHERE id IN (?, …)"),
        (
            "SELECT a FROM t WHERE id IN ($1::UUID, $2::UUID) AND b = $3",
            "SELECT a FROM t WHERE id IN (?, …) AND b = $3",
        ),
        ("INSERT INTO t (a, b) VALUES (?, ?), (?, ?), (?, ?)", "INSERT INTO t (a, b) VALUES (?, …), …"),
        ("SELECT a FROM t LIMIT 5 OFFSET :offset_1", "SELECT a FROM t LIMIT ? OFFSET :offset_1"),
    ],
)
def test_statements_that_differ_in_values_alone_are_one(statement: str, shown: str) -> None:
    assert normalised(statement) == shown


@pytest.mark.parametrize(
    ("statement", "summary"),
    [
        ("SELECT a FROM trades JOIN b", "SELECT trades"),
        ("insert into public.trades values", "INSERT public.trades"),
        ('UPDATE "users" SET a = ?', "UPDATE users"),
        ("DELETE FROM users", "DELETE users"),
        ("CREATE TABLE IF NOT EXISTS t (a int)", "CREATE t"),
        ("WITH x AS (SELECT 1) SELECT 2", "WITH"),
        ("BEGIN IMMEDIATE", "BEGIN IMMEDIATE"),
    ],
)
def test_a_statement_is_named_by_what_it_does_and_to_what(statement: str, summary: str) -> None:
    assert summarised(statement) == summary


@given(st.text())
def test_any_text_can_be_normalised(statement: str) -> None:
    once = normalised(statement)
    assert normalised(once) == once
    assert "\n" not in once
