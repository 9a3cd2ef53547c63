"""What is reported behind a write, whatever stands in the way."""

import asyncio
import json
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest

from keel.errors import NotAuthenticated
from keel.events.contract import Message, Stream
from keel.ids import uuid7
from keel.opening import Keel
from keel.tasks import Tasks
from tradesense.db.engine import Database
from tradesense.db.writes import Touches, Write
from tradesense.events.service import reports
from tradesense.events.service.channels import of_user
from tradesense.events.service.reports import Reports, Waiting
from tradesense.http.authentication import Principal
from tradesense.portfolio.service import Portfolio

USER = uuid7()


class Summaries:
    """A portfolio that answers, or fails, as it is told."""

    def __init__(self) -> None:
        self.answers: dict[UUID, Any] = {}

    async def acting_for(self, user: UUID) -> Principal:
        if user not in self.answers:
            raise NotAuthenticated("gone")
        return cast("Principal", SimpleNamespace(user_id=user))

    async def summary(self, who: Principal, _question: object) -> dict[str, Any]:
        answer = self.answers[who.user_id]
        if isinstance(answer, Exception):
            raise answer
        found: dict[str, Any] = answer
        return found


@pytest.fixture
async def keel() -> AsyncIterator[Keel]:
    async with Keel.open() as keel:
        yield keel


@pytest.fixture
async def running(keel: Keel, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Waiting, Summaries]]:
    """Reports that are made, what they wait for and what they ask."""
    monkeypatch.setattr(reports, "GATHER_S", 0)
    monkeypatch.setattr(reports, "REMEMBERED", 1)
    waiting, summaries = Waiting(), Summaries()
    made = Reports(waiting, keel.events, cast("Database", None), cast("Portfolio", summaries), summaries.acting_for)
    async with Tasks() as tasks:
        tasks.start("reports", made.run())
        yield waiting, summaries


def write(user: UUID = USER) -> Write:
    return Write(1, uuid7(), user, None, Touches.LEDGER)


async def told(stream: Stream) -> dict[str, Any]:
    async with asyncio.timeout(30):
        async for item in stream:
            if isinstance(item, Message):
                data: dict[str, Any] = json.loads(item.data)
                return data
    raise AssertionError("the stream has ended")


async def test_who_is_gone_and_what_fails_keeps_nobody_from_being_told(
    keel: Keel, running: tuple[Waiting, Summaries]
) -> None:
    waiting, summaries = running
    gone, failing = uuid7(), uuid7()
    summaries.answers = {USER: {"version": 3, "net_pnl": "1"}, failing: OSError("the database is away")}
    async with (
        keel.events.subscribe(of_user(gone), member="g"),
        keel.events.subscribe(of_user(failing), member="f"),
        keel.events.subscribe(of_user(USER), member="u") as stream,
    ):
        for each in (gone, failing, USER):
            waiting.note(write(each))
        assert await told(stream) == {"type": "summary", "version": 3, "since": None, "changed": {"net_pnl": "1"}}


async def test_a_summary_that_is_too_large_is_to_be_fetched(keel: Keel, running: tuple[Waiting, Summaries]) -> None:
    waiting, summaries = running
    summaries.answers = {USER: {"version": 3, "by_currency": "x" * 70_000}}
    async with keel.events.subscribe(of_user(USER), member="u") as stream:
        waiting.note(write())
        assert await told(stream) == {"type": "summary", "version": 3, "since": None, "changed": None}


async def test_what_is_not_remembered_is_told_whole(keel: Keel, running: tuple[Waiting, Summaries]) -> None:
    waiting, summaries = running
    other = uuid7()
    async with (
        keel.events.subscribe(of_user(USER), member="u") as mine,
        keel.events.subscribe(of_user(other), member="o") as theirs,
    ):
        summaries.answers = {each: {"version": 1, "trades": 1, "costs": "0"} for each in (USER, other)}
        waiting.note(write())
        await told(mine)
        summaries.answers[USER] = {"version": 2, "trades": 2, "costs": "0"}
        waiting.note(write())
        assert await told(mine) == {"type": "summary", "version": 2, "since": 1, "changed": {"trades": 2}}
        waiting.note(write(other))
        await told(theirs)
        waiting.note(write())
        assert (await told(mine))["since"] is None


async def test_of_too_many_generations_the_newest_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "GATHER_S", 0)
    monkeypatch.setattr(reports, "MOST_GENERATIONS", 2)
    waiting, account = Waiting(), uuid7()
    for generation in range(5):
        waiting.note(write()._replace(version=generation, published=[(account, generation)]))
    taken = await waiting.take()
    assert [(each.generation, each.version) for each in taken[USER]] == [(3, 3), (4, 4)]
