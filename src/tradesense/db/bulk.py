"""Many rows at once: prepared in a thread, written by the shortest way each database has, read back raw."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import chain, islice, repeat
from operator import attrgetter
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import Column, LargeBinary, Table, type_coerce
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.types import NullType

from tradesense.db.engine import WriteConnection
from tradesense.db.types import ExactDecimal, Identifier, UtcDateTime, Word
from tradesense.domain import money
from tradesense.domain.local_time import instant, microseconds

Convert = Callable[[Any], Any]

_TO_SQLITE: Final[dict[type, Convert]] = {
    Identifier: lambda value: bytearray(value.int.to_bytes(16, "big")),
    LargeBinary: bytearray,
    Word: attrgetter("_value_"),
    ExactDecimal: money.text,
    UtcDateTime: microseconds,
}
"""A bytearray and a plain string the driver takes as they are; for bytes, a word of an enum and None it looks for an
adapter first, which takes five times as long as the rest, and holds the interpreter's lock meanwhile."""
_FROM_SQLITE: Final[dict[type, Convert]] = {
    Identifier: lambda value: UUID(bytes=value),
    ExactDecimal: Decimal,
    UtcDateTime: instant,
}


ROWS_AT_ONCE: Final = (1000, 100, 10, 1)
"""Rows of one statement on SQLite, greatest first: a table needs few statements, and none has more than 32,766 values,
SQLite's limit. Around each statement the thread that writes waits for the interpreter's lock, a switch
interval where another thread computes: row by row, hardly anything would be written before that one pauses."""
COPIED_AT_ONCE: Final = 2000
"""Rows of one COPY on PostgreSQL: the event loop encodes them in some 15 ms."""


class Batch(NamedTuple):
    """Rows in the driver's own values, ready to be written: each part is a statement and what it is run with.

    On PostgreSQL the statement is empty, and the rows are copied.
    """

    parts: Sequence[tuple[str, list[tuple[Any, ...]]]] = ()


class Bulk:
    """Writes rows of some columns of a table; `constant` columns have one value in all rows of a batch."""

    def __init__(self, table: Table[Any], constant: Sequence[str], columns: Sequence[str], dialect: str) -> None:
        self._table = table.name
        self._columns = (*constant, *columns)
        self._copies = dialect == "postgresql"
        names = ", ".join(f'"{name}"' for name in self._columns)
        self._insert_into = f'INSERT INTO "{table.name}" ({names}) VALUES '  # noqa: S608 - names of our own
        self._shared = [f"?{place}" for place in range(1, len(constant) + 1)]
        self._optional = [table.c[name].nullable for name in columns]
        converts = _TO_SQLITE if dialect == "sqlite" else {}
        self._constant = [_conversion(table.c[name], converts) for name in constant]
        self._varying = [_conversion(table.c[name], converts) for name in columns]

    def prepare(self, constant: Sequence[Any], rows: Iterable[Sequence[Any]]) -> Batch:
        """Turn rows into what the driver takes. Takes CPU time, some 0.3 µs per value that has to be turned."""
        same = [
            value if convert is None else convert(value)
            for convert, value in zip(self._constant, constant, strict=True)
        ]
        columns = list(zip(*rows, strict=True))
        return Batch((self._copied if self._copies else self._inserted)(same, columns) if columns else ())

    def _copied(self, same: list[Any], columns: list[tuple[Any, ...]]) -> list[tuple[str, list[tuple[Any, ...]]]]:
        every = list(zip(*map(repeat, same), *columns, strict=False))
        return [("", every[first : first + COPIED_AT_ONCE]) for first in range(0, len(every), COPIED_AT_ONCE)]

    def _inserted(self, same: list[Any], columns: list[tuple[Any, ...]]) -> list[tuple[str, list[tuple[Any, ...]]]]:
        """The values of a statement's rows one after the other, behind those that all rows have.

        A column that is empty in all rows takes no values.
        """
        marks, turned = list(self._shared), []
        for convert, optional, values in zip(self._varying, self._optional, columns, strict=True):
            empty = optional and all(value is None for value in values)
            marks.append("NULL" if empty else "?")
            if not empty:
                turned.append(values if convert is None else map(convert, values))
        every, left, parts = chain.from_iterable(zip(*turned, strict=True)), len(columns[0]), []
        for size in ROWS_AT_ONCE:
            times, left = divmod(left, size)
            if times:
                statement = self._insert_into + ",".join([f"({','.join(marks)})"] * size)
                parts.append((statement, [(*same, *islice(every, size * len(turned))) for _ in range(times)]))
        return parts

    async def insert(self, connection: WriteConnection, batch: Batch) -> None:
        """Write what `prepare` gave. On PostgreSQL a statement must have begun the transaction before."""
        for statement, values in batch.parts:
            if self._copies:
                driver: Any = (await connection.get_raw_connection()).driver_connection
                await driver.copy_records_to_table(self._table, records=values, columns=self._columns)
            else:
                await connection.exec_driver_sql(statement, values)


def _conversion(column: Column[Any], converts: Mapping[type, Convert]) -> Convert | None:
    convert = converts.get(type(column.type))
    if convert is None or not column.nullable:
        return convert
    return lambda value: None if value is None else convert(value)


class RawRows:
    """Reads columns as the driver gives them, so that the work of turning them can be done in a thread.

    Select `columns`, and hand the rows to `parse`.
    """

    def __init__(self, columns: Sequence[Column[Any]], dialect: str) -> None:
        self.columns: list[ColumnElement[Any]] = [
            type_coerce(column, NullType()).label(column.name) for column in columns
        ]
        turns = _FROM_SQLITE if dialect == "sqlite" else {}
        self._turns = [_word(column) or turns.get(type(column.type)) for column in columns]

    def parse(self, rows: Iterable[Sequence[Any]]) -> Iterator[tuple[Any, ...]]:
        """Python's values of each row; None is not allowed for in columns that are turned."""
        columns = zip(*rows, strict=True)
        return zip(
            *(
                values if turn is None else map(turn, values)
                for turn, values in zip(self._turns, columns, strict=False)
            ),
            strict=True,
        )


def _word(column: Column[Any]) -> Convert | None:
    """A look into a dictionary takes a sixth of the time that calling the enum does."""
    return {word.value: word for word in column.type.words}.__getitem__ if isinstance(column.type, Word) else None
