"""Sentences under a table: disclaimers, dates of the download."""

from tradesense.brokers.tables import Row, RowError


def is_footer(row: Row, date: str, *values: str) -> bool:
    """Whether a row is a text and no data: no date begins its column of dates, and the named columns are empty."""
    return not _cell(row, date)[:1].isdigit() and not any(_cell(row, name) for name in values)


def _cell(row: Row, name: str) -> str:
    try:
        return row.text(name)
    except RowError:
        return ""
