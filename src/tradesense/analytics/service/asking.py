"""Asking: a question is read in one snapshot of the database and answered in a thread."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final, TypeVar
from zoneinfo import ZoneInfo

from keel.clock import Clock
from tradesense.analytics import repository
from tradesense.analytics.service.recent import Made, Place, RecentStudies
from tradesense.analytics.service.studies import NO_LABELS, Question, Read, Study, study
from tradesense.db.engine import Database, ReadConnection
from tradesense.http.authentication import Principal
from tradesense.journal.service import Labels, Notebook

T = TypeVar("T")

MANY: Final = 20_000
"""Trades whose statistics take some 20 ms or more."""
MANY_SEGMENTS: Final = 100
"""Segments that are decoded in as long."""


class Analytics:
    """Answers questions about a user's trades.

    One thread works out what is short and another what takes long: more would take turns on the interpreter's lock,
    for which the event loop waits, too. Where it `keeps` studies, the next question about the same trades reads none.
    """

    def __init__(self, database: Database, clock: Clock, notebook: Notebook, *, keeps: bool) -> None:
        self._database = database
        self._clock = clock
        self._notebook = notebook
        self._keeps = keeps
        self._recent = RecentStudies()
        self._short, self._long = asyncio.Semaphore(), asyncio.Semaphore()

    async def ask(
        self,
        user: Principal,
        question: Question,
        work: Callable[[Study], T],
        *,
        labels: bool = False,
        takes_long: bool = False,
    ) -> T:
        """What `work` makes of the study of a question. It runs in a thread, and may take its time.

        The study has the labels of trades where the question or `labels` asks for them: they are slow to read.
        """
        if self._keeps and not question.goes_by_labels:
            found = await self._find_or_make(user, question, labels=labels)
        else:
            found = (await self._make(user, question, labels=labels or question.goes_by_labels)).study
        return await self._work_out(partial(work, found), is_long=takes_long or len(found.ledger) >= MANY)

    async def _find_or_make(self, user: Principal, question: Question, *, labels: bool) -> Study:
        """The study of what the database has now: one that is kept counts while no write has touched the ledger."""
        place = Place(user.user_id, question, user.timezone)
        while (kept := await self._recent.find(place)) is not None:
            async with self._database.read() as connection:
                versions = await repository.versions(connection, user.user_id)
                if versions.ledger == kept.ledger_version:
                    found = await self._labels(connection, user, wanted=labels)
                    return replace(kept.study, labels=found, version=versions.data, now=self._clock.now())
            self._recent.drop(place, kept)
        made = await self._recent.make(place, partial(self._make, user, question, labels=labels))
        return made.study

    async def _make(self, user: Principal, question: Question, *, labels: bool) -> Made:
        async with self._database.read() as connection:
            read = Read(
                await repository.read_segments(connection, user.user_id, question.books),
                await repository.list_accounts(connection, user.user_id, question.books),
                await repository.list_flows(connection, user.user_id, question.books),
                await self._labels(connection, user, wanted=labels),
                await repository.versions(connection, user.user_id),
            )
        work = partial(study, read, question, ZoneInfo(user.timezone), self._clock.now())
        return Made(await self._work_out(work, is_long=len(read.segments.rows) >= MANY_SEGMENTS), read.versions.ledger)

    async def _labels(self, connection: ReadConnection, user: Principal, *, wanted: bool) -> Labels:
        return await self._notebook.labels(connection, user.user_id) if wanted else NO_LABELS

    async def _work_out(self, work: Callable[[], T], *, is_long: bool) -> T:
        async with self._long if is_long else self._short:
            return await asyncio.to_thread(work)
