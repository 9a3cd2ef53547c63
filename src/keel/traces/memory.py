"""The newest kept segments, in this process."""

from collections import deque
from collections.abc import Iterable
from typing import Final

from keel.context import Segment

MOST_SEGMENTS: Final = 1024
MOST_SPANS: Final = 32_768
"""Of all of them together."""


class TraceRing:
    """Implements `Kept`; the oldest goes first."""

    def __init__(self, most: int = MOST_SEGMENTS) -> None:
        self._most = most
        self._segments: deque[Segment] = deque()
        self._spans = 0

    def keep(self, segment: Segment) -> None:
        """Keep a segment, and let go of what is too much."""
        self._segments.append(segment)
        self._spans += len(segment.spans)
        while len(self._segments) > self._most or self._spans > MOST_SPANS:
            self._spans -= len(self._segments.popleft().spans)

    def newest(self) -> Iterable[Segment]:
        """All that are there, the newest first."""
        return reversed(list(self._segments))

    def of(self, trace_id: str) -> list[Segment]:
        """The segments of a trace, by their beginning."""
        return sorted((each for each in self._segments if each.trace_id == trace_id), key=lambda each: each.started_ns)
