"""What is counted of requests and statements as they end: in plain numbers, so that nothing of a request is retained.

(Half a second's requests, kept until a thread counts them, are what the garbage collector goes through again and again:
with 8000 a second it held the event loop for 355 ms on a busy machine, and for 220 without.)
"""

from bisect import bisect_left
from collections.abc import Callable
from typing import Any, Final, Literal

from keel.context import Segment, Statement
from keel.store.contract import MOST_NAMES, OTHER, Counted, Family, Note
from keel.store.figures import BOUNDS_US, FIELDS
from keel.store.packing import title
from keel.traces.statements import REPEATED, SLOW_S

UNMATCHED: Final = "unmatched"
MOST_NOTES: Final = 20
"""Of each turn."""
LONGEST_STATEMENT: Final = 500
_NOT_FOUND: Final = 400
_AGAIN_NS: Final = 60_000_000_000
"""Until a statement of a route is noted again."""
_MOST_NOTED: Final = 2000
_FIRST: Final = len(BOUNDS_US) + 1
_TOTAL, _PEAK, _CLIENT, _FAILED, _QUERIES, _QUERIES_US = range(_FIRST, _FIRST + 6)
_CACHE: Final = {"hit": _FIRST + 6, "stale": _FIRST + 7, "miss": _FIRST + 8}
_Key = str | tuple[str, str | None]


class Tallies:
    """Counts for one instance until they are taken; each tally has a number for every one of `figures.FIELDS`.

    Of a statement that is noted the trace is kept, too: `keep_whole` is told its id.
    """

    def __init__(self, instance: str, keep_whole: Callable[[str], None]) -> None:
        self._instance = instance
        self._keep_whole = keep_whole
        self._requests: dict[_Key, list[int]] = {}
        self._statements: dict[str, list[int]] = {}
        self._notes: list[Note] = []
        self._noted: dict[tuple[str, str, str], int] = {}

    def count(self, segment: Segment) -> None:
        """Count a request or a job that has ended."""
        us = (segment.ended_ns - segment.began_ns) // 1000
        key: _Key = segment.name if segment.kind == "job" else (segment.method, segment.route)
        tally = self._requests.get(key)
        if tally is None:
            tally = _new(self._requests, key)
        tally[bisect_left(BOUNDS_US, us)] += 1
        tally[_TOTAL] += us
        tally[_PEAK] = max(tally[_PEAK], us)
        if segment.status >= _NOT_FOUND or segment.exception is not None:
            tally[_FAILED if segment.failed else _CLIENT] += 1
        if segment.cache in _CACHE:
            tally[_CACHE[segment.cache]] += 1
        if segment.queries:
            tally[_QUERIES] += segment.queries
            tally[_QUERIES_US] += round(segment.queries_s * 1e6)
            for text, statement in (segment.statements or {}).items():
                self._count_statement(segment, text[:LONGEST_STATEMENT], statement)

    def take(self, minute: int) -> tuple[dict[Counted, dict[str, int]], list[Note]]:
        """What was counted since the last time, as that of a minute (s since 1970), and what was noted."""
        requests, self._requests = self._requests, {}
        statements, self._statements = self._statements, {}
        notes, self._notes = self._notes, []
        counts = {Counted(Family.REQUESTS, minute, _name(key)): _fields(each) for key, each in list(requests.items())}
        for text, each in list(statements.items()):
            counts[Counted(Family.STATEMENTS, minute, text)] = _fields(each)
        return counts, notes

    def _count_statement(self, segment: Segment, text: str, statement: Statement) -> None:
        """Count its runs: the longest, and those beside it by their mean."""
        tally = self._statements.get(text)
        if tally is None:
            tally = _new(self._statements, text)
        worst, total = round(statement.worst_s * 1e6), round(statement.total_s * 1e6)
        tally[bisect_left(BOUNDS_US, worst)] += 1
        tally[_TOTAL] += total
        tally[_PEAK] = max(tally[_PEAK], worst)
        if statement.count > 1:
            rest = statement.count - 1
            tally[bisect_left(BOUNDS_US, (total - worst) // rest)] += rest
        if statement.worst_s >= SLOW_S:
            self._note("slow", segment, text, statement)
        if statement.count >= REPEATED:
            self._note("repeated", segment, text, statement)

    def _note(self, kind: Literal["slow", "repeated"], segment: Segment, text: str, statement: Statement) -> None:
        """Note it, unless the same was noted a short while ago."""
        key, at = (kind, title(segment), text), segment.started_ns
        if len(self._notes) >= MOST_NOTES or at < self._noted.get(key, -_AGAIN_NS) + _AGAIN_NS:
            return
        if len(self._noted) >= _MOST_NOTED:
            self._noted.clear()
        self._noted[key] = at
        if not segment.is_kept:
            self._keep_whole(segment.trace_id)
        note = Note(
            kind=kind,
            at_ns=at,
            statement=text,
            caller=statement.caller[:LONGEST_STATEMENT],
            count=statement.count,
            total_us=round(statement.total_s * 1e6),
            worst_us=round(statement.worst_s * 1e6),
            name=title(segment),
            trace_id=segment.trace_id,
            is_kept=segment.is_kept,
            instance=self._instance,
        )
        self._notes.append(note)


def _new(tallies: dict[Any, list[int]], key: _Key) -> list[int]:
    """A tally for a key; where there are too many, that of all others."""
    if len(tallies) >= MOST_NAMES:
        key = OTHER
    return tallies.setdefault(key, [0] * len(FIELDS))


def _name(key: _Key) -> str:
    return key if isinstance(key, str) else f"{key[0]} {key[1] or UNMATCHED}"


def _fields(tally: list[int]) -> dict[str, int]:
    return {name: number for name, number in zip(FIELDS, tally, strict=True) if number}
