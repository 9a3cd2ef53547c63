"""Breakdowns add up to the whole, to the last digit, and put every trade where it belongs."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tradesense.domain.books import EURO, FUTURE, MONDAY, STOCK, closed, identity, ledger, ledgers, stock, trade
from tradesense.domain.breakdowns import CONVENTIONS, Group, breakdown
from tradesense.domain.days import View, calendar
from tradesense.domain.filters import Filter, select
from tradesense.domain.groupings import By
from tradesense.domain.ledger import Book, Ledger, MixedCurrencies
from tradesense.domain.money import ZERO, exact
from tradesense.domain.summary import summarise
from tradesense.domain.trades import Direction, Trade, TradeId

UTC_ZONE = ZoneInfo("UTC")
NEW_YORK = ZoneInfo("America/New_York")


def by_key(view: View, by: By, **options: object) -> dict[str | None, Group]:
    return {group.key: group for group in breakdown(view, by, **options)}  # type: ignore[arg-type]


def nets(view: View, by: By, **options: object) -> dict[str | None, Decimal]:
    return {key: group.net for key, group in by_key(view, by, **options).items()}


def total(amounts: list[Decimal]) -> Decimal:
    with exact():
        return sum(amounts, ZERO)


@given(ledgers(), st.sampled_from([UTC_ZONE, NEW_YORK]), st.sampled_from([None, date(2025, 6, 1)]))
def test_every_breakdown_adds_up_to_the_calendar_and_the_summary(
    case: tuple[Ledger, list[tuple[Book, Trade]]],
    zone: ZoneInfo,
    first: date | None,
) -> None:
    joined, pairs = case
    view = View(select(joined, Filter(first=first), zone), zone)
    whole = summarise(view, now=MONDAY)["net_pnl"]
    assert total([day.net for day in calendar(view)]) == whole
    if first is None:
        with exact():
            assert total([one.net for _, one in pairs]) == whole
    labels = {one.id: ["a"] for _, one in pairs[::2]}
    risk = {one.id: Decimal(3) for _, one in pairs[::2]}
    for by in By:
        groups = breakdown(view, by, labels=labels, initial_risk=risk)
        assert total([group.net for group in groups]) == whole, by
        with exact():
            assert total([group.gross for group in groups]) - total([group.costs for group in groups]) == whole, by
        assert sum(group.closed for group in groups) == len(view.ledger.closed), by
        assert sum(group.trades - group.closed for group in groups) in {len(view.ledger.open), 0}, by


@given(ledgers())
def test_a_group_equals_the_summary_of_its_trades(case: tuple[Ledger, list[tuple[Book, Trade]]]) -> None:
    joined, _ = case
    for group in breakdown(View(joined, UTC_ZONE), By.SYMBOL):
        assert group.key is not None
        alone = summarise(View(select(joined, Filter(symbols=[group.key]), UTC_ZONE), UTC_ZONE), now=MONDAY).as_json()
        carried = group.as_json()
        shared = set(carried) & set(alone)
        assert {key: carried[key] for key in shared} == {key: alone[key] for key in shared}
        assert len(shared) == 12


def test_books_group_by_what_they_are() -> None:
    view = View(
        ledger((STOCK, closed("1", "2")), (FUTURE, closed("4")), (STOCK._replace(account="x"), closed("8"))), UTC_ZONE
    )
    assert nets(view, By.SYMBOL) == {"MNQM6": 4, "VT": 11}
    assert nets(view, By.UNDERLYING) == {"MNQ": 4, "VT": 11}
    assert nets(view, By.ASSET_CLASS) == {"future": 4, "stock": 11}
    assert nets(view, By.ACCOUNT) == {"main": 7, "x": 8}


def test_trades_group_by_side_size_and_price() -> None:
    view = View(
        stock(
            [
                trade((MONDAY, "1", "0"), quantity="1", price="99.99"),
                trade((MONDAY, "2", "0"), number=1, quantity="0.001", price="100", direction=Direction.SHORT),
                trade((MONDAY, "4", "0"), number=2, quantity="10000", price="0.5"),
            ]
        ),
        UTC_ZONE,
    )
    assert nets(view, By.SIDE) == {"long": 5, "short": 2}
    assert nets(view, By.SIZE) == {"below 0.01": 2, "1 to 2": 1, "10000 or more": 4}
    assert nets(view, By.ENTRY_PRICE) == {"0.1 to 1": 4, "50 to 100": 1, "100 to 200": 2}


def test_trades_group_by_how_long_they_were_held() -> None:
    spans = [timedelta(seconds=59), timedelta(minutes=1), timedelta(hours=1), timedelta(days=31)]
    held = [trade((MONDAY, "1", "0"), number=place, opened_at=MONDAY - span) for place, span in enumerate(spans)]
    view = View(stock([*held, trade((MONDAY, "16", "0"), number=9, is_open=True)]), UTC_ZONE)
    assert nets(view, By.HOLDING_TIME) == {
        "below 1 min": 1,
        "1 min to 5 min": 1,
        "1 h to 4 h": 1,
        "30 d or more": 1,
        "open": 16,
    }


def test_exits_group_by_their_time_in_the_users_zone() -> None:
    sunday_evening = datetime(2026, 3, 2, 1, 30, tzinfo=UTC)
    view = View(stock([trade((sunday_evening, "1", "0"), (datetime(2026, 4, 1, 12, tzinfo=UTC), "2", "0"))]), NEW_YORK)
    assert nets(view, By.WEEKDAY) == {"wednesday": 2, "sunday": 1}
    assert nets(view, By.HOUR) == {"08": 2, "20": 1}
    assert nets(view, By.MONTH) == {"2026-03": 1, "2026-04": 2}
    assert {key: group.closed for key, group in by_key(view, By.MONTH).items()} == {"2026-03": 0, "2026-04": 1}


def test_trades_group_by_r() -> None:
    risk: dict[TradeId, Decimal] = {identity(number): Decimal(10) for number in range(4)}
    trades = [*closed("-35", "0", "10", "51", "7"), trade((MONDAY, "1", "0"), number=3, is_open=True)]
    view = View(stock([*trades[:3], trades[5], trades[4]]), UTC_ZONE)
    assert nets(view, By.R, initial_risk=risk) == {
        "below -3 R": -35,
        "0 R to 1 R": 0,
        "1 R to 2 R": 10,
        "open": 1,
        "no initial risk": 7,
    }


def test_a_trade_counts_in_each_of_its_tags() -> None:
    view = View(stock(closed("1", "2", "4")), UTC_ZONE)
    labels = {identity(0): ["news", "gap"], identity(1): {"gap"}, identity(2): [], identity(9): ["other"]}
    assert nets(view, By.TAG, labels=labels) == {"gap": 3, "news": 1, None: 4}
    assert by_key(view, By.TAG, labels=labels)["gap"].trades == 2
    assert nets(view, By.PLAYBOOK) == {None: 7}


def test_labels_are_grouped_within_a_period() -> None:
    later = MONDAY + timedelta(days=9)
    period = select(stock([trade((MONDAY, "5", "0"), (later, "2", "0"))]), Filter(last=MONDAY.date()), UTC_ZONE)
    (group,) = breakdown(View(period, UTC_ZONE), By.STRATEGY, labels={identity(0): ["a"]})
    assert (group.key, group.net, group.trades) == ("a", Decimal(5), 0)


def test_a_group_says_how_far_it_can_be_trusted() -> None:
    view = View(stock(closed("10", "20", "-3", "0")), UTC_ZONE)
    (group,) = breakdown(view, By.SYMBOL)
    assert group.as_json() == {
        "key": "VT",
        "net_pnl": "27",
        "gross_pnl": "27",
        "costs": "0",
        "trades": 4,
        "closed_trades": 4,
        "open_trades": 0,
        "wins": 2,
        "losses": 1,
        "breakevens": 1,
        "win_rate": 0.5,
        "win_rate_low": pytest.approx(0.150039, abs=1e-6),
        "win_rate_high": pytest.approx(0.849961, abs=1e-6),
        "profit_factor": 10,
        "expectancy": "6.75",
        "expectancy_low": "-9.85650574275",
        "expectancy_high": "23.3565057427",
    }
    assert "Wilson" in CONVENTIONS["win_rate_interval"]


def test_a_single_trade_has_no_interval_of_its_mean() -> None:
    (group,) = breakdown(View(stock(closed("10")), UTC_ZONE), By.SIDE)
    assert group.expectancy_bounds is None
    assert group.as_json()["expectancy_low"] is None
    assert group.as_json()["profit_factor"] is None


def test_a_group_without_closed_trades_has_no_rate() -> None:
    (group,) = breakdown(View(stock([trade((MONDAY, "1", "0"), is_open=True)]), UTC_ZONE), By.SIDE)
    carried = group.as_json()
    assert (carried["win_rate"], carried["expectancy"], carried["win_rate_low"]) == (None, None, None)
    assert carried["open_trades"] == 1


@pytest.mark.parametrize("by", By)
def test_an_empty_ledger_has_no_groups(by: By) -> None:
    assert breakdown(View(stock([]), UTC_ZONE), by) == []


def test_currencies_are_never_added_up() -> None:
    with pytest.raises(MixedCurrencies):
        breakdown(View(ledger((STOCK, closed("1")), (EURO, closed("1"))), UTC_ZONE), By.SIDE)
