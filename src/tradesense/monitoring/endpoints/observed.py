"""Traces, figures and the live tail of all instances, for administrators."""

import re
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path, Query
from starlette.responses import Response

from keel.errors import Malformed
from keel.opening import Keel
from keel.redis.sharing import NotKnownHere
from keel.store.asking import Known, Period, PlaceElsewhere, Sought
from keel.store.contract import TraceNotFound
from keel.store.observations import Observations
from tradesense.events.live.lines import Lines, ShuttingDown, TooManyConnections
from tradesense.http.authentication import Administrator, AdminRequired
from tradesense.http.paging import LARGEST_PAGE, PAGE_SIZE, CursorMalformed
from tradesense.http.problems import refusals
from tradesense.http.state import provided
from tradesense.monitoring.live import MEDIA_TYPE, Filter, Tail
from tradesense.monitoring.schemas.figures import (
    CacheView,
    InstancesView,
    InstanceView,
    LevelName,
    QueriesView,
    RequestsView,
)
from tradesense.monitoring.schemas.traces import TraceSummaryView, TracesView, TraceView

router = APIRouter(tags=["monitoring"])

_CURSOR: Final = re.compile(r"(shared|[0-9a-f]{8})\.[0-9]{1,19}-[0-9]{1,19}")
_TRACE_ID: Final = re.compile(r"(?!0{32})[0-9a-f]{32}")
_ADMIN: Final = refusals(AdminRequired)


class TraceIdMalformed(Malformed):
    """An id of a trace is 32 hexadecimal digits, not all of them zero (W3C Trace Context)."""

    def __init__(self) -> None:
        super().__init__("The id of a trace is 32 hexadecimal digits, in small letters.")


async def _observations(keel: Annotated[Keel, Depends(provided("keel", Keel))]) -> Observations:
    return keel.observations


async def _trace_id(
    trace_id: Annotated[str, Path(max_length=64, examples=["0af7651916cd43dd8448eb211c80319c"])],
) -> str:
    if not _TRACE_ID.fullmatch(trace_id):
        raise TraceIdMalformed
    return trace_id


TheObservations = Annotated[Observations, Depends(_observations)]
TheLines = Annotated[Lines, Depends(provided("lines", Lines))]
Back = Annotated[Period, Query(description="How far back.")]
Route = Annotated[
    str | None, Query(max_length=200, description="The template, the method and the template, or a job's name.")
]
Status = Annotated[int | None, Query(ge=0, le=599)]


async def of_traces(known: Known, sought: Sought, cursor: str, limit: int) -> TracesView:
    """The view of a page of traces."""
    found, following = await known.traces(sought, cursor, limit)
    return TracesView(scope=known.scope, items=[TraceSummaryView.of(each.parts) for each in found], next=following)


async def _of_trace(known: Known, trace_id: str) -> TraceView:
    return TraceView.of(known.scope, await known.trace(trace_id))


async def of_requests(known: Known, period: Period) -> RequestsView:
    """The view of requests."""
    return RequestsView.of(known.scope, period, await known.requests(period))


async def of_queries(known: Known, period: Period) -> QueriesView:
    """The view of statements."""
    return QueriesView.of(known.scope, period, await known.statements(period), await known.notes(period))


async def of_cache(known: Known, period: Period) -> CacheView:
    """The view of the cache."""
    return CacheView.of(known.scope, period, await known.requests(period), await known.instances())


async def of_instances(known: Known) -> InstancesView:
    """The view of the instances."""
    return InstancesView(
        scope=known.scope, items=[InstanceView.of(*each) for each in (await known.instances()).items()]
    )


async def _filter(
    level: Annotated[LevelName, Query(description="From this level on.")] = "info",
    route: Route = None,
    status: Status = None,
    min_ms: Annotated[float, Query(ge=0, le=1e9, description="Requests that took so long.")] = 0,
    text: Annotated[str, Query(max_length=200, description="Lines that have this in them.")] = "",
) -> Filter:
    return Filter(level, route, status, min_ms, text)


@router.get("/traces", responses=refusals(AdminRequired, CursorMalformed, PlaceElsewhere))
async def list_traces(
    _: Administrator,
    seen: TheObservations,
    route: Route = None,
    min_ms: Annotated[float, Query(ge=0, le=1e9, description="Those of which a part took so long.")] = 0,
    status: Status = None,
    cursor: Annotated[str | None, Query(min_length=1, max_length=64, description="`next` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=LARGEST_PAGE)] = PAGE_SIZE,
) -> TracesView:
    """Traces that were kept, the newest first: what failed, what was slow, and a sample of all.

    A trace is sought by its parts: one of them is of this `route`, has this `status` and took so long.
    """
    if cursor is not None and not _CURSOR.fullmatch(cursor):
        raise CursorMalformed
    return await seen.told(of_traces, Sought(route, min_ms, status), cursor or "", limit)


@router.get("/traces/{trace_id}", responses=refusals(AdminRequired, TraceNotFound, TraceIdMalformed, NotKnownHere))
async def get_trace(_: Administrator, trace_id: Annotated[str, Depends(_trace_id)], seen: TheObservations) -> TraceView:
    """All that is kept of a trace, from all instances, as one tree."""
    return await seen.told(_of_trace, trace_id)


@router.get("/requests", responses=_ADMIN)
async def get_requests(_: Administrator, seen: TheObservations, period: Back = Period.HOUR) -> RequestsView:
    """How many requests there were and how long they took, by route and over time."""
    return await seen.told(of_requests, period)


@router.get("/queries", responses=_ADMIN)
async def get_queries(_: Administrator, seen: TheObservations, period: Back = Period.HOUR) -> QueriesView:
    """What the database was asked: statements in figures, those that were slow, and those that were repeated."""
    return await seen.told(of_queries, period)


@router.get("/cache", responses=_ADMIN)
async def get_cache(_: Administrator, seen: TheObservations, period: Back = Period.HOUR) -> CacheView:
    """How many answers came from the cache, and what it holds."""
    await seen.report()
    return await seen.told(of_cache, period)


@router.get("/instances", responses=_ADMIN)
async def list_instances(_: Administrator, seen: TheObservations) -> InstancesView:
    """The instances that are there: each says so every ten seconds, and is forgotten after thirty."""
    await seen.report()
    return await seen.told(of_instances)


@router.get(
    "/tail",
    status_code=200,
    response_class=Tail,
    responses={
        **refusals(AdminRequired, TooManyConnections, ShuttingDown),
        200: {
            "description": "Lines as JSON as they come: events named `request` and `log`; `scope` says whose they are.",
            "content": {MEDIA_TYPE: {"schema": {"type": "string"}}},
        },
    },
)
async def tail_logs(
    admin: Administrator, seen: TheObservations, lines: TheLines, wanted: Annotated[Filter, Depends(_filter)]
) -> Response:
    """See the requests and the log lines of all instances as they come, about a second later.

    A filter by `route`, `status` or `min_ms` leaves only requests.
    """
    return Tail(seen, lines, admin, wanted)
