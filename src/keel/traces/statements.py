"""SQL as part of what is under way: each statement a span and a count, with its caller where it is slow or repeated.

What is recorded is the statement as it was prepared, never a value: those are parameters, and literals are taken out.
"""

import re
import sys
from collections.abc import Iterator
from functools import lru_cache
from time import perf_counter_ns
from types import FrameType
from typing import Any, Final

from greenlet import getcurrent  # type: ignore[import-untyped] # it ships no types
from sqlalchemy import Engine, event

from keel.context import MOST_STATEMENTS, Segment, Statement, doing
from keel.logs.exceptions import short_path, type_name
from keel.traces.spans import record

REPEATED: Final = 10
"""Runs of one statement for one segment from which on it is known who runs it: an N+1 asks for rows one by one."""
SLOW_S: Final = 0.1
"""Seconds from which on it is known who ran a statement."""
_LONGEST: Final = 2048
_BEGAN: Final = "_keel_began_ns"
_LITERAL: Final = re.compile(r"'(?:[^']|'')*+'|(?<![\w$:.?])\d+(?:\.\d+)?(?![\w.])")
_MANY: Final = re.compile(r"\(\s*(?P<one>\?|\$\d+(?:::\w+)?|%s|:\w+)(?:\s*,\s*(?:\?|\$\d+(?:::\w+)?|%s|:\w+))+\s*\)")
_ROWS: Final = re.compile(r"(\(\?, …\))(?:\s*,\s*\(\?, …\))+")
_TARGET: Final = re.compile(
    r"\b(?:FROM|INTO|UPDATE|TABLE(?:\s+IF\s+(?:NOT\s+)?EXISTS)?)\s+(?:ONLY\s+)?[\"`]?([\w.]+)", re.IGNORECASE
)
_SYSTEMS: Final = {"postgresql": "postgresql", "sqlite": "sqlite"}
_BEGIN: Final = "BEGIN"
_NO_QUERIES: Final = frozenset({"BEGIN", "COMMIT", "PRAGMA", "RELEASE", "ROLLBACK", "SAVEPOINT", "SET"})
"""What is no query, but may take its time: to wait for a lock, to reach the disk."""
_FOREIGN: Final = frozenset(
    {"sqlalchemy", "keel", "asyncpg", "aiosqlite", "asyncio", "contextlib", "greenlet", "sqlite3"}
)
"""Packages that run statements for others."""


def watch_statements(engine: Engine) -> None:
    """Record what `engine` executes from now on."""
    system = _SYSTEMS.get(engine.dialect.name, "other_sql")

    @event.listens_for(engine, "before_cursor_execute")
    def before(_connection: Any, _cursor: Any, _statement: str, _parameters: Any, context: Any, *_: object) -> None:  # noqa: ANN401 - SQLAlchemy's
        if doing.get() is not None and context is not None:
            setattr(context, _BEGAN, perf_counter_ns())

    @event.listens_for(engine, "after_cursor_execute")
    def after(_connection: Any, _cursor: Any, statement: str, _parameters: Any, context: Any, *_: object) -> None:  # noqa: ANN401 - SQLAlchemy's
        began = getattr(context, _BEGAN, 0)
        if began:
            _executed(system, statement, began, "")

    @event.listens_for(engine, "handle_error")
    def failed(context: Any) -> None:  # noqa: ANN401 - SQLAlchemy's
        began = getattr(context.execution_context, _BEGAN, 0)
        if began and context.statement is not None:
            _executed(system, context.statement, began, type_name(context.original_exception))


def _executed(system: str, statement: str, began_ns: int, error: str) -> None:
    now = doing.get()
    if now is None:
        return
    text, summary, attributes = _known(system, statement)
    if summary == _BEGIN:
        return
    record(summary, began_ns, attributes, error=error)
    segment = now.segment
    if not segment.ended_ns and summary.partition(" ")[0] not in _NO_QUERIES:
        _count(segment, text, (perf_counter_ns() - began_ns) / 1e9)


def _count(segment: Segment, text: str, took_s: float) -> None:
    segment.queries += 1
    segment.queries_s += took_s
    if segment.statements is None:
        segment.statements = {}
    found = segment.statements.get(text)
    if found is None:
        if len(segment.statements) >= MOST_STATEMENTS:
            return
        found = segment.statements[text] = Statement()
    found.count += 1
    found.total_s += took_s
    found.worst_s = max(found.worst_s, took_s)
    if not found.caller and (took_s >= SLOW_S or found.count >= REPEATED):
        found.caller = caller()


@lru_cache(maxsize=1024)
def _known(system: str, statement: str) -> tuple[str, str, dict[str, str]]:
    text = normalised(statement)
    summary = summarised(text)
    return text, summary, {"db.system.name": system, "db.query.text": text, "db.query.summary": summary}


def normalised(statement: str) -> str:
    """A statement without literals, and with lists of parameters as one: `IN (?, …)`."""
    text = _LITERAL.sub("?", " ".join(statement[: _LONGEST * 4].split()))
    text = _ROWS.sub(r"\1, …", _MANY.sub("(?, …)", text))
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def summarised(text: str) -> str:
    """Its operation and its first table: `SELECT trades`."""
    if text.upper().startswith("BEGIN"):
        return text.upper()[:32]
    operation = text.partition(" ")[0].upper()[:32]
    found = _TARGET.search(text)
    return operation if found is None else f"{operation} {found[1][:64]}"


def caller() -> str:
    """`file:line function` of the innermost frame of the application's own; empty where there is none."""
    for frame in _frames():
        if frame.f_globals.get("__name__", "").partition(".")[0] not in _FOREIGN:
            code = frame.f_code
            return f"{short_path(code.co_filename)}:{frame.f_lineno} {code.co_qualname}"
    return ""


def _frames() -> Iterator[FrameType]:
    """The frames that wait for this one, from the inside, those of the greenlets beneath included."""
    frame: FrameType | None = sys._getframe(2)  # noqa: SLF001 - the only way to walk a stack cheaply
    greenlet = getcurrent()
    while frame is not None:
        yield frame
        outer = frame.f_back
        if outer is None and greenlet.parent is not None:
            greenlet = greenlet.parent
            outer = greenlet.gr_frame
        frame = outer
