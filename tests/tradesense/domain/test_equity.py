"""Equity, drawdowns and daily returns follow their conventions."""

from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tradesense.domain.books import EURO, MONDAY, STOCK, closed, ledger, stock, trade
from tradesense.domain.days import View
from tradesense.domain.equity import Capital, Drawdown, Returns, curve, daily_returns
from tradesense.domain.ledger import MixedCurrencies
from tradesense.domain.metrics import NO_BALANCE, NOT_POSITIVE, NOTHING_REALISED
from tradesense.domain.trades import Trade

UTC_ZONE = ZoneInfo("UTC")
DAY = timedelta(days=1)


def view(trades: list[Trade]) -> View:
    return View(stock(trades), UTC_ZONE)


def on(day: int) -> date:
    return date(2026, 3, day)


def returns(trades: list[Trade], capital: Capital) -> Returns:
    found = daily_returns(view(trades).daily, capital)
    assert isinstance(found, Returns)
    return found


def span(drawdown: Drawdown | None) -> tuple[object, ...]:
    assert drawdown is not None
    return tuple(drawdown)


def test_equity_starts_the_day_before_and_closes_each_day() -> None:
    points = curve(view(closed("100", "-50", "25")), Capital(Decimal(1000))).points()
    assert [point.day for point in points] == [on(1), on(2), on(3), on(4)]
    assert [point.equity for point in points] == [1000, 1100, 1050, 1075]
    assert [point.net for point in points] == [0, 100, 50, 75]
    assert [point.drawdown for point in points] == pytest.approx([0, 0, -50 / 1100, -25 / 1100])
    assert [point.drawdown_money for point in points] == [0, 0, -50, -25]
    assert points[2].as_json() == {
        "day": "2026-03-03",
        "net_pnl": "50",
        "equity": "1050",
        "drawdown": pytest.approx(-50 / 1100),
        "drawdown_money": "-50",
    }


def test_without_a_balance_there_is_a_curve_of_net_alone() -> None:
    found = curve(view(closed("100", "-50")), None)
    assert [point.as_json()["equity"] for point in found.points()] == [None, None, None]
    assert found.drawdown() is None
    assert found.why == daily_returns(view(closed("1")).daily, None) == NO_BALANCE
    assert found.drawdown_money() == Drawdown(Decimal(-50), on(2), on(3), None)


def test_a_drawdown_knows_its_peak_trough_and_recovery() -> None:
    found = curve(view(closed("100", "-30", "-40", "20", "50", "-60")), Capital(Decimal(1000)))
    assert found.drawdown_money() == Drawdown(Decimal(-70), on(2), on(4), on(6))
    assert span(found.drawdown()) == (pytest.approx(1030 / 1100 - 1), on(2), on(4), on(6))


def test_the_starting_point_is_a_peak_too() -> None:
    found = curve(view(closed("-30", "10")), Capital(Decimal(1000)))
    assert span(found.drawdown()) == (pytest.approx(-0.03), on(1), on(2), None)


def test_a_fall_starts_at_the_last_day_of_its_peak() -> None:
    found = curve(view(closed("10", "0", "-5")), None)
    assert found.drawdown_money() == Drawdown(Decimal(-5), on(3), on(4), None)


def test_growth_alone_has_no_drawdown() -> None:
    found = curve(view(closed("1", "2")), Capital(Decimal(1000)))
    assert found.drawdown() == Drawdown(0.0)
    assert found.drawdown_money() == Drawdown(Decimal(0))


def test_nothing_realised_is_an_empty_curve() -> None:
    found = curve(view([]), Capital(Decimal(1000)))
    assert found.points() == []
    assert found.why == NOTHING_REALISED
    assert found.drawdown() is None
    assert found.drawdown_money() is None
    assert daily_returns(view([]).daily, Capital(Decimal(1000))) == NOTHING_REALISED


def test_mondays_to_fridays_count_with_and_without_trades() -> None:
    found = returns(closed("100", "110", every=7 * DAY), Capital(Decimal(1000)))
    assert found.values == pytest.approx([0.1, 0, 0, 0, 0, 0.1])
    assert found.periods == 252


def test_with_an_exit_on_a_weekend_every_day_counts() -> None:
    found = returns(closed("100", "110", start=MONDAY + 4 * DAY, every=2 * DAY), Capital(Decimal(1000)))
    assert found.values == pytest.approx([0.1, 0, 0.1])
    assert found.periods == 365


def test_a_result_that_dwarfs_the_balance_leaves_it_what_it_was() -> None:
    found = returns(closed("3000000000000000000", "1"), Capital(Decimal("0.1")))
    assert found.values.tolist() == pytest.approx([3e19, 1 / 3e18])


def test_a_partial_exit_of_an_open_trade_counts_on_its_day() -> None:
    partly = trade((MONDAY, "60", "10"), is_open=True, open_costs="5")
    assert returns([partly], Capital(Decimal(1000))).values == pytest.approx([0.05])


def test_a_deposit_enlarges_the_capital_of_its_day_and_is_no_gain() -> None:
    capital = Capital(Decimal(1000), {on(3): Decimal(1000), on(1): Decimal(500), on(20): Decimal(7)})
    trades = closed("150", "-265")
    assert returns(trades, capital).values == pytest.approx([0.1, -265 / 2650])
    found = curve(view(trades), capital)
    assert found.days == [on(1), on(2), on(3), on(20)]
    assert found.equity == list(map(Decimal, [1500, 1650, 2385, 2392]))
    assert span(found.drawdown()) == (pytest.approx(-0.1), on(2), on(3), None)


def test_a_withdrawal_is_no_drawdown() -> None:
    capital = Capital(Decimal(1000), {on(3): Decimal(-500)})
    found = curve(view(closed("0", "10")), capital)
    assert found.equity == list(map(Decimal, [1000, 1000, 510]))
    assert found.drawdown() == Drawdown(0.0)


def test_a_flow_at_the_weekend_belongs_to_monday() -> None:
    capital = Capital(Decimal(1000), {on(7): Decimal(1000)})
    assert returns(closed("0", "200", every=7 * DAY), capital).values == pytest.approx([0, 0, 0, 0, 0, 0.1])


@pytest.mark.parametrize("starting", ["0", "-5", "100"])
def test_equity_that_is_not_positive_has_no_returns(starting: str) -> None:
    trades = closed("-100", "300")
    assert daily_returns(view(trades).daily, Capital(Decimal(starting))) == NOT_POSITIVE


def test_a_drawdown_below_zero_equity_is_more_than_everything() -> None:
    found = curve(view(closed("-150", "300")), Capital(Decimal(100)))
    assert found.drawdown() == Drawdown(-1.5, on(1), on(2), on(3))
    assert curve(view(closed("1")), Capital(Decimal(0))).why == NOT_POSITIVE


def test_flows_into_a_lost_account_give_no_ratio() -> None:
    found = curve(view(closed("-150", "300")), Capital(Decimal(100), {on(3): Decimal(100)}))
    assert (found.wealth, found.why) == (None, NOT_POSITIVE)


def test_a_period_starts_with_what_came_before() -> None:
    capital = Capital(Decimal(1000), {on(2): Decimal(10), on(3): Decimal(20), on(4): Decimal(40)})
    found = capital.at(on(4), stock(closed("1", "2", "4")), UTC_ZONE)
    assert found == Capital(Decimal(1033), {on(4): Decimal(40)})


def test_the_capital_of_several_currencies_is_none() -> None:
    mixed = ledger((STOCK, closed("1")), (EURO, closed("1")))
    with pytest.raises(MixedCurrencies):
        Capital(Decimal(1)).at(on(4), mixed, UTC_ZONE)


amounts = st.lists(st.decimals(min_value=-50, max_value=60, places=2), min_size=1, max_size=15)


@given(amounts)
def test_drawdowns_equal_their_definition_in_fractions(nets: list[Decimal]) -> None:
    found = curve(view(closed(*map(str, nets))), Capital(Decimal(1000)))
    levels = [Fraction(1000)]
    for net in nets:
        levels.append(levels[-1] + Fraction(net))
    peaks = [max(levels[: place + 1]) for place in range(len(levels))]
    ratio, cash = found.drawdown(), found.drawdown_money()
    assert ratio is not None
    assert cash is not None
    assert ratio.depth == pytest.approx(float(min(now / peak - 1 for now, peak in zip(levels, peaks, strict=True))))
    assert Fraction(cash.depth) == min(now - peak for now, peak in zip(levels, peaks, strict=True))


@given(amounts)
def test_compounded_returns_are_the_growth_of_equity(nets: list[Decimal]) -> None:
    found = returns(closed(*map(str, nets)), Capital(Decimal(1000)))
    assert np.prod(1 + found.values) == pytest.approx(1 + float(sum(nets)) / 1000)


@given(amounts, st.integers(0, 14), st.decimals(min_value=-100, max_value=100, places=2))
def test_flows_leave_every_days_return_to_its_own_capital(nets: list[Decimal], place: int, flow: Decimal) -> None:
    day = (MONDAY + place * DAY).date()
    capital = Capital(Decimal(1000), {day: flow})
    found = returns(closed(*map(str, nets)), capital)
    dates = [(MONDAY + number * DAY).date() for number in range(len(nets))]
    expected, equity = [], Decimal(1000)
    for now, net in zip(dates, nets, strict=True):
        equity += flow if now == day else 0
        expected.append(float(net) / float(equity))
        equity += net
    kept = [value for value, now in zip(expected, dates, strict=True) if found.periods == 365 or now.weekday() < 5]
    assert found.values == pytest.approx(kept)
