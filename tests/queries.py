"""What a database is asked while a test looks."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import event

from tradesense.db.engine import Database


@contextmanager
def counting(database: Database | None) -> Iterator[list[str]]:
    """The statements that the database is asked meanwhile."""
    assert database is not None
    asked: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        asked.append(statement)

    used = [each.sync_engine for each in (*database._hurried, *database._unhurried)]
    engines = {getattr(each, "_proxied", each) for each in used}  # which hears of what its options are used for, too
    for engine in engines:
        event.listen(engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        for engine in engines:
            event.remove(engine, "before_cursor_execute", note)
