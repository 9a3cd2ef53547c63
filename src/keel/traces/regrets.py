"""Segments that were dropped and may be wanted after all, for a while and within bounds."""

from collections import OrderedDict, deque
from typing import Final

from keel.context import Segment

MOST_SEGMENTS: Final = 2048
MOST_SPANS: Final = 16_384
"""Of all of them together."""
MOST_KEPT: Final = 4096
"""Traces of which it is remembered that they are kept."""


class Regrets:
    """What was dropped, by trace; the oldest goes first. Times are of `time.perf_counter_ns`."""

    def __init__(self, for_ns: int) -> None:
        self._for_ns = for_ns
        self._dropped: deque[Segment] = deque()
        self._by_trace: dict[str, Segment | list[Segment]] = {}
        """A list where a trace has several."""
        self._spans = 0
        self._kept: OrderedDict[str, int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._dropped)

    def drop(self, segment: Segment) -> None:
        """Remember a segment that was not kept."""
        dropped, trace_id = self._dropped, segment.trace_id
        dropped.append(segment)
        sibling = self._by_trace.setdefault(trace_id, segment)
        if isinstance(sibling, list):
            sibling.append(segment)
        elif sibling is not segment:
            self._by_trace[trace_id] = [sibling, segment]
        self._spans += len(segment.spans)
        while len(dropped) > MOST_SEGMENTS or self._spans > MOST_SPANS:
            self._forget_oldest()

    def want(self, trace_id: str, now_ns: int) -> list[Segment]:
        """The trace is kept: what was dropped of it; what comes of it later is wanted, too (`is_wanted`)."""
        self._kept[trace_id] = now_ns
        self._kept.move_to_end(trace_id)
        if len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
        found = self._by_trace.pop(trace_id, ())
        segments = (found,) if isinstance(found, Segment) else found
        return [each for each in segments if each.ended_ns >= now_ns - self._for_ns]

    def is_wanted(self, trace_id: str, now_ns: int) -> bool:
        """Whether the trace was kept a short while ago."""
        return trace_id in self._kept and self._kept[trace_id] > now_ns - self._for_ns

    def _forget_oldest(self) -> None:
        oldest = self._dropped.popleft()
        self._spans -= len(oldest.spans)
        found = self._by_trace.get(oldest.trace_id)
        if found is oldest:
            del self._by_trace[oldest.trace_id]
        elif isinstance(found, list) and found[0] is oldest:
            del found[0]
            if not found:
                del self._by_trace[oldest.trace_id]
