"""Segments that were dropped and may be wanted after all, for a while and within bounds."""

from collections import OrderedDict
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
        self._dropped: OrderedDict[Segment, None] = OrderedDict()
        self._by_trace: dict[str, list[Segment]] = {}
        self._spans = 0
        self._kept: OrderedDict[str, int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._dropped)

    def drop(self, segment: Segment) -> None:
        """Remember a segment that was not kept."""
        self._dropped[segment] = None
        self._by_trace.setdefault(segment.trace_id, []).append(segment)
        self._spans += len(segment.spans)
        oldest = segment.ended_ns - self._for_ns
        while self._spans > MOST_SPANS or len(self._dropped) > MOST_SEGMENTS or self._first_ended() < oldest:
            self._forget(next(iter(self._dropped)))

    def want(self, trace_id: str, now_ns: int) -> list[Segment]:
        """The trace is kept: what was dropped of it; what comes of it later is wanted, too (`is_wanted`)."""
        self._kept[trace_id] = now_ns
        self._kept.move_to_end(trace_id)
        if len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
        found = self._by_trace.get(trace_id, ())
        for each in list(found):
            self._forget(each)
        return [each for each in found if each.ended_ns >= now_ns - self._for_ns]

    def is_wanted(self, trace_id: str, now_ns: int) -> bool:
        """Whether the trace was kept a short while ago."""
        return self._kept.get(trace_id, -self._for_ns) > now_ns - self._for_ns

    def _first_ended(self) -> int:
        return next(iter(self._dropped)).ended_ns if self._dropped else 1 << 63

    def _forget(self, segment: Segment) -> None:
        del self._dropped[segment]
        self._spans -= len(segment.spans)
        siblings = self._by_trace[segment.trace_id]
        if len(siblings) == 1:
            del self._by_trace[segment.trace_id]
        else:
            self._by_trace[segment.trace_id] = [each for each in siblings if each is not segment]
