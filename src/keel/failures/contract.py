"""What is kept of errors: groups by fingerprint, and what becomes of them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from secrets import token_hex
from typing import Final, Literal, NamedTuple, Protocol

import msgspec

from keel.errors import NotFound

MOST_GROUPS: Final = 1000
"""Groups that are kept; beyond, the one that was not seen for longest goes."""
MOST_ROUTES: Final = 20
"""Routes that a group names; any further one is counted as OTHER."""
OTHER: Final = "other"
TOKEN_BYTES: Final = 4
USER_BITS: Final = 4096
"""How many bits the users of a group are told apart by; see `keel.failures.counting`."""
_UNKNOWN: Final = datetime.min.replace(tzinfo=UTC)


class ErrorState(StrEnum):
    """What has been decided about a group: nothing yet, that it is mended, or that it does not matter."""

    OPEN = "open"
    RESOLVED = "resolved"
    IGNORED = "ignored"


class ErrorGroupNotFound(NotFound):
    """There is no group of errors with this fingerprint, or none any more."""

    def __init__(self) -> None:
        super().__init__("There is no such group of errors, or it was forgotten.")


class Frame(msgspec.Struct, frozen=True):
    """A place in the code; `is_own` where that is the application's."""

    file: str
    line: int
    function: str
    is_own: bool


class Occurrence(msgspec.Struct, frozen=True):
    """One error, as it happened. The message is redacted; values of variables are never kept."""

    fingerprint: str
    type: str
    message: str
    where: str
    """The innermost place that is the application's own."""
    frames: tuple[Frame, ...]
    """From the outermost to the innermost."""
    at: datetime
    route: str
    trace_id: str = ""
    request_id: str = ""


class Batch(msgspec.Struct):
    """What happened of one group in a while: how often, on which routes, to whom (bits), and the latest of it.

    A batch that is added again with the same `token`, as nobody knows whether it was, counts once.
    """

    latest: Occurrence
    count: int = 0
    routes: dict[str, int] = {}
    users: set[int] = set()
    token: str = msgspec.field(default_factory=lambda: token_hex(TOKEN_BYTES))
    since: datetime = _UNKNOWN
    """When the first of it happened."""

    def __post_init__(self) -> None:
        if self.since is _UNKNOWN:
            self.since = self.latest.at

    def grow(self, more: "Batch") -> None:
        """Count what happened of the same group later."""
        self.latest = more.latest
        self.count += more.count
        self.routes = added(self.routes, more.routes)
        self.users |= more.users


def added(routes: Mapping[str, int], more: Mapping[str, int]) -> dict[str, int]:
    """Counts by route, added up; a route that there is no more room for counts as OTHER."""
    total = dict(routes)
    for route, count in more.items():
        name = route if route in total or len(total) < MOST_ROUTES else OTHER
        total[name] = total.get(name, 0) + count
    return total


class ErrorGroup(msgspec.Struct, frozen=True):
    """Errors of one type from one place. Times are in UTC."""

    fingerprint: str
    type: str
    where: str
    state: ErrorState
    count: int
    first_seen: datetime
    last_seen: datetime
    users: int
    """How many users met it; an estimate, exact while they are few."""
    routes: Mapping[str, int]
    regressions: int
    """How often it came back after it was resolved."""
    changed_at: datetime
    """When its state changed last, or it was first seen."""
    sample: Occurrence
    """The latest of it."""


class Listed(NamedTuple):
    """Groups, and whose they are: of this instance alone, or of all."""

    scope: Literal["instance", "shared"]
    groups: list[ErrorGroup]


class Sink(Protocol):
    """Is told of each error, in the loop. It must not wait, nor raise."""

    def failed(self, occurrence: Occurrence) -> None:
        """Something went wrong."""


class ErrorGroups(Protocol):
    """Where groups are kept, MOST_GROUPS at most. All may raise `Unavailable` where that is elsewhere."""

    scope: Literal["instance", "shared"]
    """Who shares them: this process alone, or all."""

    async def add(self, batch: Batch) -> ErrorGroup:
        """Count what happened. A group that was resolved before it did is open again, which is a regression."""

    async def get(self, fingerprint: str) -> ErrorGroup:
        """One group; raises ErrorGroupNotFound."""

    async def newest(
        self, *, state: ErrorState | None = None, since: datetime | None = None, limit: int = 100
    ) -> list[ErrorGroup]:
        """Those in a `state`, and seen `since`, the latest seen first."""

    async def decide(self, fingerprint: str, state: ErrorState, at: datetime) -> ErrorGroup:
        """Set the state of a group; raises ErrorGroupNotFound."""
