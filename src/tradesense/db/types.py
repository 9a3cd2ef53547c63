"""Column types that mean the same on both databases: exact decimals, UTC times, compact UUIDs, words of an enum."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Generic, TypeVar
from uuid import UUID

from sqlalchemy import JSON, BigInteger, DateTime, Integer, LargeBinary, Numeric, Text, Uuid
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine

from tradesense.domain import money
from tradesense.domain.local_time import instant, microseconds

E = TypeVar("E", bound=StrEnum)


_Turn = Callable[[Any], Any]


def _unless_none(turn: _Turn) -> _Turn:
    # Not `process_result_value`, which SQLAlchemy calls through two functions more: a list has a thousand values.
    return lambda value: None if value is None else turn(value)


def _in_utc(value: datetime) -> datetime:
    return value.astimezone(UTC)


def _uuid(value: bytes) -> UUID:
    return UUID(bytes=value)


def _plain_uuid(value: UUID) -> UUID:
    return UUID(bytes=value.bytes)


class ExactDecimal(TypeDecorator[Decimal]):
    """A decimal that comes back digit for digit: unconstrained NUMERIC on PostgreSQL, canonical text on SQLite.

    Text neither sorts nor adds up as a number: order and filter by a twin (see `real_twin`), and sum in Python.
    """

    impl = Numeric
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose the type that is exact."""
        return dialect.type_descriptor(Text() if dialect.name == "sqlite" else Numeric())

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:  # noqa: ANN401
        """Write the canonical form."""
        if value is None:
            return None
        return money.text(value) if dialect.name == "sqlite" else value

    def result_processor(self, dialect: Dialect, _coltype: object) -> _Turn | None:
        """Read the exact value; asyncpg gives it."""
        return _unless_none(Decimal) if dialect.name == "sqlite" else None


class UtcDateTime(TypeDecorator[datetime]):
    """An aware time, in UTC both ways: timestamptz on PostgreSQL, microseconds since 1970 on SQLite; refuses naive."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose the type that keeps microseconds and sorts."""
        return dialect.type_descriptor(BigInteger() if dialect.name == "sqlite" else DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:  # noqa: ANN401
        """Write UTC; raises ValueError for a naive time."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone")
        return microseconds(value) if dialect.name == "sqlite" else value.astimezone(UTC)

    def result_processor(self, dialect: Dialect, _coltype: object) -> _Turn:
        """Read aware UTC."""
        return _unless_none(instant if dialect.name == "sqlite" else _in_utc)


class Identifier(TypeDecorator[UUID]):
    """A UUID in 16 bytes: uuid on PostgreSQL, a blob on SQLite; both sort by its bytes."""

    impl = Uuid
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose the type of 16 bytes."""
        return dialect.type_descriptor(LargeBinary(16) if dialect.name == "sqlite" else Uuid())

    def process_bind_param(self, value: UUID | None, dialect: Dialect) -> Any:  # noqa: ANN401
        """Write the bytes."""
        return value.bytes if value is not None and dialect.name == "sqlite" else value

    def result_processor(self, dialect: Dialect, _coltype: object) -> _Turn:
        """Read the UUID, which asyncpg gives as a class of its own that no cache could give back."""
        return _unless_none(_uuid if dialect.name == "sqlite" else _plain_uuid)


class Word(TypeDecorator[E], Generic[E]):
    """A member of a `StrEnum`, stored as its value."""

    impl = Text
    cache_ok = True

    def __init__(self, words: type[E]) -> None:
        super().__init__()
        self.words = words

    def process_bind_param(self, value: E | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Write the value; raises ValueError for a word that is none of the enum's."""
        return None if value is None else self.words(value).value

    def result_processor(self, _dialect: Dialect, _coltype: object) -> _Turn:
        """Read the member; a look into a dictionary takes a sixth of the time that calling the enum does."""
        members: dict[str | None, E | None] = {None: None, **{word.value: word for word in self.words}}
        return members.__getitem__


class Document(TypeDecorator[Any]):
    """JSON, stored parsed on PostgreSQL; None is NULL."""

    impl = JSON
    cache_ok = True

    def __init__(self) -> None:
        super().__init__(none_as_null=True)

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose the parsed form where there is one."""
        return dialect.type_descriptor(JSONB(none_as_null=True) if dialect.name == "postgresql" else self.impl_instance)


def serial() -> BigInteger:
    """A whole number that counts itself up as a primary key."""
    return BigInteger().with_variant(Integer(), "sqlite")


class real_twin(FunctionElement[float]):  # noqa: N801 - reads as the SQL function it is
    """An exact decimal as a float, to order and filter by and for nothing else."""

    inherit_cache = True


@compiles(real_twin, "postgresql")
def _real_on_postgresql(element: real_twin, compiler: SQLCompiler, **kw: Any) -> str:  # noqa: ANN401
    return f"({compiler.process(element.clauses, **kw)})::double precision"


@compiles(real_twin)
def _real_elsewhere(element: real_twin, compiler: SQLCompiler, **kw: Any) -> str:  # noqa: ANN401
    return f"CAST({compiler.process(element.clauses, **kw)} AS REAL)"
