"""What can be counted and measured, and how it is handed to whoever collects it.

Names are those of Prometheus: a unit at the end (`_seconds`, `_bytes`), counters without the `_total` that is added
when they are told. Values of labels come from the program, never from its users as they are; how many there can be is
capped all the same.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Final, NamedTuple, Protocol

from keel.context import RequestObserver, Segment

OTHER: Final = "other"
"""The value of every label of whatever came after a metric had as many children as it may have."""
MOST_CHILDREN: Final = 200
DURATIONS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of buckets, in seconds."""
SIZES: Final = (256, 1 << 10, 1 << 12, 1 << 14, 1 << 16, 1 << 18, 1 << 20, 1 << 24, 1 << 28)
"""Upper bounds of buckets, in bytes."""


class Counter(Protocol):
    """Counts what happened."""

    def inc(self, *labels: str, by: float = 1) -> None:
        """It happened, `by` times, to what has these values of its labels."""


class Gauge(Protocol):
    """Holds what is the case now."""

    def set(self, value: float, *labels: str) -> None:
        """It is `value` for what has these values of its labels."""


class Histogram(Protocol):
    """Sorts what was measured into buckets."""

    def observe(self, value: float, *labels: str) -> None:
        """It was measured of what has these values of its labels."""


class Kind(StrEnum):
    """What a number means: it only rises, or it is what it is."""

    COUNTER = "counter"
    GAUGE = "gauge"


class Reading(NamedTuple):
    """A number that somebody else keeps, read when it is asked for."""

    name: str
    value: float
    labels: Mapping[str, str]
    text: str
    kind: Kind = Kind.GAUGE


Source = Callable[[], Iterable[Reading]]
"""Reads numbers, in the loop; it must not wait. Readings of one name have the same labels, text and kind."""


class Rendered(NamedTuple):
    """All metrics, as somebody wanted them."""

    media_type: str
    body: bytes


class Metrics(Protocol):
    """What is measured in one process. A metric that is asked for again by its name is the same."""

    def counter(self, name: str, text: str, labels: Sequence[str] = (), *, most: int = MOST_CHILDREN) -> Counter:
        """A counter, of at most `most` children: what comes after those is counted as OTHER."""

    def gauge(self, name: str, text: str, labels: Sequence[str] = (), *, most: int = MOST_CHILDREN) -> Gauge:
        """A gauge, likewise."""

    def histogram(
        self,
        name: str,
        text: str,
        labels: Sequence[str] = (),
        *,
        buckets: Sequence[float] = DURATIONS_S,
        most: int = MOST_CHILDREN,
    ) -> Histogram:
        """A histogram, likewise; `buckets` are upper bounds."""

    def read(self, source: Source) -> Callable[[], None]:
        """Ask `source` whenever somebody collects; returns how to stop."""

    def requests(self, under_way: Callable[[], Iterable[Segment]]) -> RequestObserver:
        """What is to be told of every request, WebSocket and job; `under_way` are those that have not ended.

        It is made once.
        """

    async def render(self, accept: str = "") -> Rendered:
        """Everything, in what `accept` (an HTTP header) wants: OpenMetrics, JSON, or the text format 0.0.4."""
