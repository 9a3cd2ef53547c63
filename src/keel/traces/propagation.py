"""Trace context as it crosses processes: W3C Trace Context (https://www.w3.org/TR/trace-context/), in and out.

The sample goes by the last 56 bits of the trace id, as that of OpenTelemetry's consistent samplers does: all who sample
at the same rate keep the same traces.
"""

import re
from random import getrandbits
from typing import Final, NamedTuple

from keel.context import current_doing, hex_id

_TRACEPARENT: Final = re.compile(r"(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_TRACESTATE: Final = re.compile(r"[ -~\t]{1,512}")
_WHOLE: Final = 1 << 56
_HEX_OF_SAMPLE: Final = 14
_NO_TRACE: Final = "0" * 32


class Parent(NamedTuple):
    """For what a segment is done, as its caller said."""

    trace_id: str
    span_id: int
    is_sampled: bool


def parse(traceparent: str) -> Parent | None:
    """What the header says; None where it is not well-formed and a new trace begins."""
    found = _TRACEPARENT.fullmatch(traceparent)
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    parent = int(span_id, 16)
    if trace_id == _NO_TRACE or not parent or (more and version == "00"):
        return None
    return Parent(trace_id, parent, bool(int(flags, 16) & 1))


def well_formed_state(tracestate: str) -> str:
    """The `tracestate` as it may be passed on; empty where it may not."""
    return tracestate if _TRACESTATE.fullmatch(tracestate) else ""


def new_trace_id() -> str:
    """32 hexadecimal digits, never all zero."""
    return f"{getrandbits(128) or 1:032x}"


def new_span_id() -> int:
    """64 bits, never zero."""
    return getrandbits(64) or 1


class Sample:
    """The share of all traces, from 0 to 1, that is kept however they end."""

    __slots__ = ("_threshold",)

    def __init__(self, rate: float) -> None:
        if not 0 <= rate <= 1:
            raise ValueError("a sample is a share of the whole: from 0 to 1")
        self._threshold = f"{round((1 - rate) * _WHOLE):014x}"

    def has(self, trace_id: str) -> bool:
        """Whether a trace falls in the sample."""
        return len(self._threshold) == _HEX_OF_SAMPLE and trace_id[-_HEX_OF_SAMPLE:] >= self._threshold


def outgoing() -> dict[str, str]:
    """The headers that say, in a call to another service or in a job, for what it is done; none where for nothing."""
    now = current_doing()
    if now is None:
        return {}
    segment = now.segment
    flags = "01" if segment.is_sampled else "00"
    headers = {"traceparent": f"00-{segment.trace_id}-{hex_id(now.span_id)}-{flags}"}
    if segment.tracestate:
        headers["tracestate"] = segment.tracestate
    if segment.request_id:
        headers["X-Request-ID"] = segment.request_id
        headers["X-Correlation-ID"] = segment.correlation_id
    return headers
