"""The portfolio at a glance and its open positions, against figures worked out by hand, on both databases."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from tests.application import PASSWORD, Person, Served
from tests.tradesense.analytics.stored import MNQ, SAP, VT, Fill, Store, Traded, store
from tradesense.domain.instruments import AssetClass
from tradesense.portfolio.schemas import PortfolioView

WON = [Fill("2026-03-02T09:00", 10, "100", 1), Fill("2026-03-02T10:00", -10, "103", 1)]
"""+30 gross, 2 costs, on the day that the clock shows: Monday, 2 March 2026."""
LOST = [Fill("2026-02-26T15:00", -4, "50", "0.5"), Fill("2026-02-27T15:00", 4, "55", "0.5")]
HELD = [
    Fill("2026-02-27T18:00", 2, "10", 2),
    Fill("2026-02-27T19:00", 2, "13", 1),
    Fill("2026-03-02T11:00", -3, "16", "0.3"),
]
"""By FIFO two at 10 and one at 13 are sold: +15 gross, 2 + 0.5 + 0.3 costs; one at 13 is left, with 0.5 of costs."""


async def glance(person: Person, **wanted: Any) -> dict[str, Any]:  # noqa: ANN401 - parameters
    answer = await person.get("/portfolio/summary", params=wanted)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    assert PortfolioView.model_validate(found).model_dump(mode="json") == found
    return found


async def positions(person: Person, **wanted: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - parameters
    answer = await person.get("/portfolio/positions", params=wanted)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def test_a_glance_shows_totals_and_today(user: Person, stored: Store) -> None:
    account = await stored.account()
    for traded, fills in ((VT, WON), (MNQ, LOST), (Traded("GE"), HELD)):
        await stored.book(account, traded, *fills)
    found = await glance(user)
    today = found.pop("today")
    by_currency = found.pop("by_currency")
    ratio = found.pop("max_drawdown")
    assert found == {
        "currency": "USD",
        "currencies": ["USD"],
        "net_pnl": "-0.8",
        "gross_pnl": "5",
        "costs": "5.8",
        "open_costs": "0.5",
        "equity": "9999.2",
        "trades": 3,
        "open_positions": 1,
        "win_rate": 0.5,
        "profit_factor": 28 / 41,
        "max_drawdown_money": "-41",
        "reasons": {},
        "as_of": "2026-03-02T12:00:00Z",
        "version": 4,  # an account and three books
    }
    assert round(ratio, 12) == -0.0041
    assert today == {
        "day": "2026-03-02",
        "net_pnl": "40.2",
        "gross_pnl": "45",
        "costs": "4.8",
        "trades": 1,
        "wins": 1,
        "losses": 0,
        "win_rate": 1.0,
    }
    assert by_currency.keys() == {"USD"}
    assert (by_currency["USD"]["net_pnl"], by_currency["USD"]["today"]) == ("-0.8", today)


async def test_the_version_is_that_of_the_data_shown(user: Person) -> None:
    written = await user.put("/journal/2026-03-02", json={"notes": "one"})
    assert (await glance(user))["version"] == int(written.headers["X-Data-Version"]) == 1


async def test_nothing_is_null_without_its_reason(user: Person, stored: Store) -> None:
    nobody = await glance(user)
    assert (nobody["currency"], nobody["net_pnl"], nobody["trades"], nobody["by_currency"]) == ("USD", "0", 0, {})
    assert nobody["reasons"].keys() == {key for key, value in nobody.items() if value is None}
    account = await stored.account(currency="EUR")
    empty = await glance(user)
    assert (empty["currency"], empty["equity"], empty["today"]["net_pnl"]) == ("EUR", "10000", "0")
    await stored.book(account, SAP, *LOST)
    lost = await glance(user)
    assert (lost["profit_factor"], lost["win_rate"], lost["today"]["win_rate"]) == (0.0, 0.0, None)


async def test_money_of_several_currencies_is_shown_by_currency_alone(user: Person, stored: Store) -> None:
    await stored.book(await stored.account(), VT, *WON)
    euro = await stored.account("Europe", currency="EUR", balance="500")
    await stored.book(euro, SAP, *WON, Fill("2026-03-02T11:00", 1, 10))
    found = await glance(user)
    assert (found["currency"], found["currencies"]) == (None, ["EUR", "USD"])
    assert [found[key] for key in ("net_pnl", "gross_pnl", "costs", "equity", "max_drawdown")] == [None] * 5
    assert found["reasons"]["net_pnl"] == "mixed currencies"
    assert (found["trades"], found["open_positions"], found["win_rate"]) == (3, 1, 1.0)
    assert (found["today"]["net_pnl"], found["today"]["trades"], found["today"]["win_rate"]) == (None, 2, 1.0)
    parts = {name: (part["equity"], part["today"]["net_pnl"]) for name, part in found["by_currency"].items()}
    assert parts == {"EUR": ("528", "28"), "USD": ("10028", "28")}
    euros = await glance(user, currency="EUR")
    assert (euros["currency"], euros["net_pnl"], euros["open_positions"]) == ("EUR", "28", 1)


async def test_one_account_can_be_asked_for_and_a_strangers_is_nobodys(app: Served, user: Person) -> None:
    stored = store(app, user)
    first, second = await stored.account(), await stored.account("Second", balance="100")
    await stored.book(first, VT, *WON)
    await stored.book(second, Traded("GE"), *HELD)
    assert (await glance(user, account_id=str(second)))["equity"] == "112.2"
    assert [each["symbol"] for each in await positions(user, account_id=str(second))] == ["GE"]
    other = await app.user()
    assert (await glance(other, account_id=str(second)))["trades"] == 0
    assert await positions(other, account_id=str(second)) == []
    assert await positions(other) == []


async def test_today_is_the_users_today(app: Served) -> None:
    person = await app.person()
    who = {"email": "east@example.com", "password": PASSWORD}
    await person.post("/auth/register", json={**who, "timezone": "Pacific/Auckland"})
    await person.log_in(who["email"])
    stored = store(app, person)
    await stored.book(await stored.account(), VT, *WON)
    app.clock.forward(timedelta(hours=-2))
    assert (await glance(person))["today"]["net_pnl"] == "28"
    app.clock.forward(timedelta(hours=2))
    assert (await glance(person))["today"]["day"] == "2026-03-03"
    assert (await glance(person))["today"]["net_pnl"] == "0"


async def test_a_position_is_what_a_partial_exit_has_left(user: Person, stored: Store) -> None:
    account = await stored.account("Futures")
    future = Traded("MNQM6", AssetClass.FUTURE, multiplier="2", underlying="MNQ")
    trades = await stored.book(account, future, *HELD)
    assert await positions(user) == [
        {
            "trade_id": str(trades[0].id),
            "account_id": str(account),
            "account": "Futures",
            "symbol": "MNQM6",
            "asset_class": "future",
            "underlying": "MNQ",
            "multiplier": "2",
            "currency": "USD",
            "side": "long",
            "open_quantity": "1",
            "average_price": "13",
            "cost_basis": "26",
            "open_costs": "0.5",
            "gross_pnl": "30",
            "costs": "2.8",
            "net_pnl": "27.2",
            "opened_at": "2026-02-27T18:00:00Z",
            "executions": 3,
        }
    ]


async def test_currencies_that_no_file_brings_any_more_are_shown_as_they_are(user: Person, stored: Store) -> None:
    odd = ["", "usd", "€"]
    account = await stored.account()
    for currency in odd:
        await stored.book(account, Traded("GE", currency=currency), *HELD)
    assert sorted(each["currency"] for each in await positions(user)) == odd
    for path in ("/portfolio/summary", "/analytics/summary"):
        found = (await user.get(path)).json()
        assert sorted(found["by_currency"]) == sorted(found["currencies"]) == odd
    for path in ("/trades", "/executions"):
        assert {each["currency"] for each in (await user.get(path)).json()["items"]} == {*odd}
    for path in ("/analytics/calendar", "/analytics/breakdown?by=symbol", "/trades/export?format=csv"):
        assert (await user.get(path)).status_code == 200


async def test_a_short_position_has_a_positive_basis_and_closed_trades_have_none(user: Person, stored: Store) -> None:
    account = await stored.account()
    await stored.book(account, VT, *WON)
    await stored.book(account, Traded("GE"), *LOST, Fill("2026-03-01T10:00", -3, "0.07", 0))
    (position,) = await positions(user)
    assert (position["side"], position["open_quantity"], position["cost_basis"]) == ("short", "3", "0.21")


async def test_positions_come_latest_first_a_page_at_a_time(user: Person, stored: Store) -> None:
    account = await stored.account()
    for number in range(5):
        at = f"2026-02-{10 + number // 2}T10:00"
        await stored.book(account, Traded(f"S{number}"), Fill(at, 1, number + 1))
    found: list[dict[str, Any]] = []
    cursor = None
    while True:
        wanted = {"limit": 2} if cursor is None else {"limit": 2, "cursor": cursor}
        page = (await user.get("/portfolio/positions", params=wanted)).json()
        found += page["items"]
        cursor = page["next"]
        if cursor is None:
            break
    assert found == await positions(user)
    assert len({each["trade_id"] for each in found}) == 5
    assert [each["opened_at"] for each in found] == sorted((each["opened_at"] for each in found), reverse=True)
    assert sum(Decimal(each["cost_basis"]) for each in found) == 15


async def test_positions_are_filtered(user: Person, stored: Store) -> None:
    account = await stored.account()
    await stored.book(account, VT, Fill("2026-02-10T10:00", 1, 100))
    await stored.book(account, MNQ, Fill("2026-02-10T10:00", 1, 100))
    await stored.book(account, SAP, Fill("2026-02-10T10:00", 1, 100))
    for wanted, symbols in (
        ({"symbol": "VT"}, ["VT"]),
        ({"asset_class": "future"}, ["MNQM6"]),
        ({"currency": "EUR"}, ["SAP"]),
        ({"currency": "USD", "symbol": "SAP"}, []),
    ):
        assert [each["symbol"] for each in await positions(user, **wanted)] == symbols
    mismatch = await user.get("/portfolio/positions", params={"symbol": "VT", "cursor": "AAAA"})
    assert (mismatch.status_code, mismatch.json()["code"]) == (400, "cursor_malformed")


async def test_nobody_is_shown_a_portfolio(anyone: Person) -> None:
    for path in ("/portfolio/summary", "/portfolio/positions"):
        assert (await anyone.get(path)).status_code == 401
