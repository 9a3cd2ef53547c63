"""Generations: how many rows change at once. A row counts from the one it was born in until the one it died in."""

from sqlalchemy import Table, and_
from sqlalchemy.sql.elements import ColumnElement

from tradesense.db.tables import accounts
from tradesense.db.tables.schema import GenerationColumns


def visible(rows: Table[GenerationColumns]) -> ColumnElement[bool]:
    """Rows that count now; join `accounts` on `account_id`, which scopes them to their user, too."""
    return and_(rows.c.born <= accounts.c.generation, rows.c.died > accounts.c.generation)


def visible_at(rows: Table[GenerationColumns], generation: int) -> ColumnElement[bool]:
    """Rows that count in a generation, published or not."""
    return and_(rows.c.born <= generation, rows.c.died > generation)
