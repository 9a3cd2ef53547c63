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
    """What was dropped, by trace; of the oldest trace the oldest goes first. Times are of `time.perf_counter_ns`."""

    def __init__(self, for_ns: int) -> None:
        self._for_ns = for_ns
        self._dropped: OrderedDict[str, Segment | list[Segment]] = OrderedDict()
        """A list where a trace has several."""
        self._segments = self._spans = 0
        self._kept: OrderedDict[str, int] = OrderedDict()

    def __len__(self) -> int:
        return self._segments

    def drop(self, segment: Segment) -> None:
        """Remember a segment that was not kept."""
        sibling = self._dropped.setdefault(segment.trace_id, segment)
        if sibling is not segment:
            if isinstance(sibling, list):
                sibling.append(segment)
            else:
                self._dropped[segment.trace_id] = [sibling, segment]
        self._segments += 1
        if segment.spans:
            self._spans += len(segment.spans)
        while self._segments > MOST_SEGMENTS or self._spans > MOST_SPANS:
            self._forget_oldest()

    def want(self, trace_id: str, now_ns: int) -> list[Segment]:
        """The trace is kept: what was dropped of it; what comes of it later is wanted, too (`is_wanted`)."""
        self._kept[trace_id] = now_ns
        self._kept.move_to_end(trace_id)
        if len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
        found = self._dropped.pop(trace_id, [])
        segments = found if isinstance(found, list) else [found]
        for each in segments:
            self._forget(each)
        return [each for each in segments if each.ended_ns >= now_ns - self._for_ns]

    def is_wanted(self, trace_id: str, now_ns: int) -> bool:
        """Whether the trace was kept a short while ago."""
        return trace_id in self._kept and self._kept[trace_id] > now_ns - self._for_ns

    def _forget_oldest(self) -> None:
        trace_id, oldest = self._dropped.popitem(last=False)
        if isinstance(oldest, list):
            self._forget(oldest.pop(0))
            self._dropped[trace_id] = oldest if len(oldest) > 1 else oldest[0]
            self._dropped.move_to_end(trace_id, last=False)
        else:
            self._forget(oldest)

    def _forget(self, segment: Segment) -> None:
        self._segments -= 1
        self._spans -= len(segment.spans)
