"""What all instances see, for who looks: the store, and what this instance adds to it."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final, Literal, NamedTuple

import msgspec

from keel.clock import wall_ns
from keel.context import budget
from keel.errors import Unavailable
from keel.logs.assembly import Logs
from keel.logs.contract import LEVELS, Source
from keel.logs.levels import level_name
from keel.redis.contract import CommandRefused
from keel.store.contract import (
    LONGEST_LEVEL_S,
    MOST_LEVELS,
    WINDOW_S,
    Family,
    Level,
    Note,
    Part,
    Resolution,
    Store,
    Summary,
    TooManyLevels,
    Totals,
    TraceNotFound,
)
from keel.store.figures import Figures, figures, summed
from keel.store.gathering import Dropped, Gathering
from keel.store.packing import unpacked
from keel.tasks import Tasks
from keel.traces.recorder import Traces

EVERY: Final = timedelta(seconds=10)
"""How often an instance says that it is there, and looks for levels that it has not heard of."""
_AT_ONCE: Final = 500
_LONGEST_NAME: Final = 200


class Period(StrEnum):
    """How far back figures go."""

    HOUR = "1h"
    SIX_HOURS = "6h"
    DAY = "24h"
    WEEK = "7d"


_SPANS: Final[Mapping[Period, tuple[int, Resolution]]] = {
    Period.HOUR: (3600, Resolution.MINUTE),
    Period.SIX_HOURS: (6 * 3600, Resolution.TEN_MINUTES),
    Period.DAY: (24 * 3600, Resolution.TEN_MINUTES),
    Period.WEEK: (7 * 24 * 3600, Resolution.HOUR),
}
_COARSER: Final = {Period.HOUR: Resolution.TEN_MINUTES, Period.DAY: Resolution.HOUR}
"""Statements are kept by fewer resolutions."""


class Sought(NamedTuple):
    """Which segments are looked for: of a route, or a job's name; that took so long; that ended so."""

    route: str | None = None
    min_ms: float = 0
    status: int | None = None

    def has(self, summary: Summary) -> bool:
        """Whether a segment is one of those."""
        return (
            (self.route is None or self.route in {summary.route, summary.name})
            and summary.duration_us >= self.min_ms * 1000
            and (self.status is None or summary.status == self.status)
        )


class Point(NamedTuple):
    """Figures of a window that begins at `at` (s since 1970)."""

    at: int
    figures: Figures


class Found(NamedTuple):
    """Figures of a period: by name, the most time spent first; by window, the oldest first; and of all."""

    names: list[tuple[str, Figures]]
    points: list[Point]
    total: Figures
    step_s: int


class Observations:
    """The store as this instance uses it. All that reads it may raise `Unavailable`.

    `reported` is what the instance says of itself, by its name: each is asked for when it says so.
    """

    def __init__(self, store: Store, traces: Traces, tasks: Tasks, source: Source) -> None:
        self.source = source
        self.gathering = Gathering(store, tasks, source)
        self.reported: dict[str, Callable[[], object]] = {}
        self.store = store
        self._traces = traces
        self._tasks = tasks
        self._logs: Logs | None = None
        self._taken: dict[str, Level] = {}
        self._since_ns = wall_ns()

    @classmethod
    @asynccontextmanager
    async def open(
        cls, store: Store, traces: Traces, tasks: Tasks, source: Source | None = None
    ) -> "AsyncIterator[Observations]":
        """Observe until the block is left; what was seen until then is stored."""
        seen = cls(store, traces, tasks, source or Source())
        traces.observers.append(seen.gathering)
        traces.sinks.append(seen.gathering)
        traces.wanted.append(seen.gathering.want)
        stop = store.listen(seen._heard)
        tasks.start("telling that this instance is there", seen.report())
        tasks.every(EVERY, "telling that this instance is there", seen.report)
        try:
            yield seen
        finally:
            stop()
            await seen.gathering.flush()

    @property
    def scope(self) -> Literal["instance", "shared"]:
        """Whose observations these are: of this instance alone, or of all."""
        return self.store.scope

    @property
    def dropped(self) -> Dropped:
        """What there was no room for."""
        return self.gathering.dropped

    def follow(self, logs: Logs) -> Callable[[], None]:
        """Show the lines of a log, and let its levels be those of all instances; returns how to stop."""
        self._logs, put = logs, logs.put

        def both(line: Any) -> None:  # noqa: ANN401 - what the log takes
            put(line)
            self.gathering.said(line)

        def stop() -> None:
            self._logs, logs.put = None, put

        logs.put = both
        return stop

    async def report(self) -> None:
        """Say how this instance stands, and take over levels that were set elsewhere."""
        said = {
            "service": self.source.service,
            "version": self.source.version,
            "environment": self.source.environment,
            "started_ns": self._since_ns,
            "reported_ns": wall_ns(),
            "dropped": msgspec.to_builtins(self.dropped),
            **{name: report() for name, report in self.reported.items()},
        }
        try:
            with budget(None):
                await self.store.report(self.source.instance, msgspec.msgpack.encode(said))
                await self.take_levels()
        except (Unavailable, CommandRefused):
            return

    async def traces(self, sought: Sought, before: str, limit: int) -> tuple[list[tuple[str, Summary]], str | None]:
        """Segments of traces with their places, the newest first, and the place to go on from; None at the end."""
        await self.gathering.flush()
        found: list[tuple[str, Summary]] = []
        while some := await self.store.summaries(before, _AT_ONCE):
            found += [each for each in some if sought.has(each[1])]
            if len(found) > limit:
                return found[:limit], found[limit - 1][0]
            before = some[-1][0]
        return found, None

    async def trace(self, trace_id: str) -> list[Part]:
        """All that is kept of a trace, by its beginning; raises TraceNotFound."""
        await self.gathering.flush()
        bodies = await self.store.bodies(trace_id)
        if not bodies:
            raise TraceNotFound
        parts = await asyncio.to_thread(lambda: [unpacked(body) for body in bodies])
        return sorted(parts, key=lambda part: part.summary.started_ns)

    async def requests(self, period: Period) -> Found:
        """Figures of requests and jobs, by their method and route or their name."""
        return await self._figures(Family.REQUESTS, period, _SPANS[period][1])

    async def statements(self, period: Period) -> Found:
        """Figures of statements, by their text."""
        return await self._figures(Family.STATEMENTS, period, _COARSER.get(period, _SPANS[period][1]))

    async def notes(self, period: Period) -> list[Note]:
        """Statements that were slow, or run again and again for one request, the newest first."""
        await self.gathering.flush()
        since = wall_ns() - _SPANS[period][0] * 1_000_000_000
        return [note for note in await self.store.notes() if note.at_ns >= since]

    async def instances(self) -> dict[str, dict[str, Any]]:
        """What the instances say that are there."""
        await self.report()
        reports = await self.store.reports()
        return {name: msgspec.msgpack.decode(report) for name, report in sorted(reports.items())}

    async def lines(self, after: str | None, limit: int) -> tuple[str, list[bytes]]:
        """Lines of all instances, as JSON, that came after a place; None: from now on."""
        return await self.store.lines(after, limit)

    async def set_level(self, logger: str, level: str, lasting: timedelta) -> None:
        """Let a level hold for a logger and those beneath it, for so long, on all instances; raises TooManyLevels."""
        held = await self.levels()
        if logger not in held and len(held) >= MOST_LEVELS:
            raise TooManyLevels
        until = wall_ns() // 1_000_000 + round(min(lasting.total_seconds(), LONGEST_LEVEL_S) * 1000)
        await self.store.set_level(logger[:_LONGEST_NAME], Level(level, until))
        await self.take_levels()

    async def levels(self) -> dict[str, Level]:
        """Levels that were set and still hold; others are forgotten."""
        now, levels = wall_ns() // 1_000_000, await self.store.levels()
        over = [logger for logger, level in levels.items() if level.until_ms <= now]
        if over:
            await self.store.forget_levels(*over)
        return {logger: level for logger, level in levels.items() if level.until_ms > now}

    def level_of(self, logger: str) -> str:
        """The level that holds here for a logger now."""
        return level_name(LEVELS["info"] if self._logs is None else self._logs.levels.of(logger))

    async def take_levels(self) -> None:
        """Let levels hold here that were set anywhere."""
        if self._logs is None:
            return
        now = wall_ns() // 1_000_000
        held, taken = await self.levels(), self._taken
        self._taken = held
        for logger, level in held.items():
            if taken.get(logger) != level:
                self._logs.levels.set(logger, level.level, timedelta(milliseconds=level.until_ms - now))

    async def _figures(self, family: Family, period: Period, resolution: Resolution) -> Found:
        await self.gathering.flush()
        span, step = _SPANS[period][0], WINDOW_S[resolution]
        now = wall_ns() // 1_000_000_000
        since = (now - span) // step * step + step
        totals = await self.store.totals(family, resolution, since, now + 1)
        return await asyncio.to_thread(_found, totals, step)

    def _heard(self, wanted: list[str]) -> None:
        for trace_id in wanted:
            self._traces.bring_back(trace_id)
        if not wanted and self._logs is not None:
            self._tasks.start("taking over levels", self._take_levels())

    async def _take_levels(self) -> None:
        try:
            with budget(None):
                await self.take_levels()
        except (Unavailable, CommandRefused):
            return


def _found(totals: list[Totals], step: int) -> Found:
    names, windows = defaultdict[str, list[Totals]](list), defaultdict[int, list[Totals]](list)
    for each in totals:
        names[each.name].append(each)
        windows[each.at].append(each)
    by_name = sorted(((name, _of(some)) for name, some in names.items()), key=lambda each: (-each[1].total_ms, each[0]))
    return Found(by_name, [Point(at, _of(windows[at])) for at in sorted(windows)], _of(totals), step)


def _of(totals: list[Totals]) -> Figures:
    return figures(summed(each.fields for each in totals))
