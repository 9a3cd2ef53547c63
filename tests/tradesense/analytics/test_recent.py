"""Studies that are kept for the next question about the same trades."""

import asyncio
from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from tests.application import Person, Serve, Served
from tests.keel.cache.sources import until
from tests.queries import counting
from tests.tradesense.analytics.stored import VT, Fill, Store, store
from tradesense.analytics.repository import Selection
from tradesense.analytics.service.recent import Made, Place, RecentStudies
from tradesense.analytics.service.studies import Question, Study
from tradesense.http.authentication import Principal, UserId

WON = (Fill("2026-01-05T15:00:00", 10, 100), Fill("2026-01-05T16:00:00", -10, 103))
LOST = (Fill("2026-01-06T15:00:00", 10, 100), Fill("2026-01-06T16:00:00", -10, 99))


def place(user: UserId | None = None) -> Place:
    return Place(user or UserId(uuid4()), Question(Selection()), "UTC")


@pytest.fixture
async def made(app: Served, user: Person, stored: Store) -> Made:
    """The study of a user's one trade."""
    await stored.book(await stored.account(), VT, *WON)
    found = await app.state["analytics"].ask(principal(user), Question(Selection()), lambda study: study)
    assert isinstance(found, Study)
    return Made(found, 1)


def principal(user: Person) -> Principal:
    return Principal(
        UserId(UUID(user.user_id)), "", "", user.email, is_admin=False, timezone="UTC", currency="USD", data_version=0
    )


async def net_pnl(app: Served, user: Person) -> list[str]:
    def work(study: Study) -> list[str]:
        return [str(each) for each in study.ledger.net.decimals()]

    answer = await app.state["analytics"].ask(principal(user), Question(Selection()), work)
    assert isinstance(answer, list)
    return answer


async def test_the_next_question_about_the_same_trades_costs_one_statement(
    app: Served, user: Person, stored: Store
) -> None:
    await stored.book(await stored.account(), VT, *WON)
    assert await net_pnl(app, user) == ["30"]
    with counting(stored._database) as asked:
        assert await net_pnl(app, user) == ["30"]
    assert len([each for each in asked if each != "BEGIN"]) == 1


async def test_without_a_cache_each_question_reads_the_trades(serve: Serve) -> None:
    app = await serve(cache="off")
    user = await app.user()
    stored = store(app, user)
    await stored.book(await stored.account(), VT, *WON)
    with counting(stored._database) as asked:
        assert [await net_pnl(app, user) for _ in range(2)] == [["30"]] * 2
    assert sum("blob" in each for each in asked) == 2


async def test_a_write_that_nobody_has_told_of_is_seen_all_the_same(app: Served, user: Person, stored: Store) -> None:
    account = await stored.account()
    await stored.book(account, VT, *WON)
    assert await net_pnl(app, user) == ["30"]
    await stored.book(account, replace(VT, symbol="VTI"), *LOST)
    assert sorted(await net_pnl(app, user)) == ["-10", "30"]


async def test_questions_that_come_at_once_read_the_trades_once(app: Served, user: Person, stored: Store) -> None:
    await stored.book(await stored.account(), VT, *WON)
    with counting(stored._database) as asked:
        answers = await asyncio.gather(*(net_pnl(app, user) for _ in range(5)))
    assert answers == [["30"]] * 5
    assert sum("blob" in each for each in asked) == 1


async def test_what_cannot_be_made_is_made_by_who_waited_for_it(made: Made) -> None:
    recent, where, began, fails = RecentStudies(), place(), asyncio.Event(), asyncio.Event()

    async def fail() -> Made:
        began.set()
        await fails.wait()
        raise RuntimeError("away")

    async def succeed() -> Made:
        return made

    async def ask() -> Made:
        return await recent.find(where) or await recent.make(where, succeed)

    async def end() -> None:
        await began.wait()
        await asyncio.sleep(0)
        fails.set()

    first, second, _ = await asyncio.gather(recent.make(where, fail), ask(), end(), return_exceptions=True)
    assert isinstance(first, RuntimeError)
    assert second == made
    assert await recent.find(where) == made.without_labels()


async def test_the_studies_asked_for_last_stay_where_there_are_too_many(made: Made) -> None:
    async def make() -> Made:
        return made

    recent, places = RecentStudies(most_trades=2 * (1 + 50)), [place() for _ in range(3)]
    await recent.make(places[0], make)
    await recent.make(places[1], make)
    assert await recent.find(places[0]) is not None
    await recent.make(places[2], make)
    assert [await recent.find(each) is not None for each in places] == [True, False, True]


async def test_one_study_is_kept_however_large_it_is(made: Made) -> None:
    async def make() -> Made:
        return made

    recent, places = RecentStudies(most_trades=1), [place() for _ in range(2)]
    for each in places:
        await recent.make(each, make)
    assert [await recent.find(each) is not None for each in places] == [False, True]


async def test_only_the_study_that_was_found_wanting_is_dropped(made: Made) -> None:
    async def make() -> Made:
        return made

    recent, where = RecentStudies(), place()
    await recent.make(where, make)
    old = await recent.find(where)
    assert old is not None
    recent.drop(where, old)
    assert await recent.find(where) is None
    await recent.make(where, make)
    recent.drop(where, old)
    assert len(recent) == 1


async def test_what_nobody_asks_for_any_more_is_dropped(made: Made) -> None:
    async def make() -> Made:
        return made

    recent = RecentStudies(idle_s=0.01)
    await recent.make(place(), make)
    await recent.make(place(), make)
    await until(lambda: len(recent) == 0)
