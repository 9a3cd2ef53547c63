"""Segments as they are stored: their summaries, and their bodies, compressed and without secrets."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
import zstandard

from keel.context import Segment, SpanRecord, hex_id
from keel.logs.redaction import Redaction
from keel.store.contract import BODY_BYTES, Part, SpanPart, Summary
from keel.traces.otlp import segment_attributes

_LARGEST: Final = 8 << 20
"""What a body may be when it is unpacked."""
_LONGEST_NAME: Final = 200
_LONGEST_TEXT: Final = 2048
_MOST_FRAMES: Final = 30
_MOST_KNOWN: Final = 2048
_DATABASE: Final = "db.system.name"


class Packing:
    """Makes summaries and bodies for one instance."""

    def __init__(self, instance: str, redaction: Redaction) -> None:
        self._instance = instance
        self._redaction = redaction
        self._clean: dict[int, tuple[Mapping[str, Any], dict[str, Any]]] = {}
        self._compress = zstandard.ZstdCompressor(level=3).compress

    def summary(self, segment: Segment) -> Summary:
        """A segment in short."""
        return Summary(
            trace_id=segment.trace_id,
            span_id=hex_id(segment.span_id),
            parent_id=_id(segment.parent_id),
            kind=segment.kind,
            name=title(segment)[:_LONGEST_NAME],
            method=segment.method,
            route=segment.route or "",
            status=segment.status,
            started_ns=segment.started_ns,
            duration_us=(segment.ended_ns - segment.began_ns) // 1000,
            error="" if segment.exception is None else str(segment.exception["type"])[:_LONGEST_NAME],
            spans=len(segment.spans),
            instance=self._instance,
        )

    def body(self, segment: Segment, summary: Summary) -> bytes:
        """A segment, whole: what is too large loses its last spans."""
        part = self._part(segment, summary)
        while True:
            packed = self._compress(msgspec.msgpack.encode(part))
            if len(packed) <= BODY_BYTES or not part.spans:
                return packed if len(packed) <= BODY_BYTES else b""
            keep = len(part.spans) // 2
            left_out = part.left_out + len(part.spans) - keep
            part = msgspec.structs.replace(part, spans=part.spans[:keep], left_out=left_out)

    def _part(self, segment: Segment, summary: Summary) -> Part:
        exception = segment.exception or {"message": "", "frames": []}
        spans = sorted(segment.spans, key=lambda span: span.began_ns)
        return Part(
            summary=summary,
            request_id=segment.request_id,
            correlation_id=segment.correlation_id,
            user_id="" if segment.user_id is None else str(segment.user_id)[:_LONGEST_NAME],
            queries=segment.queries,
            queries_us=round(segment.queries_s * 1e6),
            cache=segment.cache[:_LONGEST_NAME],
            attributes=_known(segment_attributes(segment, self._redaction)),
            message=self._redaction.text(exception["message"])[:_LONGEST_TEXT],
            frames=[f"{each['file']}:{each['line']} {each['function']}" for each in exception["frames"]][
                -_MOST_FRAMES:
            ],
            spans=[self._span(span, segment.began_ns) for span in spans],
            left_out=max(segment.begun_spans - len(spans), 0),
        )

    def _span(self, span: SpanRecord, since_ns: int) -> SpanPart:
        return SpanPart(
            hex_id(span.span_id),
            _id(span.parent_id),
            span.name[:_LONGEST_NAME],
            span.kind,
            (span.began_ns - since_ns) // 1000,
            (span.ended_ns - span.began_ns) // 1000,
            self._attributes(span.attributes),
            span.error,
        )

    def _attributes(self, attributes: Mapping[str, Any] | None) -> dict[str, Any] | None:
        """Attributes without secrets; those of statements and calls are the same objects each time."""
        if not attributes:
            return None
        if _DATABASE not in attributes:
            return {name: self._redaction.field(name, value) for name, value in attributes.items()}
        clean = self._clean.get(id(attributes))
        if clean is None or clean[0] is not attributes:
            if len(self._clean) >= _MOST_KNOWN:
                self._clean.clear()
            redacted = {name: self._redaction.field(name, value) for name, value in attributes.items()}
            clean = self._clean[id(attributes)] = (attributes, redacted)
        return clean[1]


def _known(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in attributes.items() if value is not None}


def title(segment: Segment) -> str:
    """What is done: of a request its method and route, never its path."""
    if segment.kind == "job":
        return segment.name
    return segment.method if segment.route is None else f"{segment.method} {segment.route}"


def unpacked(body: bytes) -> Part:
    """What `Packing.body` made."""
    content = zstandard.ZstdDecompressor().decompress(body, max_output_size=_LARGEST)
    return msgspec.msgpack.decode(content, type=Part)


def _id(span_id: int) -> str:
    return hex_id(span_id) if span_id else ""
