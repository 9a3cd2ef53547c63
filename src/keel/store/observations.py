"""What this instance observes, told to the store of all and, for when that is away, to one of its own."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

import msgspec

from keel.clock import wall_ns
from keel.context import budget
from keel.errors import Unavailable
from keel.logs.assembly import Logs
from keel.logs.contract import LEVELS, Source
from keel.logs.levels import level_name
from keel.redis.contract import CommandRefused
from keel.redis.sharing import shared_or_here
from keel.store.asking import Known
from keel.store.contract import LONGEST_LEVEL_S, MOST_LEVELS, Level, Store, TooManyLevels
from keel.store.following import Following
from keel.store.gathering import Dropped, Gathering
from keel.store.memory import MemoryStore
from keel.tasks import Tasks
from keel.traces.recorder import Traces

EVERY: Final = timedelta(seconds=10)
"""How often an instance says that it is there, and looks for levels that it has not heard of."""
_LONGEST_NAME: Final = 200

P = ParamSpec("P")
Told = TypeVar("Told")


class Observations:
    """The store as this instance uses it; where that is shared, one of its own beside, for when it is away.

    `reported` is what the instance says of itself, by its name: each is asked for when it says so.
    """

    def __init__(self, store: Store, traces: Traces, tasks: Tasks, source: Source) -> None:
        self.source = source
        self.store = store
        self._here = store if store.scope == "instance" else MemoryStore.beside()
        self.gathering = Gathering(store, tasks, source, self._here, traces.keep_whole)
        self.reported: dict[str, Callable[[], object]] = {}
        self._known = Known(store)
        self._known_here = self._known if self._here is store else Known(self._here)
        self._traces = traces
        self._tasks = tasks
        self._logs: Logs | None = None
        self._taken: dict[str, Level] = {}
        self._since_ns = wall_ns()

    @classmethod
    @asynccontextmanager
    async def open(
        cls, store: Store, traces: Traces, tasks: Tasks, source: Source | None = None
    ) -> "AsyncIterator[Observations]":
        """Observe until the block is left; what was seen until then is stored."""
        seen = cls(store, traces, tasks, source or Source())
        traces.observers.append(seen.gathering)
        traces.sinks.append(seen.gathering)
        traces.wanted.append(seen.gathering.want)
        stop = store.listen(seen._heard)
        tasks.start("telling that this instance is there", seen.report())
        tasks.every(EVERY, "telling that this instance is there", seen.report)
        try:
            yield seen
        finally:
            stop()
            await seen.gathering.flush()

    @property
    def dropped(self) -> Dropped:
        """What there was no room for."""
        return self.gathering.dropped

    def follow(self, logs: Logs) -> Callable[[], None]:
        """Show the lines of a log, and let its levels be those of all instances; returns how to stop."""
        self._logs, put = logs, logs.put

        def both(line: Any) -> None:  # noqa: ANN401 - what the log takes
            put(line)
            self.gathering.said(line)

        def stop() -> None:
            self._logs, logs.put = None, put

        logs.put = both
        return stop

    async def report(self) -> None:
        """Say how this instance stands, and take over levels that were set elsewhere."""
        said = {
            "service": self.source.service,
            "version": self.source.version,
            "environment": self.source.environment,
            "started_ns": self._since_ns,
            "reported_ns": wall_ns(),
            "dropped": msgspec.to_builtins(self.dropped),
            **{name: report() for name, report in self.reported.items()},
        }
        report = msgspec.msgpack.encode(said)
        if self._here is not self.store:
            await self._here.report(self.source.instance, report)
        try:
            with budget(None):
                await self.store.report(self.source.instance, report)
                await self.take_levels()
        except (Unavailable, CommandRefused):
            return

    async def told(
        self, ask: Callable[Concatenate[Known, P], Awaitable[Told]], *args: P.args, **named: P.kwargs
    ) -> Told:
        """What `ask` makes of what all instances know or, where that is away, of what this one does.

        Which of the two is told by `Known.scope`. Raises `NotKnownHere` for what may be there, but is not known here.
        """
        await self.gathering.flush()
        return await shared_or_here(self._known, self._known_here, lambda known: ask(known, *args, **named))

    def following(self) -> Following:
        """Lines of all instances from now on."""
        return Following(self.store, self._here)

    async def check_level(self, logger: str) -> None:
        """Raise TooManyLevels where no level can be set for a logger, and `Unavailable` where others cannot be told."""
        held = await self._known.levels()
        if logger not in held and len(held) >= MOST_LEVELS:
            raise TooManyLevels

    async def set_level(self, logger: str, level: str, lasting: timedelta) -> None:
        """Let a level hold for a logger and those beneath it, on all instances; raises what `check_level` does."""
        await self.check_level(logger)
        until = wall_ns() // 1_000_000 + round(min(lasting.total_seconds(), LONGEST_LEVEL_S) * 1000)
        await self.store.set_level(logger[:_LONGEST_NAME], Level(level, until))
        await self.take_levels()

    def level_of(self, logger: str) -> str:
        """The level that holds here for a logger now."""
        return level_name(LEVELS["info"] if self._logs is None else self._logs.levels.of(logger))

    async def take_levels(self) -> None:
        """Let levels hold here that were set anywhere."""
        if self._logs is None:
            return
        now = wall_ns() // 1_000_000
        held, taken = await self._known.levels(), self._taken
        self._taken = held
        if gone := taken.keys() - held.keys():
            await self._here.forget_levels(*gone)
        for logger, level in held.items():
            if taken.get(logger) != level:
                await self._here.set_level(logger, level)
                self._logs.levels.set(logger, level.level, timedelta(milliseconds=level.until_ms - now))

    def _heard(self, wanted: list[str]) -> None:
        for trace_id in wanted:
            self._traces.bring_back(trace_id)
        if not wanted and self._logs is not None:
            self._tasks.start("taking over levels", self._take_levels())

    async def _take_levels(self) -> None:
        try:
            with budget(None):
                await self.take_levels()
        except (Unavailable, CommandRefused):
            return
