"""Filters, labels, capital and scope: the same trades are meant by every endpoint, and only the user's own."""

import threading
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from tests.application import Person, Served
from tests.tradesense.analytics.stored import MNQ, SAP, VT, Fill, Store, Traded
from tests.tradesense.analytics.test_answers import ENDPOINTS, HELD, LOST, WON, ask
from tradesense.analytics.repository import Selection
from tradesense.analytics.service.studies import Question
from tradesense.brokers.contract import CashKind
from tradesense.http.authentication import Principal, UserId


@pytest.fixture
async def accounts(stored: Store) -> dict[str, UUID]:
    """Two accounts, in which four trades closed and one is open."""
    main, second = await stored.account("Main"), await stored.account("Second", balance="2000")
    await stored.book(main, VT, *WON)
    await stored.book(main, MNQ, *LOST)
    await stored.book(second, VT, Fill("2026-03-05T10:00", -1, 70), Fill("2026-03-06T10:00", 1, 70))
    await stored.book(second, Traded("GE"), *HELD)
    return {"main": main, "second": second}


CASES: list[tuple[dict[str, Any], str, int, int]] = [
    ({}, "-8.25", 4, 3),
    ({"account_id": ["main"]}, "-13", 2, 2),
    ({"account_id": ["main", "second"]}, "-8.25", 4, 3),
    ({"symbol": "VT"}, "28", 2, 2),
    ({"symbol": ["VT", "GE"]}, "32.75", 3, 2),
    ({"underlying": "MNQ"}, "-41", 1, 1),
    ({"underlying": "VT"}, "28", 2, 2),
    ({"asset_class": "future"}, "-41", 1, 1),
    ({"asset_class": ["future", "stock"]}, "-8.25", 4, 3),
    ({"side": "short"}, "-41", 2, 2),
    ({"status": "open"}, "4.75", 1, 0),
    ({"status": "closed"}, "-13", 3, 3),
    ({"result": "win"}, "28", 1, 1),
    ({"result": ["win", "breakeven"]}, "28", 2, 2),
    ({"from": "2026-03-03"}, "-36.25", 3, 2),
    ({"to": "2026-03-02"}, "28", 1, 1),
    ({"from": "2026-03-04", "to": "2026-03-05"}, "-36.25", 2, 1),
    ({"symbol": "VT", "account_id": ["second"]}, "0", 1, 1),
    ({"currency": "USD"}, "-8.25", 4, 3),
    ({"currency": "EUR"}, "0", 0, 0),
    ({"symbol": "nothing"}, "0", 0, 0),
    ({"to": "2020-01-01"}, "0", 0, 0),
]


async def test_a_filter_means_the_same_trades_everywhere(user: Person, accounts: dict[str, UUID]) -> None:
    for wanted, net, trades, closed in CASES:
        await means(user, accounts, wanted, Decimal(net), trades, closed)


async def means(
    user: Person, accounts: dict[str, UUID], wanted: dict[str, Any], net: Decimal, trades: int, closed: int
) -> None:
    if "account_id" in wanted:
        wanted = {**wanted, "account_id": [str(accounts[name]) for name in wanted["account_id"]]}
    summary = await ask(user, "summary", **wanted)
    days = (await ask(user, "calendar", **wanted))["days"]
    points = (await ask(user, "equity", **wanted))["points"]
    bins = (await ask(user, "distribution", **wanted))["bins"]
    assert (Decimal(summary["net_pnl"]), summary["trades"], summary["closed_trades"]) == (net, trades, closed), wanted
    assert sum(Decimal(day["net_pnl"]) for day in days) == net
    assert sum(day["trades"] for day in days) == closed
    assert (Decimal(points[-1]["net_pnl"]) if points else 0) == net
    assert sum(each["trades"] for each in bins) == closed
    assert ((await ask(user, "monte-carlo", paths=1, **wanted))["trades"] > 0) == (closed > 0)
    for by in ("symbol", "holding_time", "month"):
        groups = (await ask(user, "breakdown", by=by, **wanted))["groups"]
        assert sum(Decimal(group["net_pnl"]) for group in groups) == net
        assert sum(group["closed_trades"] for group in groups) == closed


async def test_a_filter_that_nobody_can_mean_is_refused(user: Person) -> None:
    senseless: list[dict[str, Any]] = [
        {"account_id": "x"},
        {"symbol": ""},
        {"asset_class": "house"},
        {"side": "up"},
        {"result": "fine"},
        {"status": "ajar"},
        {"from": "yesterday"},
        {"currency": "usd"},
        {"tag": " "},
        {"symbol": [f"S{number}" for number in range(51)]},
    ]
    for wanted in senseless:
        refused = await user.get("/analytics/summary", params=wanted)
        assert (refused.status_code, refused.json()["code"]) == (422, "invalid"), wanted


async def test_another_user_sees_nothing_of_it(app: Served, accounts: dict[str, UUID]) -> None:
    other = await app.user()
    for path in ENDPOINTS:
        theirs = await ask(other, path, account_id=str(accounts["main"]))
        assert theirs == await ask(other, path)
        assert theirs["currencies"] == []


async def test_nobody_is_told_anything(anyone: Person) -> None:
    for path in ENDPOINTS:
        assert (await anyone.get(f"/analytics/{path}", params={"by": "symbol"})).status_code == 401


async def test_what_is_not_published_and_what_is_deleted_does_not_count(user: Person, stored: Store) -> None:
    account, gone = await stored.account(), await stored.account(deleted=True)
    await stored.book(account, VT, *WON)
    await stored.book(gone, MNQ, *LOST)
    await stored.book(account, Traded("GE"), *HELD, born=2)
    assert (await ask(user, "summary"))["net_pnl"] == "28"
    assert (await user.get("/portfolio/positions")).json()["items"] == []
    await stored.generation(account, 2)
    assert (await ask(user, "summary"))["net_pnl"] == "32.75"
    assert [each["symbol"] for each in (await user.get("/portfolio/positions")).json()["items"]] == ["GE"]


async def test_segments_come_together_in_the_order_of_their_book(user: Person, stored: Store) -> None:
    account = await stored.account()
    fills = [
        Fill(f"2026-03-{2 + number // 20:02}T{number % 20:02}:00", 1 if number % 2 == 0 else -1, 100 + number % 3)
        for number in range(60)
    ]
    trades = await stored.book(account, VT, *fills, target=4)
    found = await ask(user, "summary")
    assert (found["trades"], found["net_pnl"]) == (len(trades), "0")
    assert found["max_win_streak"] == longest_run([trade.net > 0 for trade in trades])


def longest_run(wins: list[bool]) -> int:
    best = run = 0
    for won in wins:
        run = run + 1 if won else 0
        best = max(best, run)
    return best


@pytest.fixture
async def labelled(user: Person, stored: Store) -> None:
    """A win with two tags, a playbook and a risk; a loss with one tag and a mistake; a trade without a word."""
    account = await stored.account()
    won, lost, _ = [
        (await stored.book(account, traded, *fills))[0]
        for traded, fills in ((VT, WON), (MNQ, LOST), (Traded("GE"), HELD))
    ]
    await user.post("/playbooks", json={"name": "Opening drive"})
    await user.patch(
        f"/trades/{won.id}", json={"tags": ["a+", "news"], "playbook": "Opening drive", "initial_risk": "14"}
    )
    await user.patch(f"/trades/{lost.id}", json={"tags": ["news"], "mistakes": ["chased"], "initial_risk": "20.5"})


BY_LABEL: dict[str, dict[str | None, str]] = {
    "tag": {"a+": "28", "news": "-13", None: "4.75"},
    "mistake": {"chased": "-41", None: "32.75"},
    "playbook": {"Opening drive": "28", None: "-36.25"},
    "strategy": {"Opening drive": "28", None: "-36.25"},
    "r": {"-2 R to -1 R": "-41", "2 R to 3 R": "28", "no initial risk": "4.75"},
}


@pytest.mark.usefixtures("labelled")
async def test_labels_group_trades(user: Person) -> None:
    for by, groups in BY_LABEL.items():
        found = await ask(user, "breakdown", by=by)
        assert {group["key"]: group["net_pnl"] for group in found["groups"]} == groups


LABELLED: list[tuple[dict[str, Any], str]] = [
    ({"tag": "news"}, "-13"),
    ({"tag": ["a+", "unknown"]}, "28"),
    ({"tag": "unknown"}, "0"),
    ({"playbook": "Opening drive"}, "28"),
    ({"playbook": "Opening drive", "tag": "news"}, "28"),
    ({"playbook": "Fade", "tag": "news"}, "0"),
]


@pytest.mark.usefixtures("labelled")
async def test_labels_filter_trades(user: Person) -> None:
    for wanted, net in LABELLED:
        assert (await ask(user, "summary", **wanted))["net_pnl"] == net


@pytest.mark.usefixtures("labelled")
async def test_expectancy_in_r_is_the_mean_of_what_has_a_risk(user: Person) -> None:
    found = await ask(user, "summary")
    assert found["expectancy_r"] == pytest.approx((28 / 14 - 41 / 20.5) / 2)
    assert found["version"] == 7  # three labels, two accounts, two books


async def test_deposits_are_capital_and_other_cash_is_not(user: Person, stored: Store) -> None:
    account = await stored.account(balance="1000")
    await stored.book(account, VT, *WON, Fill("2026-03-06T15:00", 1, 10), Fill("2026-03-06T16:00", -1, 10))
    await stored.cash(account, "2026-03-03T10:00", "500")
    await stored.cash(account, "2026-03-04T10:00", "-100", CashKind.WITHDRAWAL)
    await stored.cash(account, "2026-03-04T10:00", "7", CashKind.DIVIDEND)
    await stored.cash(account, "2026-03-04T10:00", "900", currency="EUR")
    assert (await ask(user, "summary"))["equity"] == "1428"
    points = {each["day"]: each["equity"] for each in (await ask(user, "equity"))["points"]}
    assert points == {
        "2026-03-01": "1000",
        "2026-03-02": "1028",
        "2026-03-03": "1528",
        "2026-03-04": "1428",
        "2026-03-06": "1428",
    }
    assert (await ask(user, "summary", to="2026-03-03"))["equity"] == "1528"
    assert (await ask(user, "monte-carlo"))["balance"] == "1400"


@pytest.mark.usefixtures("accounts")
async def test_a_period_starts_with_the_equity_of_its_eve(user: Person) -> None:
    found = await ask(user, "equity", **{"from": "2026-03-04"})
    assert [(each["day"], each["equity"]) for each in found["points"]] == [
        ("2026-03-03", "12028"),
        ("2026-03-04", "11987"),
        ("2026-03-05", "11991.75"),
        ("2026-03-06", "11991.75"),
    ]
    assert (await ask(user, "summary", **{"from": "2026-03-04"}))["starting_balance"] == "12028"


async def test_equity_is_unknown_where_an_account_that_trades_has_no_balance(user: Person, stored: Store) -> None:
    await stored.book(await stored.account(), VT, *WON)
    bare = await stored.account("Bare", balance=None)
    assert (await ask(user, "summary"))["equity"] == "10028"
    await stored.book(bare, MNQ, *LOST)
    await stored.cash(bare, "2026-03-01T10:00", "500")
    found = await ask(user, "summary")
    assert (found["equity"], found["sharpe"], found["reasons"]["equity"]) == (None, None, "no starting balance")
    assert (await ask(user, "equity"))["reasons"] == {
        "equity": "no starting balance",
        "drawdown": "no starting balance",
    }
    simulated = await ask(user, "monte-carlo")
    assert (simulated["balance"], simulated["ruin_probability"]) == (None, None)
    assert simulated["reasons"]["ruin_probability"] == "no starting balance"


async def test_trades_in_a_currency_that_no_account_is_kept_in_have_no_capital(user: Person, stored: Store) -> None:
    account = await stored.account()
    await stored.book(account, SAP, *WON)
    found = await ask(user, "summary")
    assert (found["currency"], found["net_pnl"], found["equity"]) == ("EUR", "28", None)


async def test_a_read_that_asks_for_a_version_ahead_is_refused(user: Person) -> None:
    for path in (*(f"/analytics/{path}" for path in ENDPOINTS), "/portfolio/summary", "/portfolio/positions"):
        ahead = await user.get(path, params={"by": "symbol"}, headers={"X-Data-Version": "99"})
        assert (ahead.status_code, ahead.json()["code"]) == (412, "version_ahead")
        level = await user.get(path, params={"by": "symbol"}, headers={"X-Data-Version": "0"})
        assert level.status_code == 200


async def test_answers_are_worked_out_off_the_event_loop(app: Served, user: Person) -> None:
    somebody = Principal(
        UserId(UUID(user.user_id)), "", "", user.email, is_admin=False, timezone="UTC", currency="USD", data_version=0
    )
    asked = app.state["analytics"].ask(somebody, Question(Selection()), lambda _: threading.get_ident())
    assert await asked != threading.get_ident()
