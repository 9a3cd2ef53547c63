"""What is known of this instance, what its administrators decide, and what it is used for just now."""

import asyncio
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from hmac import compare_digest
from typing import Final, NamedTuple

from keel.clock import Clock
from keel.context import Principal, Segment
from keel.failures.contract import ErrorGroup, ErrorState
from keel.failures.recorder import Failures
from keel.metrics.contract import Reading
from keel.store.observations import Observations
from keel.tasks import Tasks
from tradesense.db.engine import Database
from tradesense.db.notices import CUT
from tradesense.http.authentication import UserId
from tradesense.monitoring import repository
from tradesense.monitoring.repository import BusinessDay
from tradesense.security.repository import users

ACTIVE: Final = timedelta(minutes=5)
"""For how long after a request somebody counts as active."""
MOST_ACTIVE: Final = 100_000
REFRESH: Final = timedelta(minutes=5)
"""How old the day's figures may be when they are scraped."""
_AT_ONCE_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Instance:
    """Which program this is, and what opens its metrics beside an administrator's session."""

    service: str
    version: str
    scrape_token: str | None = field(default=None, repr=False)

    def may_scrape(self, token: str | None) -> bool:
        """Whether this is the scrape token; how long the answer takes says nothing of it."""
        if token is None or self.scrape_token is None:
            return False
        return compare_digest(token.encode("utf-8", "surrogatepass"), self.scrape_token.encode())


class Decisions:
    """What administrators decide about errors and logs; it is written down who did."""

    def __init__(self, failures: Failures, observations: Observations, database: Database, clock: Clock) -> None:
        self._failures = failures
        self._observations = observations
        self._database = database
        self._clock = clock

    async def decide(self, fingerprint: str, state: ErrorState, admin: UserId, ip: str | None) -> ErrorGroup:
        """Set the state of a group of errors; raises `ErrorGroupNotFound`."""
        await self._failures.check(fingerprint)
        await self._record("error.decided", fingerprint, admin, ip, {"state": state.value})
        return await self._failures.decide(fingerprint, state)

    async def set_level(self, logger: str, level: str, lasting: timedelta, admin: UserId, ip: str | None) -> None:
        """Let a level hold for a logger on all instances, for a while; raises `TooManyLevels`."""
        await self._observations.check_level(logger)
        await self._record(
            "logger.set", logger, admin, ip, {"level": level, "minutes": lasting // timedelta(minutes=1)}
        )
        await self._observations.set_level(logger, level, lasting)

    async def _record(
        self, action: str, subject: str, admin: UserId, ip: str | None, details: Mapping[str, object]
    ) -> None:
        at = self._clock.now()
        async with self._database.write() as connection:
            await users.record(connection, at, action, user=admin, subject=subject, ip=ip, details=details)


class Business:
    """What the product was used for, by day."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def days(self, back: int) -> Sequence[BusinessDay]:
        """The last days that have been computed, the oldest first."""
        today = self._clock.now().date()
        async with self._database.read() as connection:
            return await repository.days(connection, today - timedelta(days=back), today)

    async def days_at_hand(self, back: int) -> Sequence[BusinessDay] | None:
        """The same; None where the database does not give them at once, as when it is away."""
        with suppress(*CUT):
            async with asyncio.timeout(_AT_ONCE_S):
                return await self.days(back)
        return None


class ActiveUsers:
    """A `RequestObserver`: who asked this process for anything lately."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: OrderedDict[Principal, float] = OrderedDict()

    def observed(self, request: Segment) -> None:
        """Note who asked."""
        user = request.user_id
        if user is None:
            return
        self._seen[user] = self._clock.monotonic()
        self._seen.move_to_end(user)
        if len(self._seen) > MOST_ACTIVE:
            self._seen.popitem(last=False)

    def readings(self) -> Iterator[Reading]:
        """How many they are: a `Source`."""
        since = self._clock.monotonic() - ACTIVE.total_seconds()
        while self._seen and next(iter(self._seen.values())) < since:
            self._seen.popitem(last=False)
        yield Reading("tradesense_users_active", len(self._seen), {}, "Users who asked this process in 5 minutes.")


class _Figures(NamedTuple):
    """What a day was used for, so far."""

    active: int
    imports: dict[str, dict[str, int]]
    executions: int
    trades: int
    volume: dict[str, str]


class Today:
    """What the instance is used for today, in UTC. It is counted when somebody scrapes, for who scrapes next."""

    def __init__(self, database: Database, clock: Clock, tasks: Tasks) -> None:
        self._database = database
        self._clock = clock
        self._tasks = tasks
        self._figures: _Figures | None = None
        self._counted_at = datetime.min.replace(tzinfo=UTC)

    def readings(self) -> Iterator[Reading]:
        """The figures as they were counted last: a `Source`."""
        now = self._clock.now()
        if now - self._counted_at >= REFRESH:
            self._counted_at = now
            Context().run(self._tasks.start, "counting today's business", self.count())  # for nobody in particular
        if self._figures is not None:
            yield from _readings(self._figures)

    async def count(self) -> None:
        """Count them."""
        begins = datetime.combine(self._clock.now().date(), time(), UTC)
        ends = begins + timedelta(days=1)
        async with self._database.read() as connection:
            active = await repository.active_users(connection, begins, ends)
            imports, executions = await repository.imports_between(connection, begins, ends)
            trades, volume = await repository.trades_between(connection, begins, ends)
        self._figures = _Figures(active, imports, executions, trades, volume)


def _readings(figures: _Figures) -> Iterator[Reading]:
    yield Reading("tradesense_today_users", figures.active, {}, "Users who were active today (UTC).")
    yield Reading("tradesense_today_executions", figures.executions, {}, "Executions imported today.")
    yield Reading("tradesense_today_trades", figures.trades, {}, "Trades that closed today.")
    for broker, results in figures.imports.items():
        for result, count in results.items():
            labels = {"broker": broker, "result": result}
            yield Reading("tradesense_today_imports", count, labels, "Imports that ended today.")
    for currency, volume in figures.volume.items():
        text = "Results of trades that closed today, added up without sign."
        yield Reading("tradesense_today_realised_volume", float(volume), {"currency": currency}, text)
