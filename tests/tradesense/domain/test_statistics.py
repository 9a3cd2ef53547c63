"""Statistics equal their definitions, empyrical's, and the values that it is tested against."""

import math
import warnings
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradesense.domain import statistics

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import empyrical

REFERENCE = np.array([1, 10, -4, 2, 3, 2, 1, -10]) / 100

series = st.lists(
    st.floats(-0.2, 0.2, allow_subnormal=False).map(lambda value: round(value, 6)), min_size=2, max_size=300
)
results = st.lists(st.integers(-5000, 5000).map(float), max_size=60)

PEERS: dict[str, tuple[Callable[[Any], float | None], Callable[[Any], float]]] = {
    "sharpe": (statistics.sharpe, empyrical.sharpe_ratio),
    "sortino": (statistics.sortino, empyrical.sortino_ratio),
    "calmar": (statistics.calmar, empyrical.calmar_ratio),
    "max_drawdown": (statistics.max_drawdown, empyrical.max_drawdown),
    "cagr": (statistics.cagr, empyrical.annual_return),
    "volatility": (statistics.volatility, empyrical.annual_volatility),
    "var": (statistics.var, empyrical.value_at_risk),
    "cvar": (statistics.cvar, empyrical.conditional_value_at_risk),
    "tail_ratio": (statistics.tail_ratio, empyrical.tail_ratio),
}


def test_the_reference_series_gives_the_reference_values() -> None:
    assert statistics.sharpe(REFERENCE) == pytest.approx(1.7238613961706866, abs=1e-9)
    assert statistics.sortino(REFERENCE) == pytest.approx(2.605531251673693, abs=1e-9)
    assert statistics.max_drawdown(REFERENCE) == pytest.approx(-0.10, abs=1e-9)


@pytest.mark.parametrize("name", PEERS)
@given(returns=series)
def test_a_statistic_of_returns_equals_empyricals(name: str, returns: list[float]) -> None:
    ours, theirs = PEERS[name]
    found = ours(returns)
    with np.errstate(all="ignore"):
        expected = theirs(np.array(returns))
    if found is None:
        assert not np.isfinite(expected) or min(returns) == max(returns)
    else:
        assert found == pytest.approx(expected, rel=1e-9, abs=1e-9)


@given(series, st.floats(0, 0.01))
def test_risk_free_and_required_return_are_empyricals(returns: list[float], rate: float) -> None:
    found = statistics.sharpe(returns, risk_free=rate), statistics.sortino(returns, required=rate)
    if None not in found:
        expected = empyrical.sharpe_ratio(np.array(returns), rate), empyrical.sortino_ratio(np.array(returns), rate)
        assert found == pytest.approx(expected, rel=1e-9, abs=1e-9)


@given(results)
def test_statistics_of_results_equal_their_definitions(net: list[float]) -> None:
    wins, losses = [value for value in net if value > 0], [value for value in net if value < 0]
    assert statistics.win_rate(net) == (len(wins) / len(net) if net else None)
    assert statistics.profit_factor(net) == (pytest.approx(sum(wins) / -sum(losses)) if losses else None)
    assert statistics.expectancy(net) == (pytest.approx(sum(net) / len(net)) if net else None)
    if wins and losses:
        payoff = (sum(wins) / len(wins)) / (-sum(losses) / len(losses))
        share = len(wins) / (len(wins) + len(losses))
        assert statistics.payoff_ratio(net) == pytest.approx(payoff)
        assert statistics.kelly(net) == pytest.approx(share - (1 - share) / payoff)
    else:
        assert statistics.payoff_ratio(net) is None
        assert statistics.kelly(net) is None


@given(results)
def test_sqn_equals_its_definition(net: list[float]) -> None:
    found = statistics.sqn(net)
    if len(set(net)) < 2:
        assert found is None
        return
    mean = sum(net) / len(net)
    deviation = math.sqrt(sum((value - mean) ** 2 for value in net) / (len(net) - 1))
    assert found == pytest.approx(math.sqrt(len(net)) * mean / deviation)


def runs(net: list[float]) -> tuple[int, int, int]:
    best = worst = run = 0
    for value in net:
        sign = (value > 0) - (value < 0)
        run = run + sign if run * sign > 0 else sign
        best, worst = max(best, run), max(worst, -run)
    return best, worst, run


@given(st.lists(st.sampled_from([-1.5, 0.0, 2.0])))
def test_streaks_equal_a_count(net: list[float]) -> None:
    assert statistics.streaks(net) == runs(net)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 20))))
def test_exposure_counts_overlapping_trades_once(spans: list[tuple[int, int]]) -> None:
    opened, closed = [start for start, _ in spans], [start + length for start, length in spans]
    busy = {moment for start, length in spans for moment in range(start, start + length)}
    whole = max(closed, default=0) - min(opened, default=0)
    assert statistics.exposure(opened, closed) == (pytest.approx(len(busy) / whole) if whole else None)


def test_decimals_are_taken_as_results() -> None:
    assert statistics.profit_factor([Decimal(30), Decimal("-12.5")]) == pytest.approx(2.4)


@pytest.mark.parametrize("function", [ours for ours, _ in PEERS.values()])
def test_no_returns_give_nothing(function: Callable[[Any], float | None]) -> None:
    assert function([]) is None


def test_a_single_return_has_no_variation() -> None:
    assert statistics.sharpe([0.01]) is None
    assert statistics.volatility([0.01]) is None


def test_equal_returns_have_no_variation() -> None:
    assert statistics.sharpe([0.1, 0.1, 0.1]) is None
    assert statistics.sqn([10.1, 10.1, 10.1]) is None


def test_growth_without_a_loss_has_neither_sortino_nor_calmar() -> None:
    assert statistics.sortino([0.01, 0.02]) is None
    assert statistics.calmar([0.01, 0.02]) is None
    assert statistics.max_drawdown([0.01, 0.02]) == 0


def test_losing_everything_is_minus_one_hundred_percent_a_year() -> None:
    assert statistics.cagr([0.1, -1.0, 0.1]) == -1.0


def test_losing_more_than_everything_has_no_growth_rate() -> None:
    assert statistics.cagr([0.1, -1.2]) is None
    assert statistics.calmar([0.1, -1.2]) is None


def test_a_growth_rate_beyond_all_numbers_is_undefined() -> None:
    assert statistics.cagr([100.0]) is None


def test_the_ulcer_index_is_the_root_of_the_mean_squared_drawdown() -> None:
    assert statistics.ulcer_index([0.1, -0.1, -0.1]) == pytest.approx(math.sqrt((0.1**2 + 0.19**2) / 3))
    assert statistics.ulcer_index([]) is None


def test_tails_need_a_lower_one() -> None:
    assert statistics.tail_ratio([0.0, 0.0, 0.0, 0.1]) is None


def test_recovery_and_consistency_follow_their_definitions() -> None:
    assert statistics.recovery_factor(300.0, -150.0) == 2
    assert statistics.recovery_factor(300.0, 0.0) is None
    assert statistics.consistency([50.0, 100.0, -20.0]) == pytest.approx(100 / 130)
    assert statistics.consistency([-1.0]) is None
    assert statistics.consistency([]) is None
