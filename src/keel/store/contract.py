"""What all instances see: traces, requests and statements in figures, lines, and who is there; and where it is kept.

Everything is bounded, however much there is and whoever sends it; the bounds are here.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Final, Literal, NamedTuple, Protocol

import msgspec

from keel.errors import Conflict, NotFound

MOST_SUMMARIES: Final = 10_000
"""Segments of traces of which a summary is kept, the newest."""
BODIES_BYTES: Final = 16 << 20
"""What all bodies may take together, compressed; the oldest make room."""
BODY_BYTES: Final = 64 * 1024
"""Of one segment, compressed; spans of a larger one are left out from the end."""
BODY_S: Final = 24 * 3600
"""For how long a body is kept."""
MOST_PARTS: Final = 200
"""Segments of one trace that are kept with their bodies: whoever calls may choose the trace's id."""
MOST_LINES: Final = 1000
"""Lines for those who follow them, the newest."""
LINE_BYTES: Final = 1024
MOST_NOTES: Final = 500
"""Statements that were slow or repeated, the newest."""
MOST_NAMES: Final = 200
"""Routes, and statements, that are told apart in a day; any further one is counted as OTHER."""
MOST_FIELDS: Final = 800
"""Fields of a window, of all names together; what comes beyond counts as OTHER's."""
OTHER: Final = "other"
INSTANCE_S: Final = 30
"""For how long an instance counts as there after it has last told of itself."""
MOST_LEVELS: Final = 50
"""Loggers that may have a level of their own."""
LONGEST_LEVEL_S: Final = 24 * 3600
"""For how long a logger may have a level that was set at run time."""


def weight(body: bytes) -> int:
    """The bytes that a body is counted for: its own, what allocators add to them, and what its key takes."""
    return len(body) * 9 // 8 + 200


class TraceNotFound(NotFound):
    """There is no such trace, or it is kept no more."""

    def __init__(self) -> None:
        super().__init__("There is no such trace, or it is kept no more.")


class TooManyLevels(Conflict):
    """As many loggers have a level of their own as may."""

    def __init__(self) -> None:
        super().__init__(f"{MOST_LEVELS} loggers have a level of their own, and no more may; wait for one to expire.")


class Family(StrEnum):
    """What figures are kept of."""

    REQUESTS = "r"
    STATEMENTS = "q"


class Resolution(StrEnum):
    """How long the windows are that figures are kept by."""

    MINUTE = "m"
    TEN_MINUTES = "t"
    HOUR = "h"


WINDOW_S: Final[Mapping[Resolution, int]] = {
    Resolution.MINUTE: 60,
    Resolution.TEN_MINUTES: 600,
    Resolution.HOUR: 3600,
}
WINDOWS: Final[Mapping[Family, Mapping[Resolution, int]]] = {
    Family.REQUESTS: {Resolution.MINUTE: 62, Resolution.TEN_MINUTES: 146, Resolution.HOUR: 170},
    Family.STATEMENTS: {Resolution.TEN_MINUTES: 38, Resolution.HOUR: 170},
}
"""How many windows are kept of each."""


class SpanPart(msgspec.Struct, frozen=True, array_like=True):
    """A span of a part; its times are microseconds, the first from the beginning of the part."""

    span_id: str
    parent_id: str
    name: str
    kind: str
    offset_us: int
    duration_us: int
    attributes: dict[str, Any] | None
    error: str


class Summary(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A segment of a trace in short: what one process did of it. Ids are hexadecimal; no parent is an empty one."""

    trace_id: str
    span_id: str
    parent_id: str
    kind: str
    name: str
    method: str
    route: str
    """Empty where it was no request, or no route has its path."""
    status: int
    started_ns: int
    duration_us: int
    error: str
    """The type of what it failed with; empty where it did not."""
    spans: int
    instance: str


class Part(msgspec.Struct, frozen=True, array_like=True):
    """A segment of a trace, whole."""

    summary: Summary
    request_id: str
    correlation_id: str
    user_id: str
    queries: int
    queries_us: int
    cache: str
    attributes: dict[str, Any] | None
    message: str
    """Of what it failed with, redacted."""
    frames: list[str]
    """Where it failed, `file:line function`, the innermost last."""
    spans: list[SpanPart]
    """By their beginning."""
    left_out: int
    """Spans that there was no room for."""


class Note(msgspec.Struct, frozen=True, array_like=True):
    """A statement that was slow, or was run again and again for one request."""

    kind: Literal["slow", "repeated"]
    at_ns: int
    statement: str
    caller: str
    count: int
    total_us: int
    worst_us: int
    name: str
    """Of the request or job."""
    trace_id: str
    is_kept: bool
    """Whether its trace was kept."""
    instance: str


class Counted(NamedTuple):
    """What figures are of: in which minute (s since 1970), and of what by its name."""

    family: Family
    minute: int
    name: str


class Batch(msgspec.Struct):
    """What was observed in a while."""

    counts: dict[Counted, dict[str, int]] = {}
    """Fields are added up, but for the PEAK, of which the greatest counts; see `keel.store.figures`."""
    traces: list[tuple[Summary, bytes]] = []
    """Summaries with their bodies; empty ones are not kept."""
    lines: list[bytes] = []
    """Of JSON."""
    notes: list[Note] = []
    wanted: list[str] = []
    """Traces of which other instances should bring their parts back."""


class Totals(NamedTuple):
    """Figures of one name in one window."""

    at: int
    name: str
    fields: Mapping[str, int]


class Level(NamedTuple):
    """A logger's level as it was set at run time, for all instances."""

    level: str
    until_ms: int
    """Of the wall clock, since 1970."""


Heard = Callable[[list[str]], None]
"""Is told which traces others want back; an empty list says that levels were set."""


class Store(Protocol):
    """Where it is kept. All may raise `Unavailable` or `CommandRefused` where that is elsewhere."""

    scope: Literal["instance", "shared"]
    """Whose it is: this process's alone, or that of all."""

    async def add(self, batch: Batch) -> None:
        """Keep what was observed, and tell the others of traces that are wanted."""

    async def summaries(self, before: str, limit: int) -> list[tuple[str, Summary]]:
        """Summaries with their places, the newest first, from before a place, or from the newest (empty)."""

    async def bodies(self, trace_id: str) -> list[bytes]:
        """What is kept of a trace, in any order."""

    async def totals(self, family: Family, resolution: Resolution, since: int, until: int) -> list[Totals]:
        """Figures of the windows that begin in this time (s since 1970), the end not included."""

    async def notes(self) -> list[Note]:
        """All of them, the newest first."""

    async def lines(self, after: str | None, limit: int) -> tuple[str, list[bytes]]:
        """Lines that came after a place, the oldest first, and the place to go on from. None: from now on."""

    async def report(self, instance: str, report: bytes) -> None:
        """Say that an instance is there, and how it stands."""

    async def reports(self) -> dict[str, bytes]:
        """What those say who are there."""

    async def set_level(self, logger: str, level: Level) -> None:
        """Let all instances know a level."""

    async def levels(self) -> dict[str, Level]:
        """Levels that were set, also those whose time is over."""

    async def forget_levels(self, *loggers: str) -> None:
        """Forget some of them."""

    def listen(self, heard: Heard) -> Callable[[], None]:
        """Tell `heard` what others say; returns how to stop."""
