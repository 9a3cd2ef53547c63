"""What rate limits are made of: what a limit says, what is decided, and what counts."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from math import ceil, gcd
from typing import Final, NamedTuple, Protocol
from zoneinfo import ZoneInfo

import msgspec

from keel.errors import RateLimited, Unavailable

SECOND_US: Final = 1_000_000
LEAST_LEASED_PER_MINUTE: Final = 60
EXACT: Final = 1 << 52
"""Lua counts in doubles; below this, sums, products and quotients of whole numbers are exact."""
_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_TICKS: Final = (1, 10, 100, 1000)


class Algorithm(StrEnum):
    """How is counted.

    gcra: a level that rises by each request and sinks evenly; it must not exceed the burst (ITU-T I.371, the generic
    cell rate algorithm). token_bucket: the same meter seen from the other side, tokens that are taken and trickle in;
    both admit the same. sliding_window: what was counted in this window, and of the one before the part that still
    overlaps. fixed_window: what was counted since the clock or the calendar began a new one. concurrency: how many are
    at it now; each holds a lease, which expires should it never be given back.
    """

    GCRA = "gcra"
    SLIDING_WINDOW = "sliding_window"
    FIXED_WINDOW = "fixed_window"
    TOKEN_BUCKET = "token_bucket"  # noqa: S105 - a token of another kind
    CONCURRENCY = "concurrency"


METERS: Final = frozenset({Algorithm.GCRA, Algorithm.TOKEN_BUCKET})


class Outage(StrEnum):
    """What becomes of a limit while the server is away.

    local: this process enforces its share, the limit divided by the number of processes. closed: everything is refused.
    open: nothing is.
    """

    LOCAL = "local"
    CLOSED = "closed"
    OPEN = "open"


class Unit(StrEnum):
    """A window of the calendar."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"


UTC: Final = "UTC"


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `count` in `period_us` microseconds, a multiple of 1000; of a concurrency, how long a lease lasts.

    `burst` is how many a meter admits at once (`count` unless given). `unit` makes a fixed window one of the calendar
    in `zone`; `period_us` is then only said to clients. `shadow` counts and never refuses. `leased` lets a process take
    several permits at once and spend them by itself, for limits of at least 60 a minute. Raises ValueError for what
    makes no sense, or cannot be counted exactly.
    """

    count: int
    period_us: int
    algorithm: Algorithm = Algorithm.GCRA
    burst: int | None = None
    name: str = "default"
    unit: Unit | None = None
    zone: str = UTC
    outage: Outage = Outage.LOCAL
    shadow: bool = False
    leased: bool = False
    key: str = field(init=False, repr=False, compare=False, default="")
    """What its state is called beside that of the subject's other limits."""
    step: int = field(init=False, repr=False, compare=False, default=0)
    """Of a meter: by how many units a request raises the level."""
    leak: int = field(init=False, repr=False, compare=False, default=0)
    """Of a meter: by how many units the level sinks each microsecond."""
    tick_us: int = field(init=False, repr=False, compare=False, default=1)
    """Of a sliding window: how finely time is told."""
    _hash: int = field(init=False, repr=False, compare=False, default=0)

    def __post_init__(self) -> None:
        """Check, and work out what is needed each time."""
        self._check()
        divisor = gcd(self.count, self.period_us)
        found = next((tick for tick in _TICKS if 2 * self.count * self.period_us // tick < EXACT), None)
        values: dict[str, object] = {"step": self.period_us // divisor, "leak": self.count // divisor}
        if self.algorithm is Algorithm.SLIDING_WINDOW:
            if found is None:
                raise ValueError(f"{self.count} in {self.period_us} µs cannot be counted exactly")
            values["tick_us"] = found
        elif self.algorithm in METERS and self.capacity * self.period_us // divisor >= EXACT:
            raise ValueError(f"{self.capacity} at {self.count} in {self.period_us} µs cannot be counted exactly")
        for name, value in values.items():
            object.__setattr__(self, name, value)
        object.__setattr__(self, "key", self._key())
        object.__setattr__(self, "_hash", hash((self.key, self.count, self.burst, self.zone, self.outage, self.shadow)))

    def __hash__(self) -> int:
        """Worked out once: limits are looked up by each check."""
        return self._hash

    @property
    def capacity(self) -> int:
        """How many it admits at once."""
        return self.count if self.burst is None else self.burst

    @property
    def is_held(self) -> bool:
        """Whether it counts those who are at it now, rather than those who came."""
        return self.algorithm is Algorithm.CONCURRENCY

    @property
    def may_be_leased(self) -> bool:
        """Whether it is a rate of at least 60 a minute."""
        return not self.is_held and self.count * 60 * SECOND_US >= LEAST_LEASED_PER_MINUTE * self.period_us

    def _check(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"{self.name!r} is no name: letters, digits, dots, hyphens and underscores make one")
        if self.count < 1 or self.capacity < 1:
            raise ValueError("a limit must admit something")
        if self.period_us < 1000 or self.period_us % 1000:  # noqa: PLR2004 - a millisecond
            raise ValueError("a period is of whole milliseconds")
        if self.burst is not None and self.algorithm not in METERS:
            raise ValueError(f"a burst is for {Algorithm.GCRA} and {Algorithm.TOKEN_BUCKET}")
        if self.unit is None and self.zone != UTC:
            raise ValueError("a time zone is for windows of the calendar")
        if self.unit is not None:
            if self.algorithm is not Algorithm.FIXED_WINDOW:
                raise ValueError("only fixed windows follow the calendar")
            ZoneInfo(self.zone)
        if self.leased and not self.may_be_leased:
            raise ValueError(f"only rates of at least {LEAST_LEASED_PER_MINUTE} a minute can be leased")

    def _key(self) -> str:
        """The name and how is counted; not the count, where a window goes on when a limit is raised or lowered."""
        if self.algorithm in METERS:
            return f"{self.name}:m{self.step}.{self.leak}"
        if self.unit is not None:
            return f"{self.name}:f{self.unit}"
        letter = {Algorithm.SLIDING_WINDOW: "s", Algorithm.FIXED_WINDOW: "f"}.get(self.algorithm, "c")
        return f"{self.name}:{letter}{self.period_us}"


Limits = tuple[Limit, ...]


class Source(StrEnum):
    """Who decided."""

    __hash__ = str.__hash__  # decisions are counted by it, and that of enumerations is written in Python

    SHARED = "shared"
    """The counters that all processes share, or this process's where there are no others."""
    LOCAL = "local"
    """This process, while the server is away."""
    LEASE = "lease"
    """This process, with permits that it had taken."""
    DENIAL = "denial"
    """This process, which remembers that the answer is no until then."""
    OUTAGE = "outage"
    """Nobody could: what the limits say for that case."""


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """What one limit says. `remaining` is what it would still admit at once, the times are in µs from `Decision.at_us`.

    `retry_after_us` is when it would admit what it does not now, if nobody else came; 0 where it `fits`. `reset_us` is
    when everything counted is forgotten. `mark` says of which window what was counted is, `charged` whether it was.
    """

    limit: Limit
    fits: bool
    remaining: int
    retry_after_us: int
    reset_us: int
    mark: int = 0
    charged: bool = False


class Decision(msgspec.Struct, frozen=True, gc=False):
    """What all limits of one subject say together, at `at_us` by the clock of who decided.

    `token` names the lease of a concurrency, `extra` is how many permits were taken beyond the cost.
    """

    subject: str
    verdicts: tuple[Verdict, ...]
    allowed: bool
    cost: int
    at_us: int
    source: Source
    token: str = ""
    extra: int = 0

    @property
    def remaining(self) -> int:
        """What would still be admitted at once; 0 where nobody can tell."""
        return min((each.remaining for each in self.verdicts if not each.limit.shadow), default=0)

    @property
    def refusing(self) -> tuple[Verdict, ...]:
        """Those that refuse."""
        return tuple(each for each in self.verdicts if not each.fits and not each.limit.shadow)

    @property
    def retry_after_us(self) -> int:
        """When it would be admitted if nobody else came; 0 where it is."""
        return max((each.retry_after_us for each in self.refusing), default=0)


class Charge(NamedTuple):
    """Who is to be charged for what."""

    subject: str
    limits: Limits


class Spent(NamedTuple):
    """A permit that was spent of those that were taken by a decision; `left` more may yet be."""

    decision: Decision
    left: int = 0


class Decisions(msgspec.Struct, frozen=True, gc=False):
    """What was decided of several subjects, in their order, up to the first who was refused."""

    parts: tuple[Decision, ...]

    @property
    def allowed(self) -> bool:
        """Whether all were admitted."""
        return all(part.allowed for part in self.parts)

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """Of all of them."""
        return tuple(verdict for part in self.parts for verdict in part.verdicts)

    @property
    def remaining(self) -> int:
        """What would still be admitted at once."""
        return min((part.remaining for part in self.parts if part.verdicts), default=0)

    @property
    def retry_after_us(self) -> int:
        """When it would be admitted if nobody else came; 0 where it is."""
        return max((part.retry_after_us for part in self.parts), default=0)


class LimitExceeded(RateLimited):
    """There were too many requests.

    `decisions` says which limit refuses, `retry_after` when it would not any more.
    """

    def __init__(self, decisions: Decisions) -> None:
        wait = timedelta(seconds=max(1, ceil(decisions.retry_after_us / SECOND_US)))
        super().__init__(f"Too many requests; try again in {_told(wait)}.", retry_after=wait)
        self.decisions = decisions


class LimitsUnavailable(Unavailable):
    """How often this was asked cannot be told at the moment, and it must not be done without knowing."""

    def __init__(self, decisions: Decisions) -> None:
        super().__init__("This cannot be admitted at the moment; try again soon.", retry_after=timedelta(seconds=1))
        self.decisions = decisions


def _told(wait: timedelta) -> str:
    seconds = int(wait.total_seconds())
    for size, word in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= 2 * size:
            return f"{ceil(seconds / size)} {word}s"
    return "1 second" if seconds == 1 else f"{seconds} seconds"


class Counters(Protocol):
    """Counts for subjects. All limits of one check are charged, or none is."""

    async def take(self, subject: str, limits: Limits, cost: int, extra: int = 0) -> Decision:
        """Charge `cost` if all limits that are no shadows admit it.

        With it go up to `extra` permits more, as far as they are no more than a quarter of what then remains. A shadow
        is charged where it admits it. A concurrency counts one lease, whatever the cost.
        """

    async def peek(self, subject: str, limits: Limits, cost: int) -> Decision:
        """What `take` would say; nothing is charged."""

    async def give_back(self, decision: Decision, cost: int) -> None:
        """Take back `cost` of what `decision` has charged, where it still counts, and its lease of a concurrency."""

    async def reset(self, subject: str, limits: Sequence[Limit]) -> None:
        """Forget what was counted."""
