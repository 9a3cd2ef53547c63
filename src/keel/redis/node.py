"""One server: the line for commands, the line for pushes, and the circuit breaker over both.

The breaker opens after five calls in a row without an answer, on a missed heartbeat, when the server is not (or no
longer) a master that serves, and when a lost connection cannot be made again at once. While it is open calls fail
without waiting; connecting again in the background is the half-open probe.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import Any, Final, Protocol

from keel.redis.connections import Opener
from keel.redis.examination import Facts, examine
from keel.redis.line import Line
from keel.redis.link import Link, Request
from keel.redis.observer import Observer, State
from keel.redis.pushline import Hearer, PushLine
from keel.redis.urls import Address
from keel.tasks import Tasks

_LOG: Final = logging.getLogger(__name__)
MEND_S: Final = 0.25
"""How long calls are held while a connection is made (again)."""
MOST_FAILURES: Final = 5
FULL_WAIT_S: Final = 0.15
"""A call that was given less time says nothing about the server."""
_HELD_S: Final = 0.02
"""A timer that is later than this was held up by the loop, and so was whatever lies in the sockets unread."""
_SEVERED: Final = "the connection was cut"


class Owner(Hearer, Protocol):
    """Whoever asks the servers."""

    def node_came(self, node: "Node") -> None:
        """It can be called, for the first time or anew."""

    def node_went(self, node: "Node") -> None:
        """It is in doubt, or away."""


class Node:
    """One server at one address. Calls go through `send`; `state` says how it stands."""

    def __init__(self, address: Address, opener: Opener, owner: Owner, observer: Observer, *, in_cluster: bool) -> None:
        self.address = address
        self.state = State.MENDING
        self.facts = Facts(run_id="", tracks=True, tells_role=True)
        self.reason = "not connected yet"
        self.pushes = PushLine(self._open_for_pushes, owner, observer, str(address))
        self._opener = opener
        self._owner = owner
        self._observer = observer
        self._in_cluster = in_cluster
        self._loop = asyncio.get_running_loop()
        self._link: Link | None = None
        self._held: list[Request] = []
        self._closed = False
        self._tasks: Tasks
        self._keeping: asyncio.Task[None]
        self._patience = self._loop.call_later(MEND_S, self._despair)
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = float("inf")

    def start(self, tasks: Tasks) -> None:
        """Begin to connect."""
        self._tasks = tasks
        line = Line(self._open_for_commands, made=self._made, missed=self._missed)
        self._keeping = tasks.start(f"redis: commands to {self.address}", line.keep())

    @property
    def link(self) -> Link | None:
        """The link for commands while there is one."""
        return self._link

    @property
    def idle(self) -> bool:
        """Whether nobody waits for it."""
        return not self._held and not (self._link and self._link.waiting)

    def send(self, *requests: Request) -> None:
        """Send requests next to each other; hold them for a moment while the connection is made; or fail them."""
        if self._link is not None:
            for request in requests:
                self._link.send(request)
        elif self.state is State.MENDING:
            self._held.extend(requests)
        else:
            for request in requests:
                request.fail(self.reason)
            return
        if requests[-1].deadline < self._alarm_at:
            self._set_alarm(requests[-1].deadline)

    def flush(self) -> None:
        """Write what was sent in this tick."""
        if self._link is not None:
            self._link.flush()

    def trip(self, reason: str) -> None:
        """Open the breaker: drop both connections and begin again."""
        self._fall(reason)
        if self._link is not None:
            self._link.cut(reason)

    def close(self) -> None:
        """Be done with it; whoever waits is told that Redis is away."""
        self._closed = True
        self.state, self.reason = State.DOWN, "closed"
        self._patience.cancel()
        if self._alarm is not None:
            self._alarm.cancel()
        self.pushes.close()
        self._keeping.cancel()
        if self._link is not None:
            self._link.cut("closed")
        self._fail_held("closed")

    async def _open_for_commands(self) -> Link:
        link = await self._opener.open(self.address, _unexpected)
        self.facts = await examine(link, self._opener.timeout_s, in_cluster=self._in_cluster)
        return link

    async def _open_for_pushes(self) -> Link:
        link = await self._opener.open(self.address, self.pushes.heard)
        await examine(link, self._opener.timeout_s, in_cluster=self._in_cluster)
        return link

    def _made(self, link: Link) -> None:
        link.watch_over(("ROLE" if self.facts.tells_role else "PING",), _demoted, self._cut)
        self._link = link
        self._patience.cancel()
        self._observer.connected(str(self.address), "commands")
        self._become(State.UP, f"run {self.facts.run_id}")
        self.pushes.start(self._tasks)
        self._owner.node_came(self)
        held, self._held = self._held, []
        for request in held:
            link.send(request)

    def _missed(self, reason: str) -> None:
        self._observer.failed(str(self.address), reason)
        self._fall(reason)

    def _cut(self, reason: str) -> None:
        self._link = None
        if self._closed:
            return
        self._observer.failed(str(self.address), reason)
        if self.state is State.UP and reason.startswith(_SEVERED):
            self.reason = reason
            self.state = State.MENDING
            self._patience = self._loop.call_later(MEND_S, self._despair)
            self._owner.node_went(self)
        else:
            self._fall(reason)

    def _despair(self) -> None:
        if self.state is State.MENDING:
            self._fall(self.reason)

    def _fall(self, reason: str) -> None:
        self._patience.cancel()
        self.reason = reason
        if self.state is not State.DOWN and not self._closed:
            self._become(State.DOWN, reason)
            self.pushes.cut(reason)
            self._owner.node_went(self)
        self._fail_held(reason)

    def _become(self, state: State, reason: str) -> None:
        if state is State.UP:
            _LOG.info("redis %s is up: %s", self.address, reason)
        else:
            _LOG.warning("redis %s is away: %s", self.address, reason)
        self.state = state
        self._observer.state_changed(str(self.address), state, reason)

    def _fail_held(self, reason: str) -> None:
        held, self._held = self._held, []
        for request in held:
            request.fail(reason)

    def _set_alarm(self, at: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm_at = at
        self._alarm = self._loop.call_later(max(at - time.monotonic(), 0.001), self._ring)

    def _ring(self) -> None:
        """Fail what was not answered in time: one timer for all, as most calls are answered long before."""
        now = time.monotonic()
        if now - self._alarm_at > _HELD_S:
            self._set_alarm(now + 0.001)
            return
        self._alarm_at = float("inf")
        waiting: Sequence[Request] = [*(self._link.waiting if self._link else ()), *self._held]
        late = [request for request in waiting if request.deadline <= now and not request.future.done()]
        for request in late:
            request.fail("no answer in time")
        self._held = [request for request in self._held if not request.future.done()]
        if late:
            self._count(late)
        left = [request.deadline for request in waiting if not request.future.done()]
        if left and (soonest := min(left)) < float("inf"):
            self._set_alarm(soonest)

    def _count(self, late: Sequence[Request]) -> None:
        self._observer.timed_out(str(self.address), len(late))
        if self._link is None:
            return
        self._link.failures += sum(request.patient for request in late)
        if self._link.failures >= MOST_FAILURES:
            self.trip(f"{self._link.failures} calls in a row had no answer")


def _demoted(answer: Any) -> str | None:  # noqa: ANN401 - whatever a server may say
    if isinstance(answer, list) and answer and answer[0] != b"master":
        return f"it is a {answer[0].decode()}, not a master"
    return None


def _unexpected(_push: list[Any]) -> None:
    """A push on the line of commands is nobody's."""
