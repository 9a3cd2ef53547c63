"""What is kept of traces, and who keeps it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from keel.context import Segment
from keel.logs.contract import Collector


class Kept(Protocol):
    """Where segments go that are kept. Called in the loop: it must not wait, nor raise."""

    def keep(self, segment: Segment) -> None:
        """Keep a segment that has ended."""


Wanted = Callable[[str], None]
"""Is told the id of a trace that is kept although it is in no sample, so that others bring their parts of it back."""


@dataclass(frozen=True, slots=True)
class TraceOptions:
    """Which traces are kept.

    `rate` is the share that is kept however they end; what fails, or takes `slow` or longer, is kept in any case. A
    segment that was dropped can be brought back for `regret`, when another one of its trace is kept. Callers may mark a
    trace as sampled: `marked_per_s` of those are believed in a second, as anybody may be calling. What is kept goes to
    the `collector` as well.
    """

    rate: float = 0.1
    slow: timedelta = timedelta(seconds=1)
    regret: timedelta = timedelta(seconds=60)
    marked_per_s: int = 10
    collector: Collector | None = None


@dataclass(slots=True)
class TraceStats:
    """Since the start."""

    kept: int = 0
    dropped: int = 0
    brought_back: int = 0
