"""Begins and ends segments, and decides in the end which of them are kept."""

import logging
from collections.abc import Sequence
from time import perf_counter_ns
from typing import Final

from keel.context import RequestObserver, Segment
from keel.traces.contract import Kept, TraceOptions
from keel.traces.propagation import Parent, Sample, new_span_id, new_trace_id

_LOG: Final = logging.getLogger(__name__)


class Traces:
    """The recorder of one process. `observers` are told of every segment, `sinks` get those that are kept."""

    def __init__(self, options: TraceOptions = TraceOptions(), sinks: Sequence[Kept] = ()) -> None:  # noqa: B008 - frozen
        self.observers: list[RequestObserver] = []
        self.sinks: list[Kept] = list(sinks)
        self.under_way: set[Segment] = set()
        """Segments that have not ended."""
        self._sample = Sample(options.rate)
        self._slow_ns = round(options.slow.total_seconds() * 1e9)

    def begin(self, kind: str, name: str, parent: Parent | None = None) -> Segment:
        """A segment that begins now, for what its `parent` does, or by itself."""
        if parent is None:
            trace_id = new_trace_id()
            segment = Segment(kind, name, trace_id, new_span_id(), is_sampled=self._sample.has(trace_id))
        else:
            sampled = parent.is_sampled or self._sample.has(parent.trace_id)
            segment = Segment(kind, name, parent.trace_id, new_span_id(), parent_id=parent.span_id, is_sampled=sampled)
        self.under_way.add(segment)
        return segment

    def end(self, segment: Segment) -> None:
        """The segment ends now: it is kept or dropped, and the observers are told."""
        segment.ended_ns = perf_counter_ns()
        self.under_way.discard(segment)
        if segment.is_sampled or segment.failed or segment.ended_ns - segment.began_ns >= self._slow_ns:
            segment.is_kept = True
            for sink in self.sinks:
                sink.keep(segment)
        for observer in self.observers:
            try:
                observer.observed(segment)
            except Exception:  # noqa: BLE001 - whatever it is, requests do not notice
                _LOG.exception("an observer of requests failed")
