"""Asking: a question is read in one snapshot of the database and answered in a thread."""

import asyncio
from collections.abc import Callable
from typing import TypeVar
from zoneinfo import ZoneInfo

from keel.clock import Clock
from tradesense.analytics import repository
from tradesense.analytics.service.studies import Question, Read, Study, study
from tradesense.db.engine import Database
from tradesense.http.authentication import Principal
from tradesense.journal.service import Labels, Notebook

T = TypeVar("T")


class Analytics:
    """Answers questions about a user's trades."""

    def __init__(self, database: Database, clock: Clock, notebook: Notebook) -> None:
        self._database = database
        self._clock = clock
        self._notebook = notebook

    async def ask(self, user: Principal, question: Question, work: Callable[[Study], T], *, labels: bool = False) -> T:
        """What `work` makes of the study of a question. It runs in a thread, and may take its time.

        The study has the labels of trades where the question or `labels` asks for them: they are slow to read.
        """
        read = await self._read(user, question, labels=labels or question.goes_by_labels)
        now, zone = self._clock.now(), ZoneInfo(user.timezone)
        return await asyncio.to_thread(lambda: work(study(read, question, zone, now)))

    async def _read(self, user: Principal, question: Question, *, labels: bool) -> Read:
        async with self._database.read() as connection:
            return Read(
                await repository.read_segments(connection, user.user_id, question.books),
                await repository.list_accounts(connection, user.user_id, question.books),
                await repository.list_flows(connection, user.user_id, question.books),
                await self._notebook.labels(connection, user.user_id) if labels else Labels({}, {}, {}, {}),
                await repository.data_version(connection, user.user_id),
            )
