"""The store of one process: rings in its memory."""

from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Final, Literal, Self

from keel.store.contract import (
    BODIES_BYTES,
    MOST_FIELDS,
    MOST_LINES,
    MOST_NAMES,
    MOST_NOTES,
    MOST_PARTS,
    MOST_SUMMARIES,
    OTHER,
    WINDOW_S,
    WINDOWS,
    Batch,
    Family,
    Heard,
    Level,
    Note,
    Resolution,
    Summary,
    Totals,
    weight,
)
from keel.store.figures import added

SUMMARIES: Final = MOST_SUMMARIES // 5
BODIES: Final = BODIES_BYTES // 4
FIELDS: Final = MOST_FIELDS // 2
"""Less than a server has: it is this process's memory, and a field takes more of it."""
RECENT: Final[Mapping[Family, Mapping[Resolution, int]]] = {
    Family.REQUESTS: {Resolution.MINUTE: 62, Resolution.TEN_MINUTES: 38, Resolution.HOUR: 26},
    Family.STATEMENTS: {Resolution.TEN_MINUTES: 38, Resolution.HOUR: 26},
}
"""Windows for who looks beside what is shared, for as long as that is away."""
_Windows = OrderedDict[int, dict[str, dict[str, int]]]
"""Fields by when a window begins, and by name."""


class MemoryStore:
    """Implements `Store`, for whoever has no Redis, or none just now.

    It keeps `most` summaries, bodies of so many bytes, fields of a window, and windows.
    """

    scope: Literal["instance", "shared"] = "instance"

    def __init__(
        self,
        *,
        most: int = SUMMARIES,
        bodies: int = BODIES,
        fields: int = FIELDS,
        kept: Mapping[Family, Mapping[Resolution, int]] = WINDOWS,
    ) -> None:
        self._fields = fields
        self._kept = kept
        self._room = bodies
        self._summaries: deque[tuple[int, Summary]] = deque(maxlen=most)
        self._summarised = 0
        self._bodies: OrderedDict[tuple[str, str], bytes] = OrderedDict()
        self._parts: dict[str, list[str]] = {}
        self._bytes = 0
        self._windows = defaultdict[tuple[Family, Resolution], _Windows](OrderedDict)
        self._lines: deque[bytes] = deque(maxlen=MOST_LINES)
        self._written = 0
        self._notes: deque[Note] = deque(maxlen=MOST_NOTES)
        self._reports: dict[str, bytes] = {}
        self._levels: dict[str, Level] = {}

    @classmethod
    def beside(cls) -> Self:
        """One beside a store that is shared: what is recent, in a quarter of the room."""
        return cls(most=SUMMARIES // 4, bodies=BODIES // 4, kept=RECENT)

    async def add(self, batch: Batch) -> None:
        """Keep what was observed; nobody else wants traces."""
        for (family, minute, name), fields in batch.counts.items():
            for resolution, most in self._kept[family].items():
                at = minute - minute % WINDOW_S[resolution]
                self._count((family, resolution), most, at, name, fields)
        for summary, body in batch.traces:
            self._summarised += 1
            self._summaries.append((self._summarised, summary))
            self._keep(summary, body)
        self._written += len(batch.lines)
        self._lines.extend(batch.lines)
        self._notes.extend(batch.notes)

    async def summaries(self, before: str, limit: int) -> list[tuple[str, Summary]]:
        """Summaries with their places, the newest first."""
        end = int(before.partition("-")[0]) if before else self._summarised + 1
        older = (each for each in reversed(self._summaries) if each[0] < end)
        return [(f"{number}-0", summary) for number, summary in islice(older, limit)]

    async def bodies(self, trace_id: str) -> list[bytes]:
        """What is kept of a trace."""
        return [self._bodies[trace_id, span_id] for span_id in self._parts.get(trace_id, ())]

    async def totals(self, family: Family, resolution: Resolution, since: int, until: int) -> list[Totals]:
        """Figures of the windows that begin in this time."""
        windows = self._windows.get((family, resolution), _Windows())
        return [
            Totals(at, name, dict(fields))
            for at, names in windows.items()
            if since <= at < until
            for name, fields in names.items()
        ]

    async def notes(self) -> list[Note]:
        """All of them, the newest first."""
        return list(reversed(self._notes))

    async def lines(self, after: str | None, limit: int) -> tuple[str, list[bytes]]:
        """Lines that came after a place."""
        if after is None:
            return f"{self._written}-0", []
        missing = self._written - int(after.partition("-")[0])
        unseen = list(self._lines)[-missing:][:limit] if missing > 0 else []
        left = max(min(missing, len(self._lines)) - len(unseen), 0)
        return f"{self._written - left}-0", unseen

    async def report(self, instance: str, report: bytes) -> None:
        """Say how it stands: there is but one."""
        self._reports[instance] = report

    async def reports(self) -> dict[str, bytes]:
        """What it says."""
        return dict(self._reports)

    async def set_level(self, logger: str, level: Level) -> None:
        """Note a level."""
        self._levels[logger] = level

    async def levels(self) -> dict[str, Level]:
        """Levels that were set."""
        return dict(self._levels)

    async def forget_levels(self, *loggers: str) -> None:
        """Forget some of them."""
        for logger in loggers:
            self._levels.pop(logger, None)

    def listen(self, heard: Heard) -> Callable[[], None]:
        """Nobody else says anything."""
        del heard
        return lambda: None

    def _count(
        self,
        of: tuple[Family, Resolution],
        most: int,
        at: int,
        name: str,
        fields: dict[str, int],
    ) -> None:
        windows = self._windows[of]
        names = windows.setdefault(at, {})
        if name not in names and len(names) >= MOST_NAMES:
            name = OTHER
        known, other = names.setdefault(name, {}), dict[str, int]()
        left = self._fields - sum(map(len, names.values()))
        for field, value in fields.items():
            into = known if field in known or left > 0 else other
            left -= field not in known
            added(into, {field: value})
        if other:
            added(names.setdefault(OTHER, {}), other)
        if not known:
            del names[name]
        while len(windows) > most:
            windows.popitem(last=False)

    def _keep(self, summary: Summary, body: bytes) -> None:
        parts = self._parts.setdefault(summary.trace_id, [])
        if not body or len(parts) >= MOST_PARTS or weight(body) > self._room:
            if not parts:
                del self._parts[summary.trace_id]
            return
        parts.append(summary.span_id)
        self._bodies[summary.trace_id, summary.span_id] = body
        self._bytes += weight(body)
        while self._bytes > self._room:
            (trace_id, span_id), gone = self._bodies.popitem(last=False)
            self._bytes -= weight(gone)
            self._parts[trace_id].remove(span_id)
            if not self._parts[trace_id]:
                del self._parts[trace_id]
