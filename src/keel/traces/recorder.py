"""Begins and ends segments, and decides in the end which of them are kept."""

import logging
from copy import copy
from random import getrandbits
from time import perf_counter_ns
from typing import Final

from keel.clock import wall_ns
from keel.context import RequestObserver, Segment
from keel.logs.exceptions import described
from keel.traces.contract import Kept, TraceOptions, TraceStats, Wanted
from keel.traces.memory import TraceRing
from keel.traces.propagation import Parent, Sample
from keel.traces.regrets import Regrets

_LOG: Final = logging.getLogger(__name__)
_SECOND_NS: Final = 1_000_000_000


class Traces:
    """The recorder of one process: head sampling by trace id, with a tail that keeps what matters.

    `observers` are told of every segment; `sinks` get those that are kept, the `ring` of the newest first; and `wanted`
    the ids of traces that others should bring their parts of back. All may be added to later.
    """

    def __init__(self, options: TraceOptions | None = None) -> None:
        options = options or TraceOptions()
        self.observers: list[RequestObserver] = []
        self.ring = TraceRing()
        self.sinks: list[Kept] = [self.ring]
        self.wanted: list[Wanted] = []
        self.under_way: set[Segment] = set()
        """Segments that have not ended."""
        self.stats = TraceStats()
        self._sample = Sample(options.rate)
        self._slow_ns = round(options.slow.total_seconds() * _SECOND_NS)
        self._regrets = Regrets(round(options.regret.total_seconds() * _SECOND_NS))
        self._marked = _Allowance(options.marked_per_s)

    def begin(self, kind: str, name: str, parent: Parent | None = None) -> Segment:
        """A segment that begins now, for what its `parent` does, or by itself."""
        segment = Segment(kind, name, "", getrandbits(64))
        self._place(segment, parent)
        self.under_way.add(segment)
        return segment

    def again(self, model: Segment, parent: Parent | None, began_ns: int) -> Segment:
        """A segment like `model`, which has no parts, that began just now, and ends before anybody else has a turn."""
        segment = copy(model)
        segment.span_id = getrandbits(64)
        segment.started_ns = wall_ns()
        segment.began_ns = began_ns
        self._place(segment, parent)
        return segment

    def _place(self, segment: Segment, parent: Parent | None) -> None:
        """Put it into the trace of its parent, or begin one."""
        if parent is None:
            segment.trace_id = trace_id = f"{getrandbits(128):032x}"
            segment.is_sampled = self._sample.has(trace_id)
        else:
            segment.trace_id, segment.parent_id = parent.trace_id, parent.span_id
            segment.is_sampled = self._sample.has(parent.trace_id) or (parent.is_sampled and self._marked.take())

    def end(self, segment: Segment) -> None:
        """The segment ends now: it is kept or dropped, and the observers are told."""
        now = segment.ended_ns = perf_counter_ns()
        self.under_way.discard(segment)
        if segment.error is not None:
            segment.exception = described(segment.error)
        if segment.is_sampled or self._regrets.is_wanted(segment.trace_id, now):
            self._keep(segment)
        elif (now - segment.began_ns >= self._slow_ns and self._was_slow(segment)) or segment.failed:
            self._keep(segment)
            self.keep_whole(segment.trace_id)
        else:
            self.stats.dropped += 1
            self._regrets.drop(segment)
        for observer in self.observers:
            try:
                observer.observed(segment)
            except Exception:  # noqa: BLE001 - whatever it is, requests do not notice
                _LOG.exception("an observer of requests failed")
        if segment.error is not None:
            segment.error = None

    def keep_whole(self, trace_id: str) -> None:
        """Keep what was dropped of a trace, and what will yet come of it, here and elsewhere."""
        self.bring_back(trace_id)
        for wanted in self.wanted:
            wanted(trace_id)

    def bring_back(self, trace_id: str) -> None:
        """Keep what was dropped of a trace, and what will yet come of it: a part of it is kept, here or elsewhere."""
        for segment in self._regrets.want(trace_id, perf_counter_ns()):
            self.stats.dropped -= 1
            self.stats.brought_back += 1
            self._keep(segment)

    def _was_slow(self, segment: Segment) -> bool:
        """Whether one that took long should not have: unlike a WebSocket, or a stream that lasted until it was left."""
        if segment.kind == "websocket":
            return False
        return not (segment.disconnected and 0 < segment.body_began_ns < segment.began_ns + self._slow_ns)

    def _keep(self, segment: Segment) -> None:
        segment.is_kept = True
        self.stats.kept += 1
        for sink in self.sinks:
            try:
                sink.keep(segment)
            except Exception:  # noqa: BLE001 - the same
                _LOG.exception("a trace could not be kept")


class _Allowance:
    """So many in each second."""

    __slots__ = ("_left", "_per_s", "_since_ns")

    def __init__(self, per_s: int) -> None:
        self._per_s = self._left = per_s
        self._since_ns = perf_counter_ns()

    def take(self) -> bool:
        """Whether there is one left."""
        now = perf_counter_ns()
        if now - self._since_ns >= _SECOND_NS:
            self._since_ns, self._left = now, self._per_s
        self._left -= 1
        return self._left >= 0
