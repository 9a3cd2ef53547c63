"""Numbers among the words of a cell: `@ 3.70`, `REINVEST PRICE $ 13.94`, `2S`."""

from decimal import Decimal

from tradesense.brokers.numbers import NotANumber, parse_number
from tradesense.brokers.tables import Row, RowError


def figure(words: str) -> Decimal:
    """The number that a part of a text is. Raises `RowError` where it is none."""
    try:
        return parse_number(words)
    except NotANumber as error:
        raise RowError(str(error)) from error


def figure_in(row: Row, column: str, words: str) -> Decimal:
    """The same, for a part of a column's cell, which the error then names."""
    try:
        return parse_number(words)
    except NotANumber as error:
        raise row.error(column, str(error)) from error
