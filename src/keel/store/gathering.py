"""Gathers what is observed off the request's path: counts and bounded queues, which a thread makes batches of."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, TypeVar

import msgspec

from keel.clock import wall_ns
from keel.context import Segment, budget
from keel.errors import Unavailable
from keel.logs.contract import Form, Line, Source
from keel.logs.redaction import Redaction
from keel.logs.rendering import Renderer
from keel.redis.contract import CommandRefused
from keel.store.contract import LINE_BYTES, Batch, Store
from keel.store.packing import Packing
from keel.store.tallies import Tallies
from keel.tasks import Tasks

EVERY: Final = timedelta(seconds=0.5)
MOST_TRACES: Final = 100
"""Segments that are kept of each turn."""
MOST_LINES: Final = 100
"""Requests, and as many lines of the log, that followers see of each turn: the latest."""
_MOST_WANTED: Final = 200
_AT_A_TIME: Final = 8
"""Lines that are rendered before other threads get their turn."""
_MINUTE_NS: Final = 60_000_000_000
_CORE: Final = ("timestamp", "level", "event", "logger", "instance", "trace_id", "route", "method", "status")

T = TypeVar("T")


@dataclass(slots=True)
class Dropped:
    """What there was no room for, since the start."""

    traces: int = 0
    lines: int = 0
    batches: int = 0
    """That could not be stored."""


class Gathering:
    """`RequestObserver`, `Kept`, `Wanted`, and what follows log lines: takes what it is told, and stores it in batches.

    What `here` keeps beside is for when the store is away. What happens to that is nobody's concern but `dropped`'s.
    """

    def __init__(
        self,
        store: Store,
        tasks: Tasks,
        source: Source,
        here: Store,
        keep_whole: Callable[[str], None],
    ) -> None:
        self.dropped = Dropped()
        self._store = store
        self._here = here
        self._tallies = Tallies(source.instance, keep_whole)
        self._requests: deque[Segment] = deque(maxlen=MOST_LINES)
        self._traces: deque[Segment] = deque()
        self._lines: deque[Line] = deque(maxlen=MOST_LINES)
        self._wanted: list[str] = []
        self._turn = asyncio.Lock()
        self._written = _Written(source, Redaction(source.service), self.dropped)
        tasks.every(EVERY, "storing what was observed", self.flush)

    def observed(self, request: Segment) -> None:
        """Count a request or job; a WebSocket lasts as long as its client likes."""
        if request.kind != "websocket":
            self._tallies.count(request)
        self._requests.append(request)

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
            counts, notes = self._tallies.take(wall_ns() // _MINUTE_NS * 60)
            wanted, self._wanted = self._wanted, []
            batch = Batch(counts, notes=notes, wanted=wanted)
            lines: list[Line | Segment] = [*_emptied(self._requests), *_emptied(self._lines)]
            await asyncio.to_thread(self._written.put, batch, _emptied(self._traces), lines)
            if self._here is not self._store:
                await self._here.add(batch)
            try:
                with budget(None):
                    await self._store.add(batch)
            except (Unavailable, CommandRefused):
                self.dropped.batches += 1


def _emptied(queue: deque[T]) -> list[T]:
    """What is in a queue, which may be added to meanwhile."""
    return [queue.popleft() for _ in range(len(queue))]


class _Written:
    """Traces and lines as they are stored; worked out in a thread, by one at a time."""

    def __init__(self, source: Source, redaction: Redaction, dropped: Dropped) -> None:
        self._packing = Packing(source.instance, redaction)
        self._renderer = Renderer(source, Form.JSON, redaction)
        self._dropped = dropped

    def put(self, batch: Batch, traces: list[Segment], lines: "list[Line | Segment]") -> None:
        """Put them into a batch."""
        for each in _by_turns(traces, 1):
            summary = self._packing.summary(each)
            batch.traces.append((summary, self._packing.body(each, summary)))
        batch.lines = list(self._rendered(lines))

    def _rendered(self, lines: "list[Line | Segment]") -> Iterator[bytes]:
        for line in _by_turns(lines, 8):
            try:
                rendered = self._renderer.render(line).rstrip(b"\n")
            except Exception:  # noqa: BLE001 - whatever was logged, the thread goes on
                self._dropped.lines += 1
            else:
                yield rendered if len(rendered) <= LINE_BYTES else _shortened(rendered)


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
