"""Traces as administrators see them: in short, and as one tree."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Literal, NamedTuple, Self

from pydantic import AwareDatetime, Field

from keel.store.contract import Part, SpanPart, Summary
from tradesense.http.types import View
from tradesense.monitoring.schemas.standing import Milliseconds, Scope

TraceId = Annotated[str, Field(examples=["0af7651916cd43dd8448eb211c80319c"])]
SpanId = Annotated[str, Field(examples=["b7ad6b7169203331"])]
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def at_ns(ns: int) -> datetime:
    """A time by its nanoseconds since 1970."""
    return _EPOCH + timedelta(microseconds=ns // 1000)


class TraceSummaryView(View):
    """A trace in short: what it began with, a request, a WebSocket, or a job, and how much there is of it."""

    trace_id: TraceId
    span_id: SpanId
    parent_id: SpanId | None = Field(description="The span that it was done for; null where none is known.")
    kind: str = Field(examples=["http"])
    name: str = Field(examples=["GET /api/v1/trades"])
    method: str
    route: str = Field(description="The template; empty where there is none.", examples=["/api/v1/trades"])
    status: int = Field(description="Of the answer; 0 where there was none.")
    started_at: AwareDatetime
    duration_ms: Milliseconds = Field(description="Until the last part ended.")
    error: str = Field(description="The type of what a part of it failed with; empty where none did.")
    spans: int = Field(ge=0, description="Of all parts.")
    instance: str
    parts: int = Field(ge=1, description="Requests, WebSockets and jobs that are kept of it.")
    instances: list[str] = Field(description="Where they were done.")

    @classmethod
    def of(cls, parts: Sequence[Summary]) -> Self:
        """The view of a trace; at least one part of it is there."""
        first = min(parts, key=lambda part: (bool(part.parent_id), part.started_ns))
        same = ("trace_id", "span_id", "kind", "name", "method", "route", "status", "instance")
        begins, ends = times(parts)
        return cls(
            **{name: getattr(first, name) for name in same},
            parent_id=first.parent_id or None,
            started_at=at_ns(begins),
            duration_ms=(ends - begins) // 1000 / 1000,
            error=next((part.error for part in parts if part.error), ""),
            spans=sum(part.spans for part in parts),
            parts=len(parts),
            instances=sorted({part.instance for part in parts}),
        )


def times(parts: Collection[Summary]) -> tuple[int, int]:
    """When the first of them begins and the last ends, in ns since 1970."""
    return min(part.started_ns for part in parts), max(part.started_ns + part.duration_us * 1000 for part in parts)


class TracesView(View):
    """Traces, the newest first."""

    scope: Scope
    items: list[TraceSummaryView]
    next: str | None = Field(description="The cursor of the next page; null on the last one.")


class ProcessView(View):
    """What is known of a part of a trace beside its times."""

    instance: str
    kind: str
    status: int
    request_id: str
    correlation_id: str
    user_id: str
    cache: str = Field(description="`hit`, `stale` or `miss`; empty where the answer is none that is kept.")
    db_queries: int = Field(ge=0)
    db_ms: Milliseconds
    message: str = Field(description="Of what it failed with, without anything secret.")
    frames: list[str] = Field(description="Where it failed, `file:line function`, the innermost last.")
    left_out: int = Field(ge=0, description="Spans that there was no room for.")


class SpanView(View):
    """A line of the waterfall."""

    span_id: SpanId
    parent_id: SpanId | None
    depth: int = Field(ge=0, description="How far it is from its root.")
    name: str
    kind: str = Field(description="`http`, `websocket` and `job` are parts of their own; others lie within one.")
    instance: str
    offset_ms: float = Field(description="From the beginning of the trace, by the clock of its instance.")
    duration_ms: Milliseconds
    error: str
    attributes: dict[str, Any]
    process: ProcessView | None = Field(description="Of what begins a part: a request, a WebSocket, or a job.")


class TraceView(View):
    """All that is kept of a trace, from all instances, as one tree: each span is followed by those within it."""

    scope: Scope
    trace_id: TraceId
    started_at: AwareDatetime
    duration_ms: Milliseconds
    instances: list[str]
    spans: list[SpanView]

    @classmethod
    def of(cls, scope: Literal["instance", "shared"], parts: list[Part]) -> Self:
        """The view of a trace; at least one part of it is there."""
        first, last = times([part.summary for part in parts])
        return cls(
            scope=scope,
            trace_id=parts[0].summary.trace_id,
            started_at=at_ns(first),
            duration_ms=(last - first) // 1000 / 1000,
            instances=sorted({part.summary.instance for part in parts}),
            spans=[_line(depth, node, first) for depth, node in _tree(parts)],
        )


class _Node(NamedTuple):
    """A span, or a part as the span that it is itself."""

    span_id: str
    parent_id: str
    began_ns: int
    part: Part
    span: SpanPart | None


def _nodes(parts: Iterable[Part]) -> Iterator[_Node]:
    for part in parts:
        summary = part.summary
        yield _Node(summary.span_id, summary.parent_id, summary.started_ns, part, None)
        for span in part.spans:
            yield _Node(span.span_id, span.parent_id, summary.started_ns + span.offset_us * 1000, part, span)


def _tree(parts: Iterable[Part]) -> Iterator[tuple[int, _Node]]:
    """All spans with their depths, each followed by those within it; one whose parent is not kept is a root."""
    nodes = {node.span_id: node for node in _nodes(parts)}
    within: dict[str, list[_Node]] = {}
    for node in nodes.values():
        within.setdefault(node.parent_id if node.parent_id in nodes else "", []).append(node)
    waiting = [(0, node) for node in _latest_first(within, "")]
    while waiting:
        depth, node = waiting.pop()
        yield depth, node
        waiting += [(depth + 1, each) for each in _latest_first(within, node.span_id)]


def _latest_first(within: Mapping[str, list[_Node]], span_id: str) -> list[_Node]:
    return sorted(within.get(span_id, []), key=lambda node: -node.began_ns)


def _line(depth: int, node: _Node, first_ns: int) -> SpanView:
    part, span = node.part, node.span
    summary = part.summary
    return SpanView(
        span_id=node.span_id,
        parent_id=node.parent_id or None,
        depth=depth,
        name=summary.name if span is None else span.name,
        kind=summary.kind if span is None else span.kind,
        instance=summary.instance,
        offset_ms=(node.began_ns - first_ns) // 1000 / 1000,
        duration_ms=(summary.duration_us if span is None else span.duration_us) / 1000,
        error=summary.error if span is None else span.error,
        attributes=(part.attributes if span is None else span.attributes) or {},
        process=_process(part) if span is None else None,
    )


def _process(part: Part) -> ProcessView:
    return ProcessView(
        instance=part.summary.instance,
        kind=part.summary.kind,
        status=part.summary.status,
        request_id=part.request_id,
        correlation_id=part.correlation_id,
        user_id=part.user_id,
        cache=part.cache,
        db_queries=part.queries,
        db_ms=part.queries_us / 1000,
        message=part.message,
        frames=part.frames,
        left_out=part.left_out,
    )
