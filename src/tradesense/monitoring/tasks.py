"""The daily aggregation: what each day was used for, computed once it is over, and again while it may still change."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from keel.clock import Clock
from tradesense.db.engine import Database, Writing
from tradesense.monitoring import repository
from tradesense.monitoring.repository import BusinessDay

REVISED: Final = timedelta(days=7)
"""Days as old as this, or newer, are computed again: what closed on them is imported later."""
LONGEST: Final = timedelta(days=366)
"""No day older than this is made up for."""
_DAY: Final = timedelta(days=1)


class Aggregation:
    """Computes the business figures of days that are over."""

    AT: Final = timedelta(minutes=10)
    """How long after midnight, UTC, a day is computed."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def run(self, write: Writing) -> int:
        """Compute the days that are missing, and the last week anew; says how many. Each is written by itself."""
        wanted = await self._wanted()
        for day in wanted:
            computed = await self._compute(day)
            async with write() as connection:
                await repository.save(connection, computed)
        return len(wanted)

    async def _wanted(self) -> list[date]:
        today = self._clock.now().date()
        async with self._database.read() as connection:
            first = await repository.first_user(connection)
            if first is None:
                return []
            begin = max(first.date(), today - LONGEST)
            known = {each.day for each in await repository.days(connection, begin, today)}
        every = (begin + n * _DAY for n in range((today - begin).days))
        return [day for day in every if day not in known or day >= today - REVISED]

    async def _compute(self, day: date) -> BusinessDay:
        begins = datetime.combine(day, time(), UTC)
        ends = begins + _DAY
        async with self._database.read() as connection:
            active = await repository.active_users(connection, begins, ends)
            imports, executions = await repository.imports_between(connection, begins, ends)
            trades, volume = await repository.trades_between(connection, begins, ends)
        return BusinessDay(day, active, imports, executions, trades, volume, self._clock.now())
