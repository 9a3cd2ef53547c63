"""What all tables share: metadata, names of constraints, and the columns of rows that belong to generations."""

from typing import Any, Final, TypeVar

from sqlalchemy import BigInteger, Column, ForeignKey, Index, MetaData, TypedColumns, literal_column
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.types import TypeEngine

T = TypeVar("T")

FOREVER: Final = 1 << 62
"""`died` of a row that no generation has replaced."""

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def optional(
    kind: type[TypeEngine[T]] | TypeEngine[T], reference: ForeignKey | None = None, *, index: bool = False
) -> Column[T | None]:
    """A column that may be NULL, and whose Python type says so."""
    references = () if reference is None else (reference,)
    column: Column[Any] = Column(kind, *references, nullable=True, index=index)
    return column


class GenerationColumns(TypedColumns):
    """Columns of a row that generations of its account replace: visible iff `born <= accounts.generation < died`."""

    born = Column(BigInteger, nullable=False)
    died = Column(BigInteger, nullable=False, server_default=str(FOREVER))


def live() -> ColumnElement[bool]:
    """The condition of partial indexes over rows that nothing has replaced yet."""
    return literal_column("died") == literal_column(str(FOREVER))


def index_of_the_dead(table: str) -> Index:
    """Finds what a newer generation has replaced; costs a living row nothing."""
    dead = literal_column("died") < literal_column(str(FOREVER))
    return Index(f"ix_{table}_dead", "account_id", "died", sqlite_where=dead, postgresql_where=dead)
