"""The daily figures: each day once, what was missed, and what changes afterwards."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta

import pytest

from tests.application import Person, Served
from tests.samples import ended, made
from tradesense.db.engine import Database
from tradesense.monitoring import repository
from tradesense.monitoring.repository import BusinessDay
from tradesense.monitoring.tasks import Aggregation
from tradesense.settings import Settings

FILLS = """datetime,symbol,side,quantity,price,commission,currency
2026-02-27 15:00:00,MSFT,buy,10,400,1,USD
2026-03-02 10:00:00,MSFT,sell,10,410,1,USD
2026-03-02 11:00:00,SAP,buy,5,200.10,0,EUR
2026-03-02 11:30:00,SAP,sell,5,190.10,0,EUR
2026-03-02 11:45:00,SAP,buy,1,190,0,EUR
"""


class Figures:
    def __init__(self, app: Served, database: Database) -> None:
        self.clock = app.clock
        self.database = database

    async def compute(self) -> int:
        return await Aggregation(self.database, self.clock).run(self.database.write)

    async def days(self) -> dict[date, BusinessDay]:
        async with self.database.read() as connection:
            found = await repository.days(connection, date(2020, 1, 1), date(2030, 1, 1))
        return {each.day: each for each in found}


@pytest.fixture
async def figures(app: Served, settings: Settings) -> AsyncIterator[Figures]:
    database = Database(settings.database)
    yield Figures(app, database)
    await database.close()


async def upload(user: Person, content: str) -> str:
    """Import it; says which import that was."""
    file = {"file": ("fills.csv", content.encode(), "text/csv")}
    record = await made(user.post("/imports", files=file, data={"timezone": "UTC"}))
    await ended(user, record["id"])
    return str(record["id"])


async def test_a_day_is_computed_when_it_is_over(app: Served, figures: Figures, user: Person) -> None:
    await upload(user, FILLS)
    await app.user()
    assert await figures.compute() == 0
    app.clock.forward(timedelta(hours=12, minutes=10))
    assert await figures.compute() == 1
    (day,) = (await figures.days()).values()
    assert day == BusinessDay(
        day=date(2026, 3, 2),
        active_users=2,
        imports={"generic": {"done": 1}},
        executions=5,
        trades=2,
        volume={"EUR": "50", "USD": "98"},
        computed_at=datetime(2026, 3, 3, 0, 10, tzinfo=UTC),
    )


async def test_what_is_imported_later_counts_on_the_day_it_closed_and_who_was_active_stays(
    app: Served, figures: Figures, user: Person
) -> None:
    app.clock.forward(timedelta(days=1))
    await figures.compute()
    await app.user()
    await upload(user, FILLS)
    await figures.compute()
    first = (await figures.days())[date(2026, 3, 2)]
    assert (first.active_users, first.trades, first.executions, first.imports) == (1, 2, 0, {})
    before = await figures.days()
    await figures.compute()
    assert await figures.days() == before


async def test_what_is_imported_twice_or_deleted_is_counted_as_it_stands(
    app: Served, figures: Figures, user: Person
) -> None:
    async def recounted() -> BusinessDay:
        await figures.compute()
        return (await figures.days())[date(2026, 3, 2)]

    first = await upload(user, FILLS)
    await upload(user, FILLS + "2026-03-02 11:50:00,SAP,sell,1,191,0,EUR\n")
    app.clock.forward(timedelta(days=1))
    day = await recounted()
    assert (day.imports, day.executions) == ({"generic": {"done": 2}}, 6)
    assert (day.trades, day.volume) == (3, {"EUR": "51", "USD": "98"})
    _, bought = (await made(user.get("/executions?symbol=MSFT")))["items"]
    assert (await user.delete(f"/executions/{bought['id']}")).status_code == 204
    day = await recounted()
    assert (day.trades, day.volume) == (2, {"EUR": "51"})
    account = (await made(user.get("/accounts")))["items"][0]
    assert (await user.delete(f"/imports/{first}")).is_success
    day = await recounted()
    assert (day.imports, day.executions, day.trades) == ({"generic": {"done": 2}}, 6, 2)
    assert (await user.delete(f"/accounts/{account['id']}")).is_success
    day = await recounted()
    assert (day.imports, day.executions, day.trades, day.volume) == ({"generic": {"done": 2}}, 6, 0, {})


async def test_days_that_were_missed_are_made_up_for(app: Served, figures: Figures, user: Person) -> None:
    await upload(user, FILLS.replace("SAP,sell", "SAP,scratch"))
    app.clock.forward(timedelta(days=20))
    assert await figures.compute() == 20
    days = await figures.days()
    assert [*days] == [date(2026, 3, 2) + timedelta(days=n) for n in range(20)]
    assert days[date(2026, 3, 2)].imports == {"generic": {"failed": 1}}
    app.clock.forward(timedelta(days=1))
    assert await figures.compute() == 7


async def test_where_nobody_ever_was_there_is_nothing_to_compute(figures: Figures) -> None:
    assert await figures.compute() == 0
