"""What a store has, for who looks: traces, figures of a period, and who is there."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from enum import StrEnum
from secrets import token_hex
from typing import Any, Final, Literal, NamedTuple

import msgspec

from keel.clock import wall_ns
from keel.errors import Malformed
from keel.store.contract import (
    WINDOW_S,
    Family,
    Level,
    Note,
    Part,
    Resolution,
    Store,
    Summary,
    Totals,
    TraceNotFound,
)
from keel.store.figures import Figures, figures, summed
from keel.store.packing import unpacked

_AT_ONCE: Final = 500


class PlaceElsewhere(Malformed):
    """A place in the list of all instances is none in that of one, and none of one is in another's."""

    def __init__(self) -> None:
        super().__init__("The list is another one than that of the page before; start again without a cursor.")


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
    """Which traces are looked for: with a part of this route, or a job's name; that took so long; that ended so."""

    route: str | None = None
    min_ms: float = 0
    status: int | None = None

    def has(self, summary: Summary) -> bool:
        """Whether a part is one of those."""
        return (
            (self.route is None or self.route in {summary.route, summary.name})
            and summary.duration_us >= self.min_ms * 1000
            and (self.status is None or summary.status == self.status)
        )


class Trace(NamedTuple):
    """A trace in short: its place, and its parts from all processes, by their beginning."""

    place: str
    parts: list[Summary]


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


class Known:
    """What is in a store. All may raise `Unavailable` or `CommandRefused`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._list = "shared" if store.scope == "shared" else token_hex(4)
        """What tells places in this list from those in others."""

    @property
    def scope(self) -> Literal["instance", "shared"]:
        """Whose it is: this instance's alone, or that of all."""
        return self._store.scope

    async def traces(self, sought: Sought, before: str, limit: int) -> tuple[list[Trace], str | None]:
        """Traces, the newest first, from before a place; and the place to go on from, None at the end.

        The place of a trace is that of the first of its parts to be kept: a part that comes later moves none. Raises
        PlaceElsewhere.
        """
        of, _, last = before.rpartition(".")
        if before and of != self._list:
            raise PlaceElsewhere
        places, parts = dict[str, str](), defaultdict[str, list[Summary]](list)
        async for place, summary in self._summaries():
            places.pop(summary.trace_id, None)
            places[summary.trace_id] = place
            parts[summary.trace_id].append(summary)
        end, found = _order(last) if before else None, list[Trace]()
        for trace_id, place in places.items():
            if (end is None or _order(place) < end) and any(map(sought.has, parts[trace_id])):
                if len(found) == limit:
                    return found, f"{self._list}.{found[-1].place}"
                found.append(Trace(place, sorted(parts[trace_id], key=lambda part: part.started_ns)))
        return found, None

    async def trace(self, trace_id: str) -> list[Part]:
        """All that is kept of a trace, by its beginning; raises TraceNotFound."""
        bodies = await self._store.bodies(trace_id)
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
        since = wall_ns() - _SPANS[period][0] * 1_000_000_000
        return [note for note in await self._store.notes() if note.at_ns >= since]

    async def instances(self) -> dict[str, dict[str, Any]]:
        """What the instances say that are there."""
        reports = await self._store.reports()
        return {name: msgspec.msgpack.decode(report) for name, report in sorted(reports.items())}

    async def levels(self) -> dict[str, Level]:
        """Levels that were set and still hold; others are forgotten."""
        now, levels = wall_ns() // 1_000_000, await self._store.levels()
        over = [logger for logger, level in levels.items() if level.until_ms <= now]
        if over:
            await self._store.forget_levels(*over)
        return {logger: level for logger, level in levels.items() if level.until_ms > now}

    async def _summaries(self) -> AsyncIterator[tuple[str, Summary]]:
        before = ""
        while some := await self._store.summaries(before, _AT_ONCE):
            for each in some:
                yield each
            before = some[-1][0]

    async def _figures(self, family: Family, period: Period, resolution: Resolution) -> Found:
        span, step = _SPANS[period][0], WINDOW_S[resolution]
        now = wall_ns() // 1_000_000_000
        since = (now - span) // step * step + step
        totals = await self._store.totals(family, resolution, since, now + 1)
        return await asyncio.to_thread(_found, totals, step)


def _order(place: str) -> tuple[int, int]:
    at, _, number = place.partition("-")
    return int(at), int(number)


def _found(totals: list[Totals], step: int) -> Found:
    names, windows = defaultdict[str, list[Totals]](list), defaultdict[int, list[Totals]](list)
    for each in totals:
        names[each.name].append(each)
        windows[each.at].append(each)
    by_name = sorted(((name, _of(some)) for name, some in names.items()), key=lambda each: (-each[1].total_ms, each[0]))
    return Found(by_name, [Point(at, _of(windows[at])) for at in sorted(windows)], _of(totals), step)


def _of(totals: list[Totals]) -> Figures:
    return figures(summed(each.fields for each in totals))
