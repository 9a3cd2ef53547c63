"""What time it is: the one place that reads the clocks of the machine."""

import time
from datetime import UTC, datetime
from typing import Final, Protocol


class Clock(Protocol):
    """Tells the time; handed to whatever needs it, so that a test can turn its hands."""

    def now(self) -> datetime:
        """The wall clock, aware, in UTC."""

    def monotonic(self) -> float:
        """Seconds from an arbitrary point, never going back."""


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> datetime:
        """The wall clock, aware, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds from an arbitrary point, never going back."""
        return time.monotonic()


wall_ns: Final = time.time_ns
"""Nanoseconds since 1970, UTC."""
