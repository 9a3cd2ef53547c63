"""Simulated paths are seeded, bounded, and tell the odds that can be worked out by hand."""

from decimal import Decimal
from itertools import pairwise

import numpy as np
import pytest

from tests.tradesense.domain.books import EURO, MONDAY, STOCK, closed, ledger, stock, trade
from tradesense.domain.ledger import MixedCurrencies
from tradesense.domain.monte_carlo import FAN_POINTS, HORIZON, MOST_PATHS, MOST_STEPS, Terms, simulate

COIN = stock(closed("10", "-10"))
THOUSAND = Decimal(1000)


def test_a_single_result_leaves_nothing_to_chance() -> None:
    found = simulate(stock(closed("-25")), Decimal(100), Terms(paths=10, trades=4, ruin=0.75))
    assert set(found.final.values()) == {-100}
    assert set(found.drawdown.values()) == {-100}
    assert found.drawdown_ratio is not None
    assert set(found.drawdown_ratio.values()) == {-1}
    assert (found.loss, found.ruin, found.why) == (1, 1, None)
    assert [(steps, set(percentiles.values())) for steps, percentiles in found.fan] == [
        (1, {-25.0}),
        (2, {-50.0}),
        (3, {-75.0}),
        (4, {-100.0}),
    ]


def test_gains_alone_have_no_drawdown() -> None:
    found = simulate(stock(closed("25")), THOUSAND, Terms(paths=10, trades=4))
    assert set(found.drawdown.values()) == {0}
    assert (found.loss, found.ruin) == (0, 0)


def test_the_odds_of_a_coin_come_out() -> None:
    found = simulate(COIN, Decimal(20), Terms(paths=10_000, trades=2, seed=7))
    assert found.loss == pytest.approx(0.25, abs=0.02)
    assert found.ruin == pytest.approx(0.25, abs=0.02)
    assert found.final == {5: -20, 25: pytest.approx(-10, abs=10), 50: 0, 75: pytest.approx(10, abs=10), 95: 20}


def test_the_paths_equal_a_loop_over_the_same_draws() -> None:
    nets = [30.0, -20.0, 5.0, -40.0]
    found = simulate(stock(closed(*map(str, nets))), Decimal(200), Terms(paths=50, trades=30, seed=3, ruin=0.5))
    drawn = np.array(nets)[np.random.default_rng(3).integers(0, 4, (50, 30))]
    finals, falls, ratios, ruined = [], [], [], 0
    for path in drawn.tolist():
        level = peak = fall = ratio = lowest = 0.0
        for net in path:
            level += net
            peak, lowest = max(peak, level), min(lowest, level)
            fall, ratio = min(fall, level - peak), min(ratio, (level + 200) / (peak + 200) - 1)
        finals.append(level)
        falls.append(fall)
        ratios.append(ratio)
        ruined += lowest <= -100
    percentiles = (5, 25, 50, 75, 95)
    assert found.final == pytest.approx(dict(zip(percentiles, np.percentile(finals, percentiles), strict=True)))
    assert found.drawdown == pytest.approx(dict(zip(percentiles, np.percentile(falls, percentiles), strict=True)))
    assert found.drawdown_ratio == pytest.approx(
        dict(zip(percentiles, np.percentile(ratios, percentiles), strict=True))
    )
    assert found.ruin == ruined / 50
    assert found.loss == sum(final < 0 for final in finals) / 50


def test_the_same_seed_gives_the_same_numbers_and_another_gives_others() -> None:
    one, again, other = (simulate(COIN, THOUSAND, Terms(trades=50, seed=seed)) for seed in (1, 1, 2))
    assert one == again
    assert one != other


def test_paths_are_as_long_as_the_ledger_up_to_the_horizon() -> None:
    assert simulate(COIN, None, Terms(paths=1)).trades == 2
    many = simulate(stock(closed(*["1", "-1"] * 600)), None, Terms(paths=1))
    assert many.trades == HORIZON
    assert len(many.fan) == FAN_POINTS
    assert many.fan[-1][0] == HORIZON
    assert all(one < two for (one, _), (two, _) in pairwise(many.fan))


def test_blocks_make_up_all_paths() -> None:
    assert simulate(stock(closed("1")), None, Terms(paths=700, trades=1000)).final[50] == 1000


def test_without_a_balance_there_are_amounts_and_a_reason() -> None:
    found = simulate(COIN, None, Terms(paths=10)).as_json()
    assert (found["max_drawdown"], found["ruin_probability"], found["reason"]) == (None, None, "no starting balance")
    assert set(found["final_net_pnl"]) == {"p5", "p25", "p50", "p75", "p95"}
    assert isinstance(found["max_drawdown_money"]["p5"], str)
    assert found["fan"][0]["trades"] == 1


def test_with_a_balance_everything_is_there() -> None:
    found = simulate(COIN, THOUSAND, Terms(paths=10)).as_json()
    assert found["reason"] is None
    assert isinstance(found["max_drawdown"]["p5"], float)


def test_a_balance_that_is_not_positive_is_no_balance() -> None:
    assert simulate(COIN, Decimal(0)).why == "equity not positive"


def test_without_closed_trades_there_is_nothing_to_draw() -> None:
    found = simulate(stock([trade((MONDAY, "1", "0"), is_open=True)]), THOUSAND)
    assert (found.trades, found.fan, found.why) == (0, [], "no closed trades")
    assert found.as_json()["loss_probability"] is None


@pytest.mark.parametrize(
    "terms",
    [
        Terms(paths=0),
        Terms(paths=MOST_PATHS + 1),
        Terms(trades=0),
        Terms(trades=MOST_STEPS + 1),
        Terms(ruin=0),
        Terms(ruin=1.1),
    ],
)
def test_terms_out_of_bounds_are_refused(terms: Terms) -> None:
    with pytest.raises(ValueError, match="must be"):
        simulate(COIN, None, terms)


def test_currencies_are_never_mixed() -> None:
    with pytest.raises(MixedCurrencies):
        simulate(ledger((STOCK, closed("1")), (EURO, closed("1"))), None)
