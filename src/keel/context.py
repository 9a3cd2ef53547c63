"""Who asks, and how long it may take: what is known for the length of one request."""

import sys
import time
from asyncio import current_task
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from threading import current_thread
from time import perf_counter_ns
from types import FrameType
from typing import Any, Final, NamedTuple, Protocol
from uuid import UUID

from msgspec import Struct, field

from keel.clock import wall_ns

Principal = UUID | str | int
"""Who asks, by the product's own id."""

REQUEST_BUDGET_S: Final = 0.15
"""What a request spends on Redis in all, unless it says otherwise."""
MOST_SPANS: Final = 256
MOST_STATEMENTS: Final = 64
_FAILURES: Final = range(500, 600)
_INTERNAL_ERROR: Final = 1011
_TOO_MANY: Final = 429

_principal: Final[ContextVar[Principal | None]] = ContextVar("principal", default=None)
_budget: "Final[ContextVar[Budget | None]]" = ContextVar("budget", default=None)


@contextmanager
def principal(user_id: Principal) -> Iterator[None]:
    """Do what is inside in the name of `user_id`."""
    token = _principal.set(user_id)
    try:
        yield
    finally:
        _principal.reset(token)


def act_as(user_id: Principal) -> None:
    """Do what follows in this task, a request's for instance, in the name of `user_id`."""
    _principal.set(user_id)
    segment = current_segment()
    if segment is not None:
        segment.user_id = user_id


def current_principal() -> Principal | None:
    """In whose name this is done; None where nobody is known to ask."""
    return _principal.get()


class Budget:
    """How long one request may still wait for Redis, in seconds.

    Waits that overlap count once: what is spent is the time during which anything of the request was waiting.
    """

    __slots__ = ("_left_s", "_since", "_waiting")

    def __init__(self, left_s: float = REQUEST_BUDGET_S) -> None:
        self._left_s = left_s
        self._waiting = 0
        self._since = 0.0

    @property
    def left_s(self) -> float:
        """What is left, never less than nothing."""
        spent = time.monotonic() - self._since if self._waiting else 0.0
        return max(self._left_s - spent, 0.0)

    def begin(self) -> None:
        """A wait begins; each must end."""
        if not self._waiting:
            self._since = time.monotonic()
        self._waiting += 1

    def end(self, _of: object = None) -> None:
        """A wait is over (fit to be a future's callback)."""
        self._waiting -= 1
        if not self._waiting:
            self._left_s -= time.monotonic() - self._since


@contextmanager
def budget(left_s: float | None = REQUEST_BUDGET_S) -> Iterator[Budget | None]:
    """Let what is inside wait `left_s` seconds for Redis in all; None: as long as each call allows.

    Tasks that start inside share it, so work that outlives the request begins with `budget(None)`.
    """
    opened = None if left_s is None else Budget(left_s)
    token = _budget.set(opened)
    try:
        yield opened
    finally:
        _budget.reset(token)


def current_budget() -> Budget | None:
    """The budget that waits are taken from; None where there is none."""
    return _budget.get()


# What is known of the work under way


@dataclass(slots=True)
class Statement:
    """How often one SQL statement was run for a segment, and how long that took."""

    count: int = 0
    total_s: float = 0.0
    worst_s: float = 0.0
    caller: str = ""
    """`file:line function` of the application that ran it, known of statements that were slow or often repeated."""


class SpanRecord(NamedTuple):
    """A span that has ended. Times are of `time.perf_counter_ns`, as is `Segment.began_ns`."""

    span_id: int
    parent_id: int
    name: str
    kind: str
    """`internal`, `client`, `producer` or `consumer`."""
    began_ns: int
    ended_ns: int
    attributes: Mapping[str, Any] | None
    """By the stable OpenTelemetry conventions."""
    error: str
    """The type of the exception that it ended with; empty where it ended well."""


class Segment(Struct, eq=False):
    """What one process does for one request, one WebSocket, or one job: the part of a trace that is kept as a whole.

    Made and ended by whoever begins the work (`keel.traces`, `keel.asgi.observing`); anybody within may add to it by
    `current_segment()`. After its end nothing changes any more. (A Struct is made in a tenth of the time that setting
    so many slots takes.)
    """

    kind: str
    """`http`, `websocket` or `job`."""
    name: str
    """What is done, of a job; `title` has it of all."""
    trace_id: str
    """32 hexadecimal digits."""
    span_id: int
    """64 bits; of the span that the segment is itself. `hex_id` writes it as others do."""
    parent_id: int = 0
    """The span, in another process or segment, that this is done for; 0: none."""
    is_sampled: bool = False
    """Whether the trace falls in the sample, and so is kept however it ends."""
    is_kept: bool = False
    """Whether this segment is kept: known in the end, and before the observers are told."""
    tracestate: str = ""
    request_id: str = ""
    correlation_id: str = ""
    method: str = ""
    """One of RFC 9110, PATCH or QUERY, or `_OTHER`."""
    path: str = ""
    route: str | None = None
    """The whole template, with the prefixes of routers and mounts; None where no route has the path."""
    status: int = 0
    """Of the answer; 0 where none was begun. Of a WebSocket's handshake: 101, or that of the refusal."""
    close_code: int = 0
    """With which a WebSocket was closed; 0 for anything else."""
    address: str = ""
    user_agent: bytes = b""
    """As it was sent."""
    user_id: Principal | None = None
    started_ns: int = field(default_factory=wall_ns)
    """Nanoseconds since 1970."""
    began_ns: int = field(default_factory=perf_counter_ns)
    body_began_ns: int = 0
    """When the answer began; 0: never."""
    ended_ns: int = 0
    """When everything was done, background tasks of the answer included; 0: not yet."""
    error: BaseException | None = None
    """What it failed with, also where that was answered in the end; let go of when the observers were told."""
    exception: Mapping[str, Any] | None = None
    """What is kept of the error: `type`, `message` and `frames` (see `keel.logs.exceptions`)."""
    disconnected: bool = False
    """Whether the client was gone before the answer was complete."""
    request_bytes: int = 0
    response_bytes: int = 0
    cache: str = ""
    """`hit`, `stale` or `miss`; empty where the answer is none that is kept."""
    queries: int = 0
    queries_s: float = 0.0
    statements: dict[str, Statement] | None = None
    """By their text, parameterised; at most MOST_STATEMENTS."""
    spans: list[SpanRecord] = field(default_factory=list)
    """In the order in which they ended."""
    begun_spans: int = 0
    """Only the first MOST_SPANS that begin are recorded."""
    attributes: Mapping[str, Any] | None = None
    """What else is known, by the names of OpenTelemetry's conventions."""
    is_routine: bool = False
    """Whether a program asks for it again and again, as probes do: only who wants to know everything reads its line."""

    generators: "list[InGenerator] | None" = None
    """Spans that are open within generators."""

    parent = None  # within this process nothing is around it

    @property
    def title(self) -> str:
        """What is done: of a request, its method and route."""
        if self.kind == "job":
            return self.name
        return self.method if self.route is None else f"{self.method} {self.route}"

    @property
    def rate_limited(self) -> bool:
        """Whether it was refused for being one too many."""
        return self.status == _TOO_MANY

    @property
    def segment(self) -> "Segment":
        """Itself: what is current is a span within a segment, or the segment."""
        return self

    @property
    def duration_s(self) -> float:
        """From its beginning to its end; 0 before that."""
        return (self.ended_ns - self.began_ns) / 1e9 if self.ended_ns else 0.0

    @property
    def failed(self) -> bool:
        """Whether it ended with an error of our own."""
        return (
            self.exception is not None
            or self.error is not None
            or self.status in _FAILURES
            or self.close_code == _INTERNAL_ERROR
        )


class RequestObserver(Protocol):
    """Is told of each segment that has ended, once, in the loop. It must not wait, nor raise, and keep it short.

    What takes longer goes to a thread by a bounded queue. A segment may be kept as it is: nobody changes it any more.
    """

    def observed(self, request: Segment) -> None:
        """A request, WebSocket or job (`request.kind`) has ended."""


class Doing(Protocol):
    """What is under way in a context: a span, or the segment itself."""

    @property
    def span_id(self) -> int:
        """By which its parts know it."""

    @property
    def segment(self) -> Segment:
        """The segment that it belongs to."""

    @property
    def parent(self) -> "Doing | None":
        """What it is a part of; None of a segment."""


class InGenerator(Doing, Protocol):
    """A span that is open within a generator.

    A generator has no context of its own: what is set in one that then yields is set for its consumer, and for every
    task that the consumer starts. So such a span is in no context. It is what is under way where its frame runs.
    """

    @property
    def frame(self) -> FrameType:
        """The generator's. While it is suspended nobody waits for it: it has no `f_back`."""

    @property
    def task(self) -> object:
        """The task, else the thread, in which the frame runs."""


doing: "Final[ContextVar[Doing | None]]" = ContextVar("doing", default=None)
"""For `keel.traces`, which sets it; others ask `current_segment` or `current_doing`."""


def current_doing() -> Doing | None:
    """The innermost span that is open here, or the segment."""
    now = doing.get()
    return now if now is None or not now.segment.generators else within_generators(now)


def within_generators(now: Doing) -> Doing:
    """What is under way where `now` is what the context says: it, or a generator's span that was entered within."""
    here = running_task()
    running = [each for each in now.segment.generators or () if each.frame.f_back is not None and each.task is here]
    around = now.parent
    while running and around is not None:
        running = [each for each in running if each is not around]
        around = around.parent
    frame: FrameType | None = sys._getframe(1) if running else None  # noqa: SLF001 - who is innermost is on the stack
    while frame is not None:
        for each in reversed(running):
            if each.frame is frame:
                return each
        frame = frame.f_back
    return now


def running_task() -> object:
    """The task that is running, else the thread."""
    try:
        return current_task() or current_thread()
    except RuntimeError:
        return current_thread()


def current_segment() -> Segment | None:
    """The segment that this is done for; None where none is observed, or it has ended."""
    now = doing.get()
    if now is None:
        return None
    segment = now.segment
    return None if segment.ended_ns else segment


def routine() -> None:
    """Say of the request that is under way that a program asks for it again and again."""
    segment = current_segment()
    if segment is not None:
        segment.is_routine = True


def hex_id(span_id: int) -> str:
    """A span's id as traces show it: 16 hexadecimal digits."""
    return f"{span_id:016x}"
