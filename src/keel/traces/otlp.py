"""Kept segments as OTLP has them (opentelemetry-proto 1.x, trace/v1, in its JSON form), by the stable conventions."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import msgspec

from keel.context import Segment, SpanRecord, hex_id
from keel.logs.contract import Collector, Source
from keel.logs.exporting import Exporter, ExportStats
from keel.logs.otlp import attributes, exception_attributes, resource
from keel.logs.redaction import Redaction
from keel.traces.recorder import Traces

PATH: Final = "/v1/traces"
_KINDS: Final = {"internal": 1, "server": 2, "client": 3, "producer": 4, "consumer": 5}
_ERROR: Final = 2
_SAMPLED: Final = 1
_LONGEST: Final = 1024


class OtlpTraces:
    """Implements `Kept`: segments go to a collector."""

    def __init__(self, collector: Collector, source: Source, redaction: Redaction, *, every_s: float = 1.0) -> None:
        def encode(segments: Sequence[Segment]) -> bytes:
            return encode_segments(segments, source, redaction)

        self._exporter = Exporter(collector, PATH, encode, every_s=every_s)
        self.keep = self._exporter.put
        self.close = self._exporter.close

    @property
    def stats(self) -> ExportStats:
        """What was sent and what was not."""
        return self._exporter.stats


@contextmanager
def exporting(traces: Traces, collector: Collector | None, source: Source | None) -> Iterator[None]:
    """Let what is kept go to a collector as well, if there is one, until the block is left."""
    if collector is None:
        yield
        return
    source = source or Source()
    exporter = OtlpTraces(collector, source, Redaction(source.service))
    traces.sinks.append(exporter)
    try:
        yield
    finally:
        traces.sinks.remove(exporter)
        exporter.close()


def encode_segments(segments: Sequence[Segment], source: Source, redaction: Redaction) -> bytes:
    """The body of a request to `/v1/traces`."""
    spans = [span for segment in segments for span in _spans(segment, redaction)]
    scope = {"scope": {"name": "keel.traces"}, "spans": spans}
    return msgspec.json.encode({"resourceSpans": [{"resource": resource(source), "scopeSpans": [scope]}]})


def segment_attributes(segment: Segment, redaction: Redaction) -> dict[str, Any]:
    """What is known of a segment, by the stable conventions, without secrets."""
    user = None if segment.user_id is None else str(segment.user_id)
    said: dict[str, Any] = {"enduser.id": user, **redaction.fields(segment.attributes or {})}
    if segment.kind != "job":
        said |= {
            "http.request.method": segment.method,
            "http.route": segment.route,
            "http.response.status_code": segment.status or None,
            "url.path": redaction.again(segment.path[:_LONGEST]),
            "client.address": segment.address or None,
            "user_agent.original": redaction.again(segment.user_agent[:_LONGEST].decode("latin-1")) or None,
            "http.request.body.size": segment.request_bytes,
            "http.response.body.size": segment.response_bytes,
            "keel.request_id": segment.request_id,
            "keel.correlation_id": segment.correlation_id,
            "keel.cache": segment.cache or None,
        }
    if segment.exception is not None:
        said["error.type"] = segment.exception["type"]
    elif segment.failed and segment.status:
        said["error.type"] = str(segment.status)
    return said


def span_attributes(span: SpanRecord, redaction: Redaction) -> dict[str, Any]:
    """What is known of a span, without secrets."""
    said = redaction.fields(span.attributes or {})
    if span.error:
        said["error.type"] = span.error
    return said


def _spans(segment: Segment, redaction: Redaction) -> list[dict[str, Any]]:
    since = segment.started_ns - segment.began_ns
    whole = _span(
        segment.trace_id,
        (segment.span_id, segment.parent_id),
        redaction.text(segment.title),
        _kind(segment),
        (segment.started_ns, since + segment.ended_ns),
        segment_attributes(segment, redaction),
        failed=segment.failed,
    )
    if segment.tracestate:
        whole["traceState"] = segment.tracestate
    if segment.exception is not None:
        exception = {**segment.exception, "message": redaction.text(segment.exception["message"])}
        said = attributes(exception_attributes(exception))
        whole["events"] = [{"name": "exception", "timeUnixNano": str(since + segment.ended_ns), "attributes": said}]
    parts = [
        _span(
            segment.trace_id,
            (span.span_id, span.parent_id),
            redaction.text(span.name),
            _KINDS.get(span.kind, 1),
            (since + span.began_ns, since + span.ended_ns),
            span_attributes(span, redaction),
            failed=bool(span.error),
        )
        for span in segment.spans
    ]
    return [whole, *parts]


def _kind(segment: Segment) -> int:
    if segment.kind == "job":
        return _KINDS["consumer" if segment.parent_id else "internal"]
    return _KINDS["server"]


def _span(
    trace_id: str,
    ids: tuple[int, int],
    name: str,
    kind: int,
    times: tuple[int, int],
    said: Mapping[str, Any],
    *,
    failed: bool,
) -> dict[str, Any]:
    span: dict[str, Any] = {
        "traceId": trace_id,
        "spanId": hex_id(ids[0]),
        "name": name,
        "kind": kind,
        "startTimeUnixNano": str(times[0]),
        "endTimeUnixNano": str(times[1]),
        "attributes": attributes(said),
        "flags": _SAMPLED,
    }
    if ids[1]:
        span["parentSpanId"] = hex_id(ids[1])
    if failed:
        span["status"] = {"code": _ERROR}
    return span
