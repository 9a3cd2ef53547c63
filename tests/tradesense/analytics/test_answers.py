"""The numbers of each endpoint against figures worked out by hand, on both databases."""

from decimal import Decimal
from typing import Any

import pytest

from tests.application import Person, Served
from tests.tradesense.analytics.stored import MNQ, SAP, VT, Fill, Store, Traded, store
from tradesense.analytics import schemas
from tradesense.domain.groupings import By
from tradesense.domain.instruments import AssetClass
from tradesense.domain.monte_carlo import MOST_PATHS, MOST_STEPS
from tradesense.http.types import View

ENDPOINTS: dict[str, type[View]] = {
    "summary": schemas.SummaryView,
    "equity": schemas.EquityView,
    "calendar": schemas.CalendarView,
    "breakdown": schemas.BreakdownView,
    "distribution": schemas.DistributionView,
    "monte-carlo": schemas.MonteCarloView,
}
SERIES = {"equity": "points", "calendar": "days", "breakdown": "groups", "distribution": "bins"}

WON = [Fill("2026-03-02T15:00", 10, "100", 1), Fill("2026-03-02T16:00", -10, "103", 1)]
"""+30 gross, 2 costs, on Monday."""
LOST = [Fill("2026-03-03T15:00", -4, "50", "0.5"), Fill("2026-03-04T15:00", 4, "55", "0.5")]
"""-20 gross, 1 costs, short from Tuesday to Wednesday."""
HELD = [Fill("2026-03-04T18:00", 3, "10", 3), Fill("2026-03-05T18:00", -1, "16", "0.25")]
"""+6 gross and 1.25 costs of a third, on Thursday; two are left, with 2 of costs."""


async def ask(person: Person, path: str, **wanted: Any) -> dict[str, Any]:  # noqa: ANN401 - parameters
    """The answer of an endpoint; a breakdown is by symbol unless asked otherwise."""
    if path == "breakdown":
        wanted = {"by": "symbol", **wanted}
    answer = await person.get(f"/analytics/{path}", params=wanted)
    assert answer.status_code == 200, answer.text
    content: dict[str, Any] = answer.json()
    return content


@pytest.fixture
async def traded(stored: Store) -> Store:
    """Two closed trades and one that is open, with 10,000 USD to start with."""
    account = await stored.account()
    await stored.book(account, VT, *WON)
    await stored.book(account, Traded("XOM"), *LOST)
    await stored.book(account, Traded("GE"), *HELD)
    return stored


@pytest.mark.usefixtures("traded")
async def test_a_summary_says_what_can_be_worked_out_by_hand(user: Person) -> None:
    found = await ask(user, "summary")
    expected = {
        "currency": "USD",
        "currencies": ["USD"],
        "net_pnl": "11.75",
        "gross_pnl": "16",
        "costs": "4.25",
        "open_costs": "2",
        "starting_balance": "10000",
        "equity": "10011.75",
        "trades": 3,
        "closed_trades": 2,
        "open_trades": 1,
        "wins": 1,
        "losses": 1,
        "breakevens": 0,
        "win_rate": 0.5,
        "profit_factor": pytest.approx(28 / 21),
        "expectancy": "3.5",
        "largest_win": "28",
        "largest_loss": "-21",
        "average_holding_s": (3600 + 86400) / 2,
        "max_drawdown_money": "-21",
        "max_drawdown_trough": "2026-03-04",
        "trading_days": 3,
        "expectancy_r": None,
    }
    assert {key: found[key] for key in expected} == expected
    assert found["max_drawdown"] == pytest.approx(-21 / 10028)
    assert found["reasons"]["expectancy_r"] == "no initial risk"
    assert found["conventions"]["win_rate"] == "wins ÷ closed trades; breakevens stay in the denominator"
    assert found["by_currency"]["USD"]["net_pnl"] == "11.75"


@pytest.mark.usefixtures("traded")
async def test_a_risk_free_rate_lowers_the_sharpe_ratio(user: Person) -> None:
    plain, less = await ask(user, "summary"), await ask(user, "summary", risk_free=0.05)
    assert less["sharpe"] < plain["sharpe"]


@pytest.mark.usefixtures("traded")
async def test_equity_starts_at_the_balance_and_moves_with_what_is_realised(user: Person) -> None:
    found = await ask(user, "equity")
    points = [(each["day"], each["net_pnl"], each["equity"], each["drawdown_money"]) for each in found["points"]]
    assert points == [
        ("2026-03-01", "0", "10000", "0"),
        ("2026-03-02", "28", "10028", "0"),
        ("2026-03-04", "7", "10007", "-21"),
        ("2026-03-05", "11.75", "10011.75", "-16.25"),
    ]
    assert found["points"][2]["drawdown"] == pytest.approx(10007 / 10028 - 1)
    assert found["reasons"] == {}


@pytest.mark.usefixtures("traded")
async def test_a_partial_exit_counts_on_its_own_day(user: Person) -> None:
    found = await ask(user, "calendar")
    days = [(each["day"], each["net_pnl"], each["trades"], each["win_rate"]) for each in found["days"]]
    assert days == [("2026-03-02", "28", 1, 1.0), ("2026-03-04", "-21", 1, 0.0), ("2026-03-05", "4.75", 0, None)]


async def test_days_and_hours_are_those_of_the_users_time_zone(app: Served) -> None:
    person = await app.person()
    who = {"email": "east@example.com", "password": "correct horse battery staple"}
    await person.post("/auth/register", json={**who, "timezone": "America/New_York"})
    await person.log_in(who["email"])
    stored = store(app, person)
    account = await stored.account()
    await stored.book(account, VT, Fill("2026-03-08T02:00", 1, 10), Fill("2026-03-08T04:30", -1, 11))
    await stored.book(account, MNQ, Fill("2026-03-09T03:00", 1, 10), Fill("2026-03-09T03:30", -1, 11))
    found = await ask(person, "calendar")
    assert [(each["day"], each["net_pnl"]) for each in found["days"]] == [("2026-03-07", "1"), ("2026-03-08", "2")]
    hours = await ask(person, "breakdown", by="hour")
    assert [group["key"] for group in hours["groups"]] == ["23"]
    only = await ask(person, "summary", **{"from": "2026-03-08", "to": "2026-03-08"})
    assert only["net_pnl"] == "2"


async def test_every_breakdown_adds_up_to_the_calendar_and_the_total(user: Person, stored: Store) -> None:
    account = await stored.account()
    await stored.book(account, VT, *WON, *(Fill(f"2026-03-{day:02}T15:00", 7, "33.33", "0.07") for day in range(5, 12)))
    thirds = [Fill("2026-03-02T15:00", 3, "0.0007", "0.01"), Fill("2026-03-08T23:59", -1, "0.0009", "0.003333333333")]
    await stored.book(account, Traded("BTC", AssetClass.CRYPTO), *thirds, Fill("2026-03-09T00:01", -1, "0.1", "1e-12"))
    await stored.book(account, MNQ, *LOST, *HELD)
    net = Decimal((await ask(user, "summary"))["net_pnl"])
    days = (await ask(user, "calendar"))["days"]
    assert sum(Decimal(day["net_pnl"]) for day in days) == net
    for by in By:
        groups = (await ask(user, "breakdown", by=by))["groups"]
        assert sum(Decimal(group["net_pnl"]) for group in groups) == net, by
    assert Decimal((await ask(user, "equity"))["points"][-1]["net_pnl"]) == net


async def test_an_account_is_named_in_the_breakdown_by_account(user: Person, stored: Store) -> None:
    account = await stored.account("Futures")
    await stored.book(account, MNQ, *WON)
    (group,) = (await ask(user, "breakdown", by="account"))["groups"]
    assert (group["key"], group["name"], group["net_pnl"]) == (str(account), "Futures", "58")


@pytest.mark.usefixtures("traded")
async def test_a_group_carries_its_sample_size_and_intervals(user: Person) -> None:
    found = await ask(user, "breakdown", by="side")
    long, short = found["groups"]
    assert (long["key"], long["trades"], long["closed_trades"], long["open_trades"]) == ("long", 2, 1, 1)
    assert (short["key"], short["net_pnl"], short["win_rate"]) == ("short", "-21", 0.0)
    assert 0.2 < long["win_rate_low"] < long["win_rate_high"] <= 1.0
    assert found["by"] == "side"


@pytest.mark.usefixtures("traded")
async def test_a_distribution_holds_every_closed_trade(user: Person) -> None:
    found = await ask(user, "distribution")
    assert sum(each["trades"] for each in found["bins"]) == 2
    assert sum(Decimal(each["net_pnl"]) for each in found["bins"]) == 7
    assert (found["mean"], found["percentiles"]["p50"]) == ("3.5", "3.5")
    alone = await ask(user, "distribution", symbol="VT")
    assert alone["standard_deviation"] is None
    assert alone["reasons"]["standard_deviation"] == "fewer than two different results"


@pytest.mark.usefixtures("traded")
async def test_the_same_seed_gives_the_same_simulation(user: Person) -> None:
    wanted = {"paths": 200, "trades": 30, "seed": 7, "ruin": 0.01}
    one, two = await ask(user, "monte-carlo", **wanted), await ask(user, "monte-carlo", **wanted)
    assert one == two
    assert (one["paths"], one["trades"], one["seed"], one["ruin"], one["balance"]) == (200, 30, 7, 0.01, "10000")
    assert 0 < one["loss_probability"] < 1
    assert 0 < one["ruin_probability"] < 1
    other = await ask(user, "monte-carlo", **{**wanted, "seed": 8})
    assert other["final_net_pnl"] != one["final_net_pnl"]


async def test_a_simulation_out_of_bounds_is_refused(user: Person) -> None:
    most = {"paths": MOST_PATHS, "trades": MOST_STEPS}
    for wanted in (most, {"paths": MOST_PATHS + 1}, {"trades": 0}, {"ruin": 0}, {"ruin": "nan"}, {"seed": -1}):
        refused = await user.get("/analytics/monte-carlo", params=wanted)
        assert refused.status_code == 422
        assert refused.json()["code"] == ("simulation_too_large" if wanted is most else "invalid")


def shown(path: str, found: dict[str, Any]) -> Any:  # noqa: ANN401 - what JSON has
    """The answer once more, through the model of its endpoint."""
    return ENDPOINTS[path].model_validate(found).model_dump(mode="json", by_alias=True)


async def test_answers_are_what_the_document_says(user: Person, stored: Store) -> None:
    for path in ENDPOINTS:
        empty = await ask(user, path)
        assert shown(path, empty) == empty
        assert (empty["currency"], empty["currencies"], empty["version"]) == (None, [], 0)
    account = await stored.account()
    for traded, fills in ((VT, WON), (MNQ, LOST), (Traded("GE"), HELD)):
        await stored.book(account, traded, *fills)
    for path in ENDPOINTS:
        full = await ask(user, path)
        assert shown(path, full) == full


async def test_an_account_without_a_trade_has_its_balance(user: Person, stored: Store) -> None:
    account = await stored.account(currency="EUR")
    await stored.cash(account, "2026-03-02T10:00", "500", currency="EUR")
    found = await ask(user, "summary")
    assert (found["currency"], found["equity"], found["trades"], found["win_rate"]) == ("EUR", "10500", 0, None)
    assert found["reasons"]["win_rate"] == "no closed trades"
    assert (await ask(user, "equity"))["reasons"] == {"equity": "nothing realised", "drawdown": "nothing realised"}
    assert (await ask(user, "monte-carlo"))["reasons"]["fan"] == "no closed trades"


async def test_currencies_are_never_added_up(user: Person, traded: Store) -> None:
    euro = await traded.account("Europe", currency="EUR", balance="5000")
    await traded.book(euro, SAP, Fill("2026-03-02T10:00", 2, 100), Fill("2026-03-02T12:00", -2, 90))
    found = await ask(user, "summary")
    assert (found["currency"], found["currencies"], found["net_pnl"], found["equity"]) == (
        None,
        ["EUR", "USD"],
        None,
        None,
    )
    assert found["reasons"]["net_pnl"] == "mixed currencies"
    assert (found["trades"], found["wins"], found["losses"]) == (4, 1, 2)
    parts = found["by_currency"]
    assert {name: (part["net_pnl"], part["equity"]) for name, part in parts.items()} == {
        "EUR": ("-20", "4980"),
        "USD": ("11.75", "10011.75"),
    }
    euros = await ask(user, "summary", currency="EUR")
    assert (euros["currency"], euros["net_pnl"]) == ("EUR", "-20")


async def test_mixed_currencies_are_a_reason_and_one_can_be_asked_for(user: Person, traded: Store) -> None:
    euro = await traded.account("Europe", currency="EUR", balance="5000")
    await traded.book(euro, SAP, Fill("2026-03-02T10:00", 2, 100), Fill("2026-03-02T12:00", -2, 90))
    for path, member in SERIES.items():
        mixed = await ask(user, path)
        assert (mixed[member], mixed["reasons"][member]) == ([], "mixed currencies")
        assert shown(path, mixed) == mixed
        single = await ask(user, path, currency="EUR")
        assert (single["currency"], single["currencies"]) == ("EUR", ["EUR"])
        assert single[member]


async def test_mixed_currencies_are_not_simulated(user: Person, traded: Store) -> None:
    euro = await traded.account("Europe", currency="EUR")
    await traded.book(euro, SAP, Fill("2026-03-02T10:00", 2, 100), Fill("2026-03-02T12:00", -2, 90))
    found = await ask(user, "monte-carlo")
    assert (found["loss_probability"], found["reasons"]["loss_probability"]) == (None, "mixed currencies")
    assert shown("monte-carlo", found) == found


async def test_a_currency_that_is_asked_for_is_told_without_trades_in_it(user: Person, traded: Store) -> None:
    await traded.account("Europe", currency="EUR", balance="5000")
    euro, pound = await ask(user, "summary", currency="EUR"), await ask(user, "summary", currency="GBP")
    assert (euro["currency"], euro["trades"], euro["equity"]) == ("EUR", 0, "5000")
    assert (pound["currency"], pound["trades"], pound["equity"]) == ("GBP", 0, None)
