import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.application import Person, Served
from tests.tradesense.trades.conftest import Trader, opened


async def test_a_trade_has_the_figures_of_its_executions(trader: Trader) -> None:
    await trader.fill("MNQM6", "buy", "1", "21000", "14:30:00", commission="0.62")
    await trader.fill("MNQM6", "buy", "2", "21003", "14:31:00", commission="1.24")
    await trader.fill("MNQM6", "sell", "3", "21012", "14:40:00", commission="1.86", fees="0.15")
    (trade,) = await trader.trades()
    assert {name: trade[name] for name in ("symbol", "asset_class", "multiplier", "currency", "side", "status")} == {
        "symbol": "MNQM6",
        "asset_class": "future",
        "multiplier": "2",
        "currency": "USD",
        "side": "long",
        "status": "closed",
    }
    assert {name: trade[name] for name in ("quantity", "total_quantity", "open_quantity")} == {
        "quantity": "3",
        "total_quantity": "3",
        "open_quantity": "0",
    }
    assert (trade["entry_price"], trade["exit_price"]) == ("21002", "21012")
    assert (trade["gross_pnl"], trade["costs"], trade["net_pnl"]) == ("60", "3.87", "56.13")
    assert (trade["opened_at"], trade["closed_at"]) == ("2026-03-02T14:30:00Z", "2026-03-02T14:40:00Z")
    assert (trade["holding_s"], trade["executions"], trade["account"]) == (600, 3, "Main")
    assert trade["return_on_cost"] == pytest.approx(56.13 / (21002 * 3 * 2))


async def test_an_open_trade_shows_what_is_realised_and_what_its_rest_has_cost(trader: Trader) -> None:
    await trader.fill("AAPL", "buy", "10", "100", "14:30:00", commission="1")
    await trader.fill("AAPL", "sell", "4", "105", "15:00:00", commission="0.5")
    (trade,) = await trader.trades()
    assert (trade["status"], trade["closed_at"], trade["open_quantity"]) == ("open", None, "6")
    assert (trade["gross_pnl"], trade["costs"], trade["net_pnl"], trade["open_costs"]) == ("20", "0.9", "19.1", "0.6")


async def test_one_trade_comes_with_its_executions(three_trades: Trader) -> None:
    (listed,) = await three_trades.trades(symbol="AAPL")
    detail = (await three_trades.person.get(f"/trades/{listed['id']}")).json()
    assert [(fill["side"], fill["price"]) for fill in detail.pop("fills")] == [("buy", "100"), ("sell", "101.5")]
    assert detail == listed


@pytest.mark.parametrize(
    ("query", "symbols"),
    [
        ({}, ["MNQM6", "MSFT", "AAPL"]),
        ({"sort": "opened_at"}, ["AAPL", "MSFT", "MNQM6"]),
        ({"sort": "closed_at"}, ["AAPL", "MSFT", "MNQM6"]),
        ({"sort": "-closed_at"}, ["MNQM6", "MSFT", "AAPL"]),
        ({"sort": "net_pnl"}, ["MSFT", "MNQM6", "AAPL"]),
        ({"sort": "-net_pnl"}, ["AAPL", "MNQM6", "MSFT"]),
        ({"sort": "quantity"}, ["MNQM6", "MSFT", "AAPL"]),
        ({"sort": "-quantity"}, ["AAPL", "MSFT", "MNQM6"]),
        ({"symbol": "MSFT"}, ["MSFT"]),
        ({"side": "short"}, ["MSFT"]),
        ({"status": "open"}, ["MNQM6"]),
        ({"status": "closed"}, ["MSFT", "AAPL"]),
        ({"result": "win"}, ["AAPL"]),
        ({"result": "loss"}, ["MSFT"]),
        ({"result": "breakeven"}, []),
        ({"from": "2026-03-02", "to": "2026-03-02"}, ["MNQM6", "MSFT", "AAPL"]),
        ({"from": "2026-03-03"}, []),
        ({"to": "2026-03-01"}, []),
        ({"tag": "nothing bears this"}, []),
    ],
)
async def test_trades_are_filtered_and_sorted(three_trades: Trader, query: dict[str, str], symbols: list[str]) -> None:
    assert await three_trades.symbols(**query) == symbols


@pytest.mark.parametrize(
    "sort", ["opened_at", "-opened_at", "closed_at", "-closed_at", "net_pnl", "-net_pnl", "quantity", "-quantity"]
)
async def test_pages_of_one_give_each_trade_once_in_order(three_trades: Trader, sort: str) -> None:
    whole = await three_trades.symbols(sort=sort)
    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await three_trades.person.get("/trades", params={"sort": sort, "limit": 1, **cursor})).json()
        found += [trade["symbol"] for trade in page["items"]]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert found == whole


async def test_the_cursor_of_another_filter_is_refused(three_trades: Trader) -> None:
    page = (await three_trades.person.get("/trades", params={"limit": 1})).json()
    refused = await three_trades.person.get("/trades", params={"limit": 1, "cursor": page["next"], "side": "long"})
    assert (refused.status_code, refused.json()["code"]) == (400, "cursor_mismatch")


async def test_the_days_of_a_filter_are_days_of_the_users_time_zone(three_trades: Trader) -> None:
    await three_trades.person.patch("/auth/me", json={"timezone": "Pacific/Auckland"})
    assert await three_trades.symbols(**{"from": "2026-03-03", "to": "2026-03-03"}) == ["MNQM6", "MSFT", "AAPL"]
    assert await three_trades.symbols(to="2026-03-02") == []


async def test_what_is_written_about_a_trade_comes_back_with_it(three_trades: Trader) -> None:
    playbook = (await three_trades.person.post("/playbooks", json={"name": "Opening range"})).json()
    (listed,) = await three_trades.trades(symbol="AAPL")
    path = f"/trades/{listed['id']}"
    written = {"notes": "Patient.", "tags": ["a+", "trend"], "rating": 5, "initial_risk": "7.5", "mistakes": ["late"]}
    edited = await three_trades.person.patch(path, json={**written, "playbook": playbook["id"]})
    assert edited.status_code == 200, edited.text
    trade = (await three_trades.person.get(path)).json()
    assert {name: trade[name] for name in written} == written
    assert (trade["playbook"], trade["playbook_id"], trade["r"]) == ("Opening range", playbook["id"], 2)
    assert await three_trades.symbols(tag="trend") == ["AAPL"]
    tags = (await three_trades.person.get("/tags")).json()["items"]
    assert [(tag["name"], tag["used"]) for tag in tags] == [("a+", 1), ("trend", 1)]
    again = await three_trades.person.patch(path, json={"notes": None, "playbook": None, "tags": ["trend"]})
    assert (again.json()["notes"], again.json()["playbook"], again.json()["tags"]) == (None, None, ["trend"])
    assert again.json()["rating"] == 5


async def test_an_edit_answers_with_what_a_later_look_shows(three_trades: Trader) -> None:
    path = f"/trades/{(await three_trades.trades())[0]['id']}"
    twice = {"notes": "", "tags": ["b", "a", "b"], "mistakes": ["late", "late"], "initial_risk": "2.50"}
    edited = await three_trades.person.patch(path, json=twice)
    assert edited.json()["tags"] == ["a", "b"]
    assert edited.json()["mistakes"] == ["late"]
    later = await three_trades.person.get(path)
    assert later.json() == edited.json()
    assert later.headers["ETag"] == edited.headers["ETag"]


async def test_a_playbook_may_be_named_and_an_unknown_one_is_refused(three_trades: Trader) -> None:
    await three_trades.person.post("/playbooks", json={"name": "Fade"})
    (listed,) = await three_trades.trades(symbol="MSFT")
    path = f"/trades/{listed['id']}"
    assert (await three_trades.person.patch(path, json={"playbook": "Fade"})).json()["playbook"] == "Fade"
    refused = await three_trades.person.patch(path, json={"playbook": "Unheard of"})
    assert (refused.status_code, refused.json()["code"]) == (422, "playbook_unknown")
    assert refused.json()["errors"][0]["loc"] == ["body", "playbook"]


async def test_a_playbook_that_is_taken_away_leaves_its_trades(three_trades: Trader) -> None:
    playbook = (await three_trades.person.post("/playbooks", json={"name": "Fade"})).json()
    (listed,) = await three_trades.trades(symbol="MSFT")
    await three_trades.person.patch(f"/trades/{listed['id']}", json={"playbook": "Fade", "rating": 2})
    await three_trades.person.delete(f"/playbooks/{playbook['id']}")
    (trade,) = await three_trades.trades(symbol="MSFT")
    assert (trade["playbook"], trade["playbook_id"], trade["rating"]) == (None, None, 2)


async def test_an_edit_of_a_trade_that_was_edited_meanwhile_is_refused(three_trades: Trader) -> None:
    (listed,) = await three_trades.trades(symbol="AAPL")
    path = f"/trades/{listed['id']}"
    before = (await three_trades.person.get(path)).headers["ETag"]
    first = await three_trades.person.patch(path, json={"rating": 1}, headers={"If-Match": before})
    assert first.status_code == 200
    assert first.headers["ETag"] != before
    second = await three_trades.person.patch(path, json={"rating": 2}, headers={"If-Match": before})
    assert (second.status_code, second.json()["code"]) == (412, "version_mismatch")
    assert (await three_trades.trades(symbol="AAPL"))[0]["rating"] == 1


async def test_what_is_written_follows_its_execution_into_a_merged_trade_and_out_again(trader: Trader) -> None:
    await trader.fill("AAPL", "buy", "10", "100", "14:30:00")
    await trader.fill("AAPL", "sell", "10", "101", "14:40:00")
    await trader.fill("AAPL", "buy", "10", "102", "14:50:00")
    await trader.fill("AAPL", "sell", "10", "103", "15:00:00")
    first, second = await trader.trades(sort="opened_at")
    await trader.person.patch(f"/trades/{first['id']}", json={"notes": "one", "tags": ["x"], "rating": 3})
    await trader.person.patch(f"/trades/{second['id']}", json={"notes": "two", "tags": ["y"], "rating": 4})
    early = await trader.fill("AAPL", "buy", "1", "99", "14:00:00")
    (merged,) = await trader.trades()
    assert (merged["notes"], merged["tags"], merged["rating"]) == ("one\n\ntwo", ["x", "y"], 3)
    assert await trader.symbols(tag="y") == ["AAPL"]
    assert (await trader.person.delete(f"/executions/{early['id']}")).status_code == 204
    assert [(trade["id"], trade["notes"], trade["tags"]) for trade in await trader.trades(sort="opened_at")] == [
        (first["id"], "one", ["x"]),
        (second["id"], "two", ["y"]),
    ]


async def test_a_fill_that_crosses_zero_belongs_to_two_trades_and_its_annotation_to_the_one_it_opens(
    trader: Trader,
) -> None:
    await trader.fill("AAPL", "buy", "10", "100", "14:30:00")
    crossing = await trader.fill("AAPL", "sell", "15", "101", "14:40:00")
    await trader.fill("AAPL", "buy", "5", "100", "14:50:00")
    long, short = await trader.trades(sort="opened_at")
    await trader.person.patch(f"/trades/{short['id']}", json={"notes": "turned round"})
    for trade, notes in ((long, None), (short, "turned round")):
        detail = (await trader.person.get(f"/trades/{trade['id']}")).json()
        assert detail["notes"] == notes
        assert crossing["id"] in [fill["id"] for fill in detail["fills"]]


async def test_what_was_written_about_a_trade_whose_execution_is_gone_is_listed_as_an_orphan(trader: Trader) -> None:
    entry = await trader.fill("AAPL", "buy", "10", "100", "14:30:00")
    (trade,) = await trader.trades()
    await trader.person.patch(f"/trades/{trade['id']}", json={"notes": "kept", "tags": ["x"]})
    await trader.person.delete(f"/executions/{entry['id']}")
    assert await trader.trades() == []
    (orphan,) = (await trader.person.get("/journal/orphans")).json()["items"]
    assert (orphan["execution_id"], orphan["notes"], orphan["tags"]) == (entry["id"], "kept", ["x"])


async def test_every_write_raises_the_version_that_reads_can_ask_for(trader: Trader) -> None:
    added = await trader.person.post(
        "/executions",
        json={
            "account_id": trader.account_id,
            "symbol": "AAPL",
            "side": "buy",
            "quantity": "1",
            "price": "1",
            "executed_at": "2026-03-02T14:30:00Z",
        },
    )
    version = int(added.headers["X-Data-Version"])
    read = await trader.person.get("/trades", headers={"X-Data-Version": str(version)})
    assert read.status_code == 200
    ahead = await trader.person.get("/trades", headers={"X-Data-Version": str(version + 1)})
    assert ahead.status_code == 412


async def test_the_fee_profile_of_the_account_costs_what_no_commission_is_given_for(user: Person) -> None:
    trader = await opened(user, fee_profile={"per_fill": "1.00", "per_unit": "0.02"})
    usual = await trader.fill("AAPL", "buy", "10", "100", "14:30:00")
    given = await trader.fill("AAPL", "sell", "10", "100", "14:40:00", commission="0")
    assert (usual["commission"], given["commission"]) == ("1.2", "0")


async def test_a_contract_whose_multiplier_nobody_knows_is_asked_for(trader: Trader) -> None:
    body = {
        "account_id": trader.account_id,
        "symbol": "QQZM6",
        "asset_class": "future",
        "side": "buy",
        "quantity": "1",
        "price": "1",
        "executed_at": "2026-03-02T14:30:00Z",
    }
    refused = await trader.person.post("/executions", json=body)
    assert (refused.status_code, refused.json()["code"]) == (422, "symbol_unknown")
    taken = await trader.person.post("/executions", json={**body, "multiplier": "12.5"})
    assert (taken.status_code, taken.json()["multiplier"]) == (201, "12.5")


async def test_another_multiplier_than_the_books_is_refused_and_leaves_nothing(trader: Trader) -> None:
    await trader.fill("XYZ", "buy", "1", "5", "14:30:00", multiplier="100")
    body = {
        "account_id": trader.account_id,
        "symbol": "XYZ",
        "side": "sell",
        "quantity": "1",
        "price": "6",
        "multiplier": "10",
        "executed_at": "2026-03-02T15:30:00Z",
    }
    refused = await trader.person.post("/executions", json=body)
    assert (refused.status_code, refused.json()["code"]) == (422, "other_multiplier")
    assert len((await trader.person.get("/executions")).json()["items"]) == 1
    await trader.fill("XYZ", "sell", "1", "6", "15:30:00")
    assert [trade["gross_pnl"] for trade in await trader.trades()] == ["100"]


@pytest.mark.parametrize(
    ("symbol", "advice"),
    [("MNQM6", "change that of MNQ among the account's multipliers"), ("CL", "first"), ("SPY260320C00500000", "first")],
)
async def test_what_is_advised_about_another_multiplier_works(trader: Trader, symbol: str, advice: str) -> None:
    entered = await trader.fill(symbol, "buy", "1", "5", "14:30:00")
    again = {**entered, "price": "6", "multiplier": "7"}
    wanted = {name: again[name] for name in ("account_id", "symbol", "side", "quantity", "price", "multiplier")}
    body = {**wanted, "executed_at": "2026-03-02T15:30:00Z"}
    refused = await trader.person.post("/executions", json=body)
    assert (refused.status_code, refused.json()["code"]) == (422, "other_multiplier")
    assert advice in refused.json()["detail"]
    if advice == "first":
        await trader.person.delete(f"/executions/{entered['id']}")
    else:
        own = {"multipliers": {"MNQ": "7"}}
        assert (await trader.person.patch(f"/accounts/{trader.account_id}", json=own)).status_code == 200
    assert (await trader.person.post("/executions", json=body)).status_code == 201
    assert {trade["multiplier"] for trade in await trader.trades()} == {"7"}


async def test_executions_are_listed_newest_first_by_the_page(three_trades: Trader) -> None:
    person = three_trades.person
    found: list[Any] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await person.get("/executions", params={"limit": 2, **cursor})).json()
        found += page["items"]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert [execution["symbol"] for execution in found] == ["MNQM6", "MSFT", "AAPL", "MSFT", "AAPL"]
    assert (await person.get(f"/executions/{found[0]['id']}")).json() == found[0]
    of_msft = (await person.get("/executions", params={"symbol": "MSFT", "from": "2026-03-02"})).json()["items"]
    assert len(of_msft) == 2
    none = {"account_id": three_trades.account_id, "to": "2026-03-01"}
    assert (await person.get("/executions", params=none)).json()["items"] == []


async def test_trades_go_out_as_csv_with_what_is_written_about_them(three_trades: Trader) -> None:
    (listed,) = await three_trades.trades(symbol="AAPL")
    await three_trades.person.patch(f"/trades/{listed['id']}", json={"notes": "=cmd()", "tags": ["a", "b"]})
    answer = await three_trades.person.get("/trades/export", params={"status": "closed"})
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [(row["symbol"], row["net_pnl"], row["notes"], row["tags"]) for row in rows] == [
        ("AAPL", "15", "'=cmd()", "a; b"),
        ("MSFT", "-10", "", ""),
    ]


async def test_an_export_as_json_has_what_the_list_has(three_trades: Trader) -> None:
    answer = await three_trades.person.get("/trades/export", params={"format": "json", "sort": "-opened_at"})
    assert answer.json()["items"] == await three_trades.trades()


async def test_another_user_sees_and_changes_nothing_of_it(app: Served, three_trades: Trader) -> None:
    other = await app.user()
    (trade, *_rest) = await three_trades.trades()
    (execution, *_more) = (await three_trades.person.get("/executions")).json()["items"]
    answers = [
        await other.get(f"/trades/{trade['id']}"),
        await other.patch(f"/trades/{trade['id']}", json={"notes": "theirs"}),
        await other.get(f"/executions/{execution['id']}"),
        await other.delete(f"/executions/{execution['id']}"),
        await other.post("/executions", json={**_fill(three_trades.account_id)}),
    ]
    assert [answer.status_code for answer in answers] == [404] * 5
    for path in ("/trades", "/executions", "/trades/export?format=json"):
        assert (await other.get(path)).json()["items"] == []
    assert len(await three_trades.trades()) == 3


def _fill(account_id: str) -> dict[str, str]:
    at = datetime(2026, 3, 2, tzinfo=UTC) + timedelta(hours=15)
    return {
        "account_id": account_id,
        "symbol": "AAPL",
        "side": "buy",
        "quantity": "1",
        "price": "1",
        "executed_at": at.isoformat(),
    }
