"""Gathers what is observed off the request's path: bounded queues, emptied twice a second by a thread."""

import asyncio
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, TypeVar

import msgspec

from keel.context import Segment, Statement, budget
from keel.errors import Unavailable
from keel.logs.contract import Form, Line, Source
from keel.logs.redaction import Redaction
from keel.logs.rendering import Renderer
from keel.redis.contract import CommandRefused
from keel.store.contract import LINE_BYTES, Batch, Counted, Family, Note, Store
from keel.store.figures import CACHE, CLIENT_ERRORS, FAILURES, PEAK, QUERIES, QUERIES_US, TOTAL, added, bucket
from keel.store.packing import Packing, title
from keel.tasks import Tasks
from keel.traces.statements import REPEATED, SLOW_S

EVERY: Final = timedelta(seconds=0.5)
MOST_REQUESTS: Final = 10_000
"""That wait for their figures."""
MOST_TRACES: Final = 100
"""Segments that are kept of each turn."""
MOST_LINES: Final = 100
"""Requests, and as many lines of the log, that followers see of each turn."""
MOST_NOTES: Final = 20
UNMATCHED: Final = "unmatched"
_LONGEST_STATEMENT: Final = 500
_MOST_WANTED: Final = 200
_NOT_FOUND: Final = 400
_ERROR: Final = 500
_AT_A_TIME: Final = 256
"""Requests that are counted before other threads get their turn: a millisecond's."""
_MINUTE_NS: Final = 60_000_000_000
_AGAIN_NS: Final = 60_000_000_000
"""Until a statement of a route is noted again."""
_MOST_NOTED: Final = 2000
_CORE: Final = ("timestamp", "level", "event", "logger", "instance", "trace_id", "route", "method", "status")

T = TypeVar("T")


@dataclass(slots=True)
class Dropped:
    """What there was no room for, since the start."""

    requests: int = 0
    """Missing in figures, and unseen by followers."""
    traces: int = 0
    lines: int = 0
    batches: int = 0
    """That could not be stored."""


class Gathering:
    """`RequestObserver`, `Kept`, `Wanted`, and what follows log lines: takes what it is told, and stores it in batches.

    What happens to the store is nobody's concern but that of `dropped`.
    """

    def __init__(self, store: Store, tasks: Tasks, source: Source | None = None) -> None:
        source = source or Source()
        redaction = Redaction(source.service)
        self.dropped = Dropped()
        self._store = store
        self._requests: deque[Segment] = deque()
        self._traces: deque[Segment] = deque()
        self._lines: deque[Line] = deque(maxlen=MOST_LINES)
        self._wanted: list[str] = []
        self._turn = asyncio.Lock()
        self._summaries = _Summaries(source, redaction, self.dropped)
        tasks.every(EVERY, "storing what was observed", self.flush)

    def observed(self, request: Segment) -> None:
        """Count a request, WebSocket or job."""
        if len(self._requests) < MOST_REQUESTS:
            self._requests.append(request)
        else:
            self.dropped.requests += 1

    def keep(self, segment: Segment) -> None:
        """Store a segment."""
        if len(self._traces) < MOST_TRACES:
            self._traces.append(segment)
        else:
            self.dropped.traces += 1

    def want(self, trace_id: str) -> None:
        """Tell the others that a trace is kept."""
        if len(self._wanted) < _MOST_WANTED:
            self._wanted.append(trace_id)

    def said(self, line: "Line | Segment") -> None:
        """Let followers see a line of the log; requests are seen anyway."""
        if not isinstance(line, Segment):
            if len(self._lines) == MOST_LINES:
                self.dropped.lines += 1
            self._lines.append(line)

    async def flush(self) -> None:
        """Store what waits now."""
        async with self._turn:
            if not (self._requests or self._traces or self._lines or self._wanted):
                return
            requests, traces, lines = _emptied(self._requests), _emptied(self._traces), _emptied(self._lines)
            wanted, self._wanted = self._wanted, []
            batch = await asyncio.to_thread(self._summaries.of, requests, traces, lines)
            batch.wanted = wanted
            try:
                with budget(None):
                    await self._store.add(batch)
            except (Unavailable, CommandRefused):
                self.dropped.batches += 1


def _emptied(queue: deque[T]) -> list[T]:
    """What is in a queue, which may be added to meanwhile."""
    return [queue.popleft() for _ in range(len(queue))]


class _Summaries:
    """What a batch says of what was observed; worked out in a thread, by one at a time."""

    def __init__(self, source: Source, redaction: Redaction, dropped: Dropped) -> None:
        self._instance = source.instance
        self._packing = Packing(source.instance, redaction)
        self._renderer = Renderer(source, Form.JSON, redaction)
        self._dropped = dropped
        self._noted: dict[tuple[str, str, str], int] = {}

    def of(self, requests: list[Segment], traces: list[Segment], lines: list[Line]) -> Batch:
        """Everything there is to store."""
        batch = Batch()
        for each in _by_turns(requests):
            if each.kind != "websocket":
                self._count(batch, each)
        for each in _by_turns(traces, 1):
            summary = self._packing.summary(each)
            batch.traces.append((summary, self._packing.body(each, summary)))
        batch.lines = list(self._rendered([*requests[-MOST_LINES:], *lines]))
        return batch

    def _count(self, batch: Batch, segment: Segment) -> None:
        took = segment.ended_ns - segment.began_ns
        minute = (segment.started_ns + took) // _MINUTE_NS * 60
        fields = _fields(segment, took // 1000)
        name = segment.name if segment.kind == "job" else f"{segment.method} {segment.route or UNMATCHED}"
        added(batch.counts.setdefault(Counted(Family.REQUESTS, minute, name), {}), fields)
        for text, statement in (segment.statements or {}).items():
            into = batch.counts.setdefault(Counted(Family.STATEMENTS, minute, text[:_LONGEST_STATEMENT]), {})
            added(into, _of_statement(statement))
            if statement.worst_s >= SLOW_S:
                self._note(batch, Note("slow", *self._about(segment, text, statement)))
            if statement.count >= REPEATED:
                self._note(batch, Note("repeated", *self._about(segment, text, statement)))

    def _about(
        self, segment: Segment, text: str, statement: Statement
    ) -> tuple[int, str, str, int, int, int, str, str, bool, str]:
        return (
            segment.started_ns,
            text[:_LONGEST_STATEMENT],
            statement.caller[:_LONGEST_STATEMENT],
            statement.count,
            round(statement.total_s * 1e6),
            round(statement.worst_s * 1e6),
            title(segment),
            segment.trace_id,
            segment.is_kept,
            self._instance,
        )

    def _note(self, batch: Batch, note: Note) -> None:
        """Note it, unless the same was noted a short while ago."""
        key = (note.kind, note.name, note.statement)
        if len(batch.notes) >= MOST_NOTES or note.at_ns < self._noted.get(key, -_AGAIN_NS) + _AGAIN_NS:
            return
        if len(self._noted) >= _MOST_NOTED:
            self._noted.clear()
        self._noted[key] = note.at_ns
        batch.notes.append(note)

    def _rendered(self, lines: "Iterable[Line | Segment]") -> Iterator[bytes]:
        for line in _by_turns(list(lines), 8):
            try:
                rendered = self._renderer.render(line).rstrip(b"\n")
            except Exception:  # noqa: BLE001 - whatever was logged, the thread goes on
                self._dropped.lines += 1
            else:
                yield rendered if len(rendered) <= LINE_BYTES else _shortened(rendered)


def _fields(segment: Segment, us: int) -> dict[str, int]:
    fields = {bucket(us): 1, TOTAL: us, PEAK: us}
    if segment.failed:
        fields[FAILURES] = 1
    elif segment.status >= _NOT_FOUND and segment.status < _ERROR:
        fields[CLIENT_ERRORS] = 1
    if segment.queries:
        fields[QUERIES] = segment.queries
        fields[QUERIES_US] = round(segment.queries_s * 1e6)
    if segment.cache in CACHE:
        fields[CACHE[segment.cache]] = 1
    return fields


def _of_statement(statement: Statement) -> dict[str, int]:
    """What is known of its runs: the longest, and those beside it by their mean."""
    worst, total = round(statement.worst_s * 1e6), round(statement.total_s * 1e6)
    fields = {bucket(worst): 1, TOTAL: total, PEAK: worst}
    if statement.count > 1:
        rest = statement.count - 1
        added(fields, {bucket((total - worst) // rest): rest})
    return fields


def _by_turns(items: list[T], at_a_time: int = _AT_A_TIME) -> Iterator[T]:
    """All of them; other threads get their turn now and then."""
    for number, item in enumerate(items, 1):
        yield item
        if number % at_a_time == 0:
            time.sleep(0)


def _shortened(line: bytes) -> bytes:
    """The core of a line that is too long."""
    said = msgspec.json.decode(line)
    core = {name: value[:200] if isinstance(value, str) else value for name, value in said.items() if name in _CORE}
    if "exception" in said:
        core["exception"] = {"type": str(said["exception"]["type"])[:200]}
    return msgspec.json.encode({**core, "is_shortened": True})
