"""What each algorithm is, written from its definition and in exact fractions; nothing here knows how it is computed."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from fractions import Fraction
from typing import Protocol
from zoneinfo import ZoneInfo

from keel.ratelimit.contract import Algorithm, Limit, Unit


class Model(Protocol):
    """A limit by its definition. Times are µs and never go back."""

    def room(self, now: int) -> int:
        """How many requests would be admitted now, one after the other."""

    def charge(self, now: int, cost: int) -> None:
        """Count a request that was admitted."""

    def take_back(self, now: int, cost: int) -> None:
        """Count the last admitted request no more."""


@dataclass
class VirtualScheduling:
    """GCRA as ITU-T I.371 has it: a theoretical arrival time that may lie ahead of the clock by so much."""

    limit: Limit
    arrival: Fraction = Fraction(0)

    @property
    def interval(self) -> Fraction:
        return Fraction(self.limit.period_us, self.limit.count)

    def room(self, now: int) -> int:
        ahead = max(self.arrival, Fraction(now)) - now
        return int((self.interval * self.limit.capacity - ahead) / self.interval)

    def charge(self, now: int, cost: int) -> None:
        self.arrival = max(self.arrival, Fraction(now)) + cost * self.interval

    def take_back(self, now: int, cost: int) -> None:
        self.arrival = max(max(self.arrival, Fraction(now)) - cost * self.interval, Fraction(now))


@dataclass
class Bucket:
    """A token bucket: full at first, filled evenly, never above the brim."""

    limit: Limit
    tokens: Fraction = Fraction(-1)
    at: int = 0

    def _fill(self, now: int) -> None:
        if self.tokens < 0:
            self.tokens = Fraction(self.limit.capacity)
        gained = Fraction((now - self.at) * self.limit.count, self.limit.period_us)
        self.tokens, self.at = min(Fraction(self.limit.capacity), self.tokens + gained), now

    def room(self, now: int) -> int:
        self._fill(now)
        return int(self.tokens)

    def charge(self, now: int, cost: int) -> None:
        self._fill(now)
        self.tokens -= cost

    def take_back(self, now: int, cost: int) -> None:
        self._fill(now)
        self.tokens = min(Fraction(self.limit.capacity), self.tokens + cost)


@dataclass
class Weighted:
    """All admitted requests; those of this window count, and of the one before as many as still overlap."""

    limit: Limit
    admitted: list[tuple[int, int]] = field(default_factory=list)

    def _in(self, window: int) -> int:
        return sum(cost for at, cost in self.admitted if at // self.limit.period_us == window)

    def room(self, now: int) -> int:
        window, elapsed = divmod(now, self.limit.period_us)
        overlap = 1 - Fraction(elapsed, self.limit.period_us)
        return int((self.limit.count - self._in(window) - self._in(window - 1) * overlap) // 1)

    def charge(self, now: int, cost: int) -> None:
        self.admitted.append((now, cost))

    def take_back(self, now: int, cost: int) -> None:  # noqa: ARG002 - of its kind
        if self.admitted:
            self.admitted.pop()


@dataclass
class Windows:
    """All admitted requests; those count whose clock, or calendar, showed the same window."""

    limit: Limit
    admitted: list[tuple[int, int]] = field(default_factory=list)

    def _window(self, at: int) -> object:
        if self.limit.unit is None:
            return at // self.limit.period_us
        local = datetime.fromtimestamp(at // 1_000_000, UTC).astimezone(ZoneInfo(self.limit.zone))
        if self.limit.unit is Unit.DAY:
            return local.date()
        if self.limit.unit is Unit.WEEK:
            return local.isocalendar()[:2]
        return (local.year, local.month) if self.limit.unit is Unit.MONTH else local.year

    def room(self, now: int) -> int:
        window = self._window(now)
        return self.limit.count - sum(cost for at, cost in self.admitted if self._window(at) == window)

    def charge(self, now: int, cost: int) -> None:
        self.admitted.append((now, cost))

    def take_back(self, now: int, cost: int) -> None:  # noqa: ARG002 - of its kind
        if self.admitted:
            self.admitted.pop()


@dataclass
class Holders:
    """Who has come and not gone, for as long as a lease lasts."""

    limit: Limit
    since: list[int] = field(default_factory=list)

    def room(self, now: int) -> int:
        return self.limit.count - sum(now < at + self.limit.period_us for at in self.since)

    def charge(self, now: int, cost: int) -> None:  # noqa: ARG002 - of its kind
        self.since.append(now)

    def take_back(self, now: int, cost: int) -> None:  # noqa: ARG002 - of its kind
        if self.since:
            self.since.pop()


def model_of(limit: Limit) -> Model:
    """The definition of a limit."""
    kinds: dict[Algorithm, type[VirtualScheduling | Bucket | Weighted | Windows | Holders]] = {
        Algorithm.GCRA: VirtualScheduling,
        Algorithm.TOKEN_BUCKET: Bucket,
        Algorithm.SLIDING_WINDOW: Weighted,
        Algorithm.FIXED_WINDOW: Windows,
        Algorithm.CONCURRENCY: Holders,
    }
    return kinds[limit.algorithm](limit)


def cost_of(limit: Limit, cost: int) -> int:
    """What a request counts: a holder is one, whatever the cost."""
    return 1 if limit.algorithm is Algorithm.CONCURRENCY else cost
