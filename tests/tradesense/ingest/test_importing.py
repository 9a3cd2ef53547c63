"""Imports end to end, from a file's bytes to what counts."""

from decimal import Decimal
from pathlib import Path

import pytest

from tests.tradesense.ingest.conftest import World, generic
from tradesense.accounts.service import AccountNotFound
from tradesense.db.tables import ImportStatus, cash_movements, execution_sources, executions, trades
from tradesense.ingest.service.uploads import NothingToAnswer

FOUR = (
    "2026-01-05 10:00:00,AAPL,buy,10,100",
    "2026-01-05 11:00:00,AAPL,sell,10,101.5",
    "2026-01-05 12:00:00,AAPL,buy,5,100",
    "2026-01-06 10:00:00,MSFT,buy,1,400.25",
)


async def test_a_file_becomes_executions_and_trades(world: World) -> None:
    record = await world.take(generic(FOUR))
    assert record.status is ImportStatus.DONE
    assert (record.broker, record.format, record.zone) == ("generic", "executions", "UTC")
    assert (record.rows, record.imported, record.executions, record.duplicates) == (4, 4, 4, 0)
    assert await world.totals() == (4, 3, Decimal(15))
    assert await world.hidden() == 0
    (account,) = await world.accounts()
    assert (account.broker, account.currency, account.generation) == ("generic", "USD", 1)


async def test_the_same_file_twice_adds_nothing(world: World) -> None:
    first = await world.take(generic(FOUR))
    before = await world.rows(executions), await world.rows(trades)
    second = await world.take(generic(FOUR))
    assert second.status is ImportStatus.DONE
    assert (second.imported, second.executions, second.duplicates) == (0, 0, 4)
    assert (await world.rows(executions), await world.rows(trades)) == before
    assert {row[0] for row in await world.rows(execution_sources)} == {first.id, second.id}
    assert await world.hidden() == 0


async def test_the_same_file_read_in_another_time_zone_is_still_the_same_file(world: World) -> None:
    await world.take(generic(FOUR))
    again = await world.take(generic(FOUR), timezone="America/New_York")
    assert (again.executions, again.duplicates) == (0, 4)


async def test_overlapping_files_add_only_what_is_new(world: World) -> None:
    await world.take(generic(FOUR[:3]))
    record = await world.take(generic(FOUR[1:]))
    assert (record.imported, record.duplicates) == (1, 2)
    assert await world.totals() == (4, 3, Decimal(15))


async def test_two_identical_fills_in_one_second_are_two_fills(world: World) -> None:
    record = await world.take(generic([FOUR[0], FOUR[0]]))
    assert record.executions == 2
    again = await world.take(generic([FOUR[0], FOUR[0], FOUR[0]]))
    assert (again.executions, again.duplicates) == (1, 2)


async def test_one_id_told_twice_is_one_fill(world: World) -> None:
    header = "id,datetime,symbol,side,quantity,price"
    record = await world.take(generic([f"7,{FOUR[0]}", f"7,{FOUR[0]}"], header))
    assert (record.imported, record.executions, record.duplicates) == (1, 1, 1)


async def test_an_empty_file_fails_with_a_message(world: World) -> None:
    record = await world.take(b"")
    assert record.status is ImportStatus.FAILED
    assert record.error_count == 1
    assert await world.accounts() == []


async def test_a_file_without_rows_is_done_and_says_so(world: World) -> None:
    record = await world.take(generic([]))
    assert (record.status, record.rows, record.accounts) == (ImportStatus.DONE, 0, [])
    assert "no rows" in record.warnings[0]


async def test_rows_in_error_fail_the_import_and_all_of_them_are_listed(world: World) -> None:
    record = await world.take(generic([FOUR[0], "2026-01-05 10:00:00,AAPL,buy,ten,100", "x,AAPL,sell,1,1", FOUR[1]]))
    assert record.status is ImportStatus.FAILED
    assert [(error["line"], error["column"]) for error in record.errors] == [(3, "quantity"), (4, "datetime")]
    assert (record.rows, record.executions, record.error_count) == (4, 0, 2)
    assert await world.accounts() == []
    skipped = await world.answer(record, skip_errors=True)
    assert skipped.status is ImportStatus.DONE
    assert (skipped.imported, skipped.error_count) == (2, 2)
    assert await world.totals() == (2, 1, Decimal(15))


async def test_what_the_file_leaves_open_is_asked_for_and_answered(world: World) -> None:
    record = await world.take(generic(["01/02/2026 10:00:00,AAPL,buy,10,100"]))
    assert record.status is ImportStatus.NEEDS_INPUT
    assert [(question["field"], question["options"]) for question in record.questions] == [
        ("date_order", ["mdy", "dmy"])
    ]
    done = await world.answer(record, date_order="dmy")
    assert done.status is ImportStatus.DONE
    assert done.questions == []
    (row,) = await world.rows(executions)
    assert "datetime.datetime(2026, 2, 1, 10, 0" in repr(row)


async def test_an_unknown_file_is_mapped_once_and_then_known(world: World) -> None:
    header = "Moment;What;How many;At"
    content = generic(["2026-01-05 10:00:00;AAPL;10;100", "2026-01-05 11:00:00;AAPL;-10;102"], header)
    record = await world.take(content)
    assert [question["field"] for question in record.questions] == ["mapping"]
    columns = {"datetime": "Moment", "symbol": "What", "quantity": "How many", "price": "At"}
    done = await world.answer(record, mapping=columns)
    assert (done.status, done.executions) == (ImportStatus.DONE, 2)
    more = await world.take(generic(["2026-01-06 10:00:00;AAPL;1;100"], header))
    assert (more.status, more.executions) == (ImportStatus.DONE, 1)


async def test_a_done_import_takes_no_answers(world: World) -> None:
    record = await world.take(generic(FOUR))
    with pytest.raises(NothingToAnswer):
        await world.answer(record, timezone="UTC")


async def test_an_import_into_somebody_elses_account_is_refused(world: World) -> None:
    with pytest.raises(AccountNotFound):
        await world.upload(generic(FOUR), account_id=world.user)


async def test_progress_is_told_and_ends_at_a_hundred(world: World) -> None:
    await world.take(generic(FOUR))
    assert [each.percent for each in world.told] == sorted(each.percent for each in world.told)
    assert (world.told[-1].status, world.told[-1].percent, world.told[-1].executions) == (ImportStatus.DONE, 100, 4)


async def test_the_users_version_rises_with_each_publication(world: World) -> None:
    await world.take(generic(FOUR))
    (account,) = await world.accounts()
    again = await world.take(generic(FOUR), account_id=account.id)
    assert again.accounts == [str(account.id)]
    assert (await world.accounts())[0].generation == 2


async def test_tradovate_orders_make_what_they_made(world: World, broker_samples: Path) -> None:
    record = await world.take((broker_samples / "tradovate/orders.csv").read_bytes())
    assert record.executions == 12
    assert await world.totals() == (12, 6, Decimal("1944.50"))


async def test_orders_and_performance_together_are_suspected(world: World, broker_samples: Path) -> None:
    orders = (broker_samples / "tradovate/orders.csv").read_bytes()
    performance = (broker_samples / "tradovate/performance.csv").read_bytes()
    await world.take(orders)
    record = await world.take(performance)
    assert record.status is ImportStatus.NEEDS_INPUT
    assert [(question["field"], question["options"]) for question in record.questions] == [
        ("suspected_duplicates", ["skip", "import"])
    ]
    skipped = await world.answer(record, suspected_duplicates="skip")
    assert (skipped.status, skipped.executions, skipped.duplicates) == (ImportStatus.DONE, 0, 2)
    again = await world.take(performance)
    assert (again.status, again.executions) == (ImportStatus.DONE, 0)
    assert await world.totals() == (12, 6, Decimal("1944.50"))


async def test_suspects_are_found_whichever_format_comes_first(world: World, broker_samples: Path) -> None:
    await world.take((broker_samples / "tradovate/performance.csv").read_bytes())
    record = await world.take((broker_samples / "tradovate/orders.csv").read_bytes())
    assert [question["field"] for question in record.questions] == ["suspected_duplicates"]
    both = await world.answer(record, suspected_duplicates="import")
    assert both.executions == 12
    assert len(await world.rows(executions)) == 16
    (account,) = await world.accounts()
    assert account.label == "ACCT0000000000000"


async def test_thinkorswim_sums_to_its_cash(world: World, broker_samples: Path) -> None:
    record = await world.take((broker_samples / "thinkorswim/account-statement.csv").read_bytes())
    assert record.executions == 103
    columns = [column.name for column in executions.c if column.name not in {"born", "died"}]
    fills = [dict(zip(columns, row, strict=True)) for row in await world.rows(executions)]
    assert sum(fill["commission"] + fill["fees"] for fill in fills) == Decimal("354.06")
    cash = sum((-1 if fill["side"] == "buy" else 1) * fill["quantity"] * fill["price"] * 20 for fill in fills)
    assert cash == Decimal("660.00")


async def test_ibkr_agrees_with_the_files_own_figure(world: World, broker_samples: Path) -> None:
    record = await world.take((broker_samples / "ibkr/activity-fees.csv").read_bytes())
    assert record.executions == 2
    assert record.warnings == []
    assert (await world.totals())[2] == Decimal("9.98187326")


async def test_cash_movements_are_stored_once(world: World, broker_samples: Path) -> None:
    content = (broker_samples / "ibkr/flex-statement.xml").read_bytes()
    record = await world.take(content, name="flex.xml")
    assert record.cash == len(await world.rows(cash_movements)) > 0
    again = await world.take(content, name="flex.xml")
    assert (again.cash, again.executions) == (0, 0)
    assert len(await world.rows(cash_movements)) == record.cash
