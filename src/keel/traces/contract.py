"""What is kept of traces, and who keeps it."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from keel.context import Segment


class Kept(Protocol):
    """Where segments go that are kept. Called in the loop: it must not wait, nor raise."""

    def keep(self, segment: Segment) -> None:
        """Keep a segment that has ended."""


@dataclass(frozen=True, slots=True)
class TraceOptions:
    """Which traces are kept.

    `rate` is the share that is kept however they end; what fails, or takes `slow` or longer, is kept in any case. A
    segment that was dropped can be brought back for `regret`, when another one of its trace is kept.
    """

    rate: float = 0.1
    slow: timedelta = timedelta(seconds=1)
    regret: timedelta = timedelta(seconds=60)
