"""Figures as administrators see them: of requests, statements, the cache, instances, and what all is used for."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any, Literal, Self

import msgspec
from pydantic import AwareDatetime, Field

from keel.logs.contract import LEVELS
from keel.store.asking import Found, Period
from keel.store.contract import Level, Note
from keel.store.figures import Figures
from tradesense.http.types import Body, View
from tradesense.monitoring.repository import BusinessDay
from tradesense.monitoring.schemas.standing import DetailedHealthView, ErrorGroupsView, Milliseconds, Scope
from tradesense.monitoring.schemas.traces import TraceId, TracesView, at_ns

LevelName = Literal["debug", "info", "warning", "error", "critical"]
_COUNTS = ("memory_hits", "shared_hits", "stale_hits", "misses", "loads", "coalesced", "discarded", "errors")

_OF_MEMORY = ("mode", "bytes", "limit_bytes", "entries", "evictions")


class FiguresView(View):
    """How often something was done, and how long it took. Percentiles are good to the width of a bucket."""

    count: int = Field(ge=0)
    client_errors: int = Field(ge=0, description="Answers from 400 to 499.")
    failures: int = Field(ge=0)
    mean_ms: Milliseconds
    p50_ms: Milliseconds
    p95_ms: Milliseconds
    p99_ms: Milliseconds
    max_ms: Milliseconds
    total_ms: Milliseconds
    queries: int = Field(ge=0, description="Of the database.")
    queries_ms: Milliseconds
    hits: int = Field(ge=0, description="Answers from the cache.")
    stale: int = Field(ge=0)
    misses: int = Field(ge=0)


class NamedFiguresView(FiguresView):
    """Figures of one route, or of one kind of job."""

    name: str = Field(examples=["GET /api/v1/trades"])


class PointView(FiguresView):
    """Figures of one window."""

    at: AwareDatetime = Field(description="When it begins.")


class RequestsView(View):
    """Figures of requests and jobs."""

    scope: Scope
    period: Period
    step_s: int = Field(description="Seconds of each window.")
    total: FiguresView
    timeline: list[PointView] = Field(description="By window, the oldest first; where nothing happened there is none.")
    routes: list[NamedFiguresView] = Field(description="The most time spent first; those beyond 200 are `other`.")

    @classmethod
    def of(cls, scope: Literal["instance", "shared"], period: Period, found: Found) -> Self:
        """The view of what was found."""
        return cls(
            scope=scope,
            period=period,
            step_s=found.step_s,
            total=FiguresView(**_plain(found.total)),
            timeline=[PointView(at=_at(point.at), **_plain(point.figures)) for point in found.points],
            routes=[NamedFiguresView(name=name, **_plain(figures)) for name, figures in found.names],
        )


class StatementView(View):
    """How often a statement was run, and how long that took; without values."""

    statement: str
    count: int = Field(ge=0)
    mean_ms: Milliseconds
    p50_ms: Milliseconds
    p95_ms: Milliseconds
    max_ms: Milliseconds
    total_ms: Milliseconds

    @classmethod
    def of(cls, statement: str, figures: Figures) -> Self:
        """The view of a statement's figures."""
        plain = _plain(figures)
        return cls(statement=statement, **{name: plain[name] for name in cls.model_fields if name != "statement"})


class NotedView(View):
    """A statement that was slow, or was run again and again for one request: rows that were asked for one by one."""

    at: AwareDatetime
    name: str = Field(description="Of the request or job.", examples=["GET /api/v1/trades"])
    statement: str
    caller: str = Field(description="Who ran it, `file:line function`.")
    count: int = Field(ge=0, description="How often, for this request.")
    total_ms: Milliseconds
    max_ms: Milliseconds
    trace_id: TraceId | None = Field(description="Its trace; null where that was not kept.")
    instance: str

    @classmethod
    def of(cls, note: Note) -> Self:
        """The view of a note."""
        return cls(
            at=at_ns(note.at_ns),
            name=note.name,
            statement=note.statement,
            caller=note.caller,
            count=note.count,
            total_ms=note.total_us / 1000,
            max_ms=note.worst_us / 1000,
            trace_id=note.trace_id if note.is_kept else None,
            instance=note.instance,
        )


class QueriesView(View):
    """What the database is asked."""

    scope: Scope
    period: Period
    statements: list[StatementView] = Field(description="The most time spent first; those beyond 200 are `other`.")
    slow: list[NotedView] = Field(description="From 100 ms, the newest first; each of a route once in a minute.")
    repeated: list[NotedView] = Field(description="From ten times in one request (N+1), likewise.")

    @classmethod
    def of(cls, scope: Literal["instance", "shared"], period: Period, found: Found, notes: Iterable[Note]) -> Self:
        """The view of what was found."""
        views = [(note.kind, NotedView.of(note)) for note in notes]
        return cls(
            scope=scope,
            period=period,
            statements=[StatementView.of(*each) for each in found.names],
            slow=[view for kind, view in views if kind == "slow"],
            repeated=[view for kind, view in views if kind == "repeated"],
        )


class CachedRouteView(View):
    """How often the answers of a route came from the cache."""

    name: str
    hits: int = Field(ge=0)
    stale: int = Field(ge=0)
    misses: int = Field(ge=0)


class CacheGroupView(View):
    """Reads of the keys that begin with the same word, since the instances have started."""

    group: str
    memory_hits: int = Field(ge=0)
    shared_hits: int = Field(ge=0)
    stale_hits: int = Field(ge=0)
    misses: int = Field(ge=0)
    loads: int = Field(ge=0)
    coalesced: int = Field(ge=0)
    discarded: int = Field(ge=0)
    errors: int = Field(ge=0)


class InstanceCacheView(View):
    """The copies in the memory of one instance."""

    instance: str
    mode: str = Field(description="How far they are trusted: `memory`, `live`, `gap` or `outage`.")
    bytes: int = Field(ge=0)
    limit_bytes: int = Field(ge=0)
    entries: int = Field(ge=0)
    evictions: int = Field(ge=0)


class CacheView(View):
    """How the cache does."""

    scope: Scope
    period: Period
    routes: list[CachedRouteView] = Field(description="In the period, of routes whose answers are kept.")
    groups: list[CacheGroupView] = Field(description="Of all instances that are there.")
    instances: list[InstanceCacheView]

    @classmethod
    def of(
        cls,
        scope: Literal["instance", "shared"],
        period: Period,
        found: Found,
        reports: Mapping[str, Mapping[str, Any]],
    ) -> Self:
        """The view of what was found, and of what instances say."""
        caches = {name: report["cache"] for name, report in reports.items() if "cache" in report}
        return cls(
            scope=scope,
            period=period,
            routes=[
                CachedRouteView(name=name, hits=each.hits, stale=each.stale, misses=each.misses)
                for name, each in found.names
                if each.hits or each.stale or each.misses
            ],
            groups=_groups(caches.values()),
            instances=[
                InstanceCacheView(instance=name, **{each: cache[each] for each in _OF_MEMORY})
                for name, cache in caches.items()
            ],
        )


class InstanceView(View):
    """An instance that is there: it has said so within 30 s."""

    instance: str
    service: str
    version: str
    environment: str
    started_at: AwareDatetime
    reported_at: AwareDatetime
    lag_ms: Milliseconds | None = Field(description="The greatest delay of its event loop in the last seconds.")
    dropped: dict[str, int] = Field(description="What it had no room to store, since its start.")

    @classmethod
    def of(cls, name: str, report: Mapping[str, Any]) -> Self:
        """The view of what an instance says."""
        return cls(
            instance=name,
            service=report["service"],
            version=report["version"],
            environment=report["environment"],
            started_at=at_ns(report["started_ns"]),
            reported_at=at_ns(report["reported_ns"]),
            lag_ms=report.get("lag_ms"),
            dropped=report["dropped"],
        )


class InstancesView(View):
    """The instances that are there."""

    scope: Scope
    items: list[InstanceView]


class BusinessDayView(View):
    """What the product was used for on a day, in UTC."""

    day: date
    active_users: int = Field(ge=0)
    executions: int = Field(ge=0, description="That imports brought.")
    trades: int = Field(ge=0, description="That closed.")
    imports: dict[str, dict[str, int]] = Field(description="By broker and result.")
    volume: dict[str, str] = Field(description="Results of trades that closed, added up without sign, by currency.")
    computed_at: AwareDatetime

    @classmethod
    def of(cls, day: BusinessDay) -> Self:
        """The view of a day."""
        return cls(**{name: getattr(day, name) for name in cls.model_fields})


class BusinessView(View):
    """What the product was used for, by day."""

    days: list[BusinessDayView] = Field(description="The oldest first; today is not over, and not among them.")

    @classmethod
    def of(cls, days: Iterable[BusinessDay]) -> Self:
        """The view of some days."""
        return cls(days=[BusinessDayView.of(day) for day in days])


class LoggerView(View):
    """From which level on the lines of a logger are written."""

    name: str
    level: LevelName
    until: AwareDatetime | None = Field(description="Until when; null where it is the one of the settings.")

    @classmethod
    def of(cls, name: str, level: str, held: Level | None) -> Self:
        """The view of a logger; `held` is what was set at run time."""
        return cls.model_validate(
            {"name": name, "level": level, "until": None if held is None else at_ns(held.until_ms * 1_000_000)}
        )


class LevelChange(Body):
    """A level for a logger and those beneath it, on all instances, for a while."""

    level: LevelName = Field(examples=sorted(LEVELS)[:1])
    minutes: int = Field(default=15, ge=1, le=24 * 60, description="For how long.")


class DashboardView(View):
    """Everything at a glance."""

    at: AwareDatetime
    scope: Scope
    health: DetailedHealthView
    requests: RequestsView
    traces: TracesView
    errors: ErrorGroupsView
    queries: QueriesView
    cache: CacheView
    instances: InstancesView
    business: BusinessView | None = Field(description="Null where the database does not answer in time.")
    loggers: list[LoggerView] = Field(description="Those whose level was set at run time.")


def _plain(figures: Figures) -> dict[str, Any]:
    return msgspec.structs.asdict(figures)


def _at(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _groups(caches: Iterable[Mapping[str, Any]]) -> list[CacheGroupView]:
    total: dict[str, Counter[str]] = {}
    for cache in caches:
        for name, counted in cache["groups"].items():
            total.setdefault(name, Counter()).update(counted)
    return [
        CacheGroupView(group=name, **{each: counted[each] for each in _COUNTS})
        for name, counted in sorted(total.items())
    ]
