"""Records errors: what happens in a second is gathered by group and kept then, so that a storm of them costs little."""

import asyncio
import logging
from collections.abc import Collection
from contextlib import suppress
from datetime import timedelta
from typing import Final, Literal

from keel.clock import Clock, SystemClock
from keel.context import Principal, Segment, budget
from keel.errors import Refusal, Unavailable
from keel.failures.contract import (
    MOST_GROUPS,
    MOST_ROUTES,
    OTHER,
    Batch,
    ErrorGroup,
    ErrorGroupNotFound,
    ErrorGroups,
    ErrorState,
    Listed,
    Occurrence,
    Sink,
)
from keel.failures.counting import bit_of
from keel.failures.fingerprints import culprit, fingerprint, frames, where
from keel.failures.memory import MemoryErrorGroups
from keel.logs.exceptions import described, type_name
from keel.logs.redaction import Redaction
from keel.metrics.contract import Metrics
from keel.metrics.null import NullMetrics
from keel.redis.contract import CommandRefused
from keel.redis.sharing import shared_or_here
from keel.tasks import Tasks

EVERY: Final = timedelta(seconds=1)
LONGEST_MESSAGE: Final = 500
BACKGROUND: Final = "background"
"""The route of what nobody asked for."""
_RECORDED: Final = "__keel_recorded__"
_LOG: Final = logging.getLogger(__name__)


class Failures:
    """The errors of this process, in `groups`; where those are shared, in some of its own for when they are away.

    `own` are the packages that are the application's.
    It is a `RequestObserver`; `task_failed` is fit to be told by `Tasks`, and leaves out what a request has met before.
    Refusals are no errors.
    """

    def __init__(
        self,
        groups: ErrorGroups,
        tasks: Tasks,
        *,
        own: Collection[str] = (),
        redaction: Redaction | None = None,
        metrics: Metrics | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.sinks: list[Sink] = []
        """Are told of every error; may be added to later."""
        self._groups = groups
        self._here = groups if groups.scope == "instance" else MemoryErrorGroups()
        self._tasks = tasks
        self._own = frozenset(own)
        self._redaction = redaction or Redaction()
        self._clock = clock or SystemClock()
        self._counter = (metrics or NullMetrics()).counter("errors", "Errors that nobody foresaw.", ["type"])
        self._pending: dict[str, Batch] = {}
        self._waiting: dict[str, Batch] = {}
        self._unsure: Batch | None = None
        self._turn = asyncio.Lock()
        tasks.every(EVERY, "keeping errors", self.flush)

    @property
    def scope(self) -> Literal["instance", "shared"]:
        """Whose errors are decided about: of this instance alone, or of all."""
        return self._groups.scope

    def observed(self, request: Segment) -> None:
        """Record what a request, WebSocket or job failed with."""
        if request.error is not None:
            place = request.name if request.kind == "job" else f"{request.method} {request.route or 'unmatched'}"
            self.record(
                request.error,
                route=place,
                user_id=request.user_id,
                trace_id=request.trace_id,
                request_id=request.request_id,
            )

    def task_failed(self, _name: str, error: Exception) -> None:
        """Record what a task failed with; its name is none of a few."""
        if not getattr(culprit(error), _RECORDED, False):
            self.record(error)

    def record(
        self,
        error: BaseException,
        *,
        route: str = BACKGROUND,
        user_id: Principal | None = None,
        trace_id: str = "",
        request_id: str = "",
    ) -> None:
        """Record an error; cancellations and the like are none."""
        error = culprit(error)
        if not isinstance(error, Exception) or isinstance(error, Refusal):
            return
        with suppress(AttributeError):  # where it has room for nothing of ours
            setattr(error, _RECORDED, True)
        self._counter.inc(type_name(error))
        through = frames(error, self._own)
        occurrence = Occurrence(
            fingerprint=fingerprint(error, through),
            type=type_name(error),
            message=self._redaction.text(described(error)["message"])[:LONGEST_MESSAGE],
            where=where(through),
            frames=through,
            at=self._clock.now(),
            route=route,
            trace_id=trace_id,
            request_id=request_id,
        )
        self._gather(occurrence, user_id)
        for sink in self.sinks:
            sink.failed(occurrence)

    def _gather(self, occurrence: Occurrence, user_id: Principal | None) -> None:
        batch = self._pending.get(occurrence.fingerprint)
        if batch is None:
            if len(self._pending) >= MOST_GROUPS:
                return
            batch = self._pending[occurrence.fingerprint] = Batch(occurrence)
        batch.latest = occurrence
        batch.count += 1
        route = occurrence.route if occurrence.route in batch.routes or len(batch.routes) < MOST_ROUTES else OTHER
        batch.routes[route] = batch.routes.get(route, 0) + 1
        if user_id is not None:
            batch.users.add(bit_of(str(user_id)))

    async def flush(self) -> None:
        """Keep what was recorded; where that is impossible now, try again later."""
        async with self._turn:
            await self._keep_here()
            while (batch := self._next()) is not None:
                self._unsure = batch
                try:
                    with budget(None):
                        group = await self._groups.add(batch)
                except (Unavailable, CommandRefused):
                    return
                except ErrorGroupNotFound:  # so old that it made room for itself
                    self._unsure = None
                    continue
                self._unsure = None
                await self._decided(group)
                if group.regressions and group.changed_at == batch.latest.at:
                    place = f"{group.type} in {group.where}"
                    _LOG.warning("an error that was resolved is back: %s (%s)", place, group.fingerprint)

    async def _keep_here(self) -> None:
        """Keep what is new in this process, where it is kept elsewhere, too; and let it wait for that."""
        fresh, self._pending = self._pending, {}
        for name, batch in fresh.items():
            if self._here is not self._groups:
                await self._here.add(batch)
            if name in self._waiting:
                self._waiting[name].grow(batch)
            elif len(self._waiting) < MOST_GROUPS:
                self._waiting[name] = batch

    async def _decided(self, group: ErrorGroup) -> None:
        """Take over what is decided about a group, by whomever."""
        if self._here is not self._groups:
            with suppress(ErrorGroupNotFound):
                await self._here.decide(group.fingerprint, group.state, group.changed_at)

    def _next(self) -> Batch | None:
        """What is to be kept next: first of all, and as it was, that of which nobody knows whether it is."""
        if self._unsure is None and self._waiting:
            return self._waiting.pop(next(iter(self._waiting)))
        return self._unsure

    async def check(self, fingerprint: str) -> None:
        """Raise ErrorGroupNotFound where there is no such group, and `Unavailable` where none can be decided about."""
        await self.flush()
        await self._groups.get(fingerprint)

    async def get(self, fingerprint: str) -> Listed:
        """One group; raises ErrorGroupNotFound, and `NotKnownHere`."""

        async def ask(groups: ErrorGroups) -> Listed:
            return Listed(groups.scope, [await groups.get(fingerprint)])

        await self.flush()
        return await shared_or_here(self._groups, self._here, ask)

    async def newest(
        self, *, state: ErrorState | None = None, within: timedelta | None = None, limit: int = 100
    ) -> Listed:
        """Groups in a `state`, and seen `within` a while, the latest seen first."""
        since = None if within is None else self._clock.now() - within

        async def ask(groups: ErrorGroups) -> Listed:
            return Listed(groups.scope, await groups.newest(state=state, since=since, limit=limit))

        await self.flush()
        return await shared_or_here(self._groups, self._here, ask)

    async def decide(self, fingerprint: str, state: ErrorState) -> ErrorGroup:
        """Set the state of a group, for all; raises ErrorGroupNotFound, and `Unavailable` where that cannot be."""
        await self.flush()
        group = await self._groups.decide(fingerprint, state, self._clock.now())
        await self._decided(group)
        return group
