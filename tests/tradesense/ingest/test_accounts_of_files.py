"""Which account a file's rows go into."""

from decimal import Decimal
from uuid import UUID

import pytest

from tests.tradesense.ingest.conftest import World, generic
from tests.tradesense.ingest.test_importing import FOUR
from tradesense.db.tables import ImportStatus, books, executions
from tradesense.domain.matching import Method
from tradesense.ingest.service.changing import nothing_more

HEADER = "account,datetime,symbol,side,quantity,price"


def _of(label: str, rows: tuple[str, ...] = FOUR) -> list[str]:
    return [f"{label},{row}" for row in rows]


async def test_each_account_that_a_file_names_gets_one_of_its_own(world: World) -> None:
    record = await world.take(generic([*_of("U1"), *_of("U2")], HEADER))
    assert record.status is ImportStatus.DONE
    assert [account.label for account in await world.accounts()] == ["U1", "U2"]
    assert len(await world.rows(executions)) == 8
    again = await world.take(generic([*_of("U2"), *_of("U3")], HEADER))
    assert again.executions == 4
    assert [account.label for account in await world.accounts()] == ["U1", "U2", "U3"]


async def test_an_account_that_the_file_does_not_name_is_called_by_its_broker(world: World) -> None:
    await world.take(
        generic(["2026-01-05,10:00:00,AAPL,B,9,1,X"], "Date,Time,Symbol,Side,Price,Qty,Route"), broker="das"
    )
    assert [(account.name, account.broker) for account in await world.accounts()] == [("DAS Trader", "das")]


async def test_rows_without_an_account_go_into_the_only_one_there_is(world: World) -> None:
    await world.take(generic(_of("U1"), HEADER))
    await world.take(generic(["2026-02-01 10:00:00,AAPL,buy,1,1"]))
    assert len(await world.accounts()) == 1
    mixed = await world.take(generic([*_of("U1"), *_of("")], HEADER))
    assert mixed.status is ImportStatus.DONE
    assert len(await world.accounts()) == 1


async def test_rows_without_an_account_are_asked_about_where_there_are_several(world: World) -> None:
    await world.take(generic([*_of("U1"), *_of("U2")], HEADER))
    record = await world.take(generic(FOUR))
    (question,) = record.questions
    ids = [str(account.id) for account in await world.accounts()]
    assert (question["field"], question["options"]) == ("account_id", ids)
    done = await world.answer(record, account_id=(await world.accounts())[1].id)
    assert (done.status, done.accounts) == (ImportStatus.DONE, [ids[1]])


async def test_a_question_about_new_accounts_leaves_none_behind(world: World) -> None:
    record = await world.take(generic([*_of("U1"), *_of("U2"), *_of("")], HEADER))
    assert record.status is ImportStatus.NEEDS_INPUT
    assert await world.accounts() == []


async def test_all_rows_go_into_the_account_that_was_asked_for(world: World) -> None:
    account = await world.add_account(name="All")
    record = await world.take(generic([*_of("U1"), *_of("U2")], HEADER), account_id=account)
    assert record.accounts == [str(account)]
    assert "U1, U2" in record.warnings[0]
    assert len(await world.accounts()) == 1


async def test_a_file_of_another_account_than_the_one_asked_for_is_warned_about(world: World) -> None:
    own = await world.take(generic(_of("U1"), HEADER))
    (account,) = own.accounts
    other = await world.take(generic(_of("U2"), HEADER), account_id=UUID(account))
    assert own.warnings == []
    assert other.accounts == [account]
    assert "names the account U2; all of it went into U1" in other.warnings[0]


async def test_an_account_deleted_meanwhile_fails_the_import(world: World) -> None:
    account = await world.add_account(name="Gone")
    record = await world.upload(generic(FOUR), account_id=account)
    await world.delete_account(account)
    await world.drain()
    failed = await world.imports.get(world.user, record.id)
    assert failed.status is ImportStatus.FAILED
    assert "no such account" in failed.errors[0]["message"]


async def test_naive_times_are_read_in_the_accounts_zone(world: World) -> None:
    account = await world.add_account(timezone="America/New_York")
    record = await world.take(generic(FOUR), account_id=account)
    assert record.zone == "America/New_York"
    assert "2026, 1, 5, 15, 0" in repr(await world.rows(executions))


async def test_an_accounts_own_multiplier_counts(world: World) -> None:
    account = await world.add_account(multipliers={"MNQ": "3"})
    await world.take(
        generic(["2026-01-05 10:00:00,MNQH6,buy,1,100", "2026-01-05 11:00:00,MNQH6,sell,1,110"]), account_id=account
    )
    assert (await world.totals())[2] == Decimal(30)


@pytest.mark.parametrize(("symbol", "net"), [("SPY260320C00500000", 1000), ("SPY", 50), ("CL", 10), ("CLH6", 2500)])
async def test_an_accounts_own_multiplier_is_that_of_no_option_and_of_no_stock_called_like_a_future(
    world: World, symbol: str, net: int
) -> None:
    account = await world.add_account()
    rows = [f"2026-01-05 10:00:00,{symbol},buy,1,100", f"2026-01-05 11:00:00,{symbol},sell,1,110"]
    own = {"SPY": Decimal(5), "CL": Decimal(250)}
    await world.take(generic(rows), account_id=account)
    await world.restoring.rebuild(world.user, account, method=Method.FIFO, multipliers=own, last=nothing_more)
    assert (await world.totals())[2] == Decimal(net)
    other = await world.add_account(multipliers={"SPY": "5", "CL": "250"})
    await world.take(generic(rows), account_id=other)
    assert (await world.totals())[2] == Decimal(2 * net)


async def test_a_multiplier_that_differs_from_the_books_is_warned_about(world: World) -> None:
    header = "datetime,symbol,side,quantity,price,multiplier"
    await world.take(generic(["2026-01-05 10:00:00,AAPL,buy,1,100,1"], header))
    record = await world.take(generic(["2026-01-05 11:00:00,AAPL,sell,1,101,5"], header))
    assert "multiplier" in record.warnings[0]
    assert (await world.totals())[2] == Decimal(1)
    assert len(await world.rows_of_all(books)) == 1


async def test_a_book_whose_executions_are_all_taken_back_has_the_multiplier_of_what_comes_next(world: World) -> None:
    header = "datetime,symbol,side,quantity,price,multiplier"
    mistaken = await world.take(generic(["2026-01-05 10:00:00,AAPL,buy,1,100,1"], header))
    await world.undoing.undo(world.user, mistaken.id)
    rows = ["2026-01-05 10:00:00,AAPL,buy,1,100,5", "2026-01-05 11:00:00,AAPL,sell,1,101,5"]
    record = await world.take(generic(rows, header))
    assert record.warnings == []
    assert (await world.totals())[2] == Decimal(5)
    assert [row.multiplier for row in await world.rows_of_all(books)] == [Decimal(5)]
