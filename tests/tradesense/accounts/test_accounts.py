from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from tests.application import Person, Served
from tests.samples import fill, made
from tradesense.accounts.service import KEPT

NEW = {
    "name": " Futures ",
    "broker": "tradovate",
    "currency": "EUR",
    "starting_balance": "10000.50",
    "timezone": "America/Chicago",
    "method": "lifo",
    "fee_profile": {"per_fill": "1", "per_unit": "0.520"},
    "multipliers": {"MNQ": "2.0", "XYZ": 0.5},
}


async def test_an_account_is_added_and_read_again(user: Person) -> None:
    added = await user.post("/accounts", json=NEW)
    assert added.status_code == 201
    assert (added.headers["etag"], added.headers["x-data-version"]) == ('"1"', "1")
    account = added.json()
    assert account == {
        "id": account["id"],
        "name": "Futures",
        "broker": "tradovate",
        "label": None,
        "currency": "EUR",
        "starting_balance": "10000.5",
        "timezone": "America/Chicago",
        "method": "lifo",
        "fee_profile": {"per_fill": "1", "per_unit": "0.52"},
        "multipliers": {"MNQ": "2", "XYZ": "0.5"},
        "created_at": "2026-03-02T12:00:00Z",
    }
    read = await user.get(f"http://localhost:8000{added.headers['location']}")
    assert (read.json(), read.headers["etag"]) == (account, '"1"')


async def test_an_account_needs_a_name_alone(user: Person) -> None:
    await user.patch("/auth/me", json={"currency": "CHF"})
    account = await made(user.post("/accounts", json={"name": "Main"}))
    assert (account["currency"], account["method"], account["starting_balance"]) == ("CHF", "fifo", None)
    assert (account["fee_profile"], account["multipliers"], account["timezone"]) == (None, {}, None)


@pytest.mark.parametrize(
    "change",
    [
        {"name": ""},
        {"name": "x" * 101},
        {"broker": "Trade Station"},
        {"starting_balance": "1e400"},
        {"method": "hifo"},
        {"multipliers": {"MNQ": "0"}},
        {"multipliers": {"m\0q": "2"}},
        {"fee_profile": {"per_fill": "-1"}},
        {"fee_profile": {"per_year": "1"}},
        {"generation": 5},
    ],
)
async def test_what_cannot_be_an_account_is_refused(user: Person, change: dict[str, Any]) -> None:
    assert (await user.post("/accounts", json={**NEW, **change})).status_code == 422


async def test_accounts_are_listed_by_the_page_oldest_first(user: Person) -> None:
    names = [f"Account {number}" for number in range(5)]
    for name in names:
        await made(user.post("/accounts", json={"name": name}))
    found: list[str] = []
    cursor: dict[str, str] = {}
    while len(found) < len(names):
        page = await made(user.get("/accounts", params={"limit": 2, **cursor}))
        found += [account["name"] for account in page["items"]]
        cursor = {"cursor": page["next"]}
    assert found == names
    assert cursor == {"cursor": None}


async def test_an_edit_changes_what_it_names_and_nothing_else(user: Person) -> None:
    account = await made(user.post("/accounts", json=NEW))
    changes = {"name": "Small", "starting_balance": None, "broker": None, "fee_profile": None}
    edited = await user.patch(f"/accounts/{account['id']}", json=changes)
    assert edited.json() == {**account, **changes}
    assert (edited.headers["etag"], edited.headers["x-data-version"]) == ('"2"', "2")


@pytest.mark.parametrize("field", ["name", "currency", "method", "multipliers"])
async def test_what_an_account_must_have_is_not_taken_away(user: Person, field: str) -> None:
    account = await made(user.post("/accounts", json=NEW))
    assert (await user.patch(f"/accounts/{account['id']}", json={field: None})).status_code == 422


async def test_an_edit_meant_for_an_older_version_is_refused(user: Person) -> None:
    account = await made(user.post("/accounts", json=NEW))
    path = f"/accounts/{account['id']}"
    assert (await user.patch(path, json={"name": "One"}, headers={"If-Match": '"1"'})).status_code == 200
    late = await user.patch(path, json={"name": "Two"}, headers={"If-Match": '"1"'})
    assert (late.status_code, late.json()["code"]) == (412, "version_mismatch")
    assert (await user.delete(path, headers={"If-Match": '"1"'})).status_code == 412
    assert (await made(user.get(path)))["name"] == "One"
    assert (await user.delete(path, headers={"If-Match": '"2"'})).status_code == 204


async def test_an_account_that_is_not_there_is_not_found(user: Person) -> None:
    path = "/accounts/00000000-0000-7000-8000-000000000000"
    answers = [await user.get(path), await user.patch(path, json={"name": "x"}), await user.delete(path)]
    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(404, "account_not_found")] * 3


async def test_a_deleted_account_is_gone_with_everything_in_it(user: Person) -> None:
    samples = await fill(user)
    kept = await fill(user, "MSFT")
    answer = await user.delete(f"/accounts/{samples.ids['account_id']}")
    assert answer.status_code == 204
    assert int(answer.headers["x-data-version"]) > 0
    assert [account["id"] for account in (await made(user.get("/accounts")))["items"]] == [kept.ids["account_id"]]
    for path in ("/trades", "/executions"):
        items = (await made(user.get(path)))["items"]
        assert {item["symbol"] for item in items} == {"MSFT"}
    assert (await user.get(f"/trades/{samples.ids['trade_id']}")).status_code == 404
    summary = await made(user.get("/portfolio/summary"))
    assert summary["trades"] == len((await made(user.get("/trades")))["items"])


async def test_another_method_matches_all_trades_anew(user: Person) -> None:
    samples = await fill(user)
    path = f"/accounts/{samples.ids['account_id']}"
    before = (await made(user.get("/trades")))["items"]
    edited = await user.patch(path, json={"method": "average", "multipliers": {"AAPL": "10"}})
    assert edited.status_code == 200, edited.text
    assert edited.json()["method"] == "average"
    after = (await made(user.get("/trades")))["items"]
    assert [trade["id"] for trade in after] == [trade["id"] for trade in before]
    assert [trade["notes"] for trade in after] == [trade["notes"] for trade in before]
    assert edited.headers["x-data-version"] == str((await made(user.get("/portfolio/summary")))["version"])


async def test_what_was_deleted_long_ago_leaves_the_database(app: Served, user: Person) -> None:
    accounts = app.state["accounts"]
    samples = await fill(user)
    await user.delete(f"/accounts/{samples.ids['account_id']}")
    app.clock.forward(KEPT - timedelta(days=1))
    assert await accounts.purge_deleted(accounts._database.write) == 0
    app.clock.forward(timedelta(days=1, seconds=1))
    assert await accounts.purge_deleted(accounts._database.write) == 1
    async with accounts._database.read() as connection:
        for table in ("accounts", "books", "executions", "trades", "segments", "execution_sources", "annotations"):
            assert (await connection.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one() == 0, table  # noqa: S608
