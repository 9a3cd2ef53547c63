"""The histogram has every closed trade once, between round edges."""

from decimal import Decimal
from itertools import pairwise
from statistics import stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import skew  # type: ignore[import-untyped]

from tests.tradesense.domain.books import EURO, MONDAY, STOCK, closed, ledger, stock, trade
from tradesense.domain.distribution import MOST_BINS, distribution
from tradesense.domain.estimates import estimate
from tradesense.domain.ledger import MixedCurrencies
from tradesense.domain.money import ZERO, exact

results = st.lists(
    st.one_of(
        st.decimals(min_value=-500, max_value=500, places=2),
        st.decimals(min_value=-(10**9), max_value=10**9, places=4),
        st.decimals(min_value="-0.0001", max_value="0.0001", places=9),
    ),
    min_size=1,
    max_size=150,
)


@given(results)
def test_every_result_lies_in_its_bin(nets: list[Decimal]) -> None:
    found = distribution(stock(closed(*map(str, nets))))
    for bin_ in found.bins:
        inside = [
            net for net in nets if (bin_.low is None or net >= bin_.low) and (bin_.high is None or net < bin_.high)
        ]
        assert bin_.trades == len(inside)
        with exact():
            assert bin_.net == sum(inside, ZERO)
    assert sum(bin_.trades for bin_ in found.bins) == len(nets)
    assert len(found.bins) <= MOST_BINS


@given(results)
def test_bins_touch_are_equally_wide_and_round(nets: list[Decimal]) -> None:
    bins = [bin_ for bin_ in distribution(stock(closed(*map(str, nets)))).bins if None not in bin_]
    edges = [(bin_.low or ZERO, bin_.high or ZERO) for bin_ in bins]
    with exact():
        widths = {high - low for low, high in edges}
    assert len(widths) == 1
    assert all(high == low for (_, high), (low, _) in pairwise(edges))
    assert widths.pop().normalize().as_tuple().digits in {(1,), (2,), (5,)}


def test_a_histogram_worked_out_by_hand() -> None:
    found = distribution(stock([*closed("-10", "-1", "0", "1", "9.99", "10"), trade((MONDAY, "7", "0"), is_open=True)]))
    assert found.as_json() == {
        "bins": [
            {"from": "-10", "to": "0", "trades": 2, "net_pnl": "-11"},
            {"from": "0", "to": "10", "trades": 3, "net_pnl": "10.99"},
            {"from": "10", "to": "20", "trades": 1, "net_pnl": "10"},
        ],
        "percentiles": {
            "p1": "-9.55",
            "p5": "-7.75",
            "p25": "-0.75",
            "p50": "0.5",
            "p75": "7.7425",
            "p95": "9.9975",
            "p99": "9.9995",
        },
        "mean": "1.665",
        "standard_deviation": estimate(stdev([-10, -1, 0, 1, 9.99, 10])),
        "skewness": pytest.approx(skew([-10, -1, 0, 1, 9.99, 10])),
    }


def test_outliers_lie_in_bins_without_an_end() -> None:
    nets = [str(place % 10) for place in range(998)]
    found = distribution(stock(closed("-1000000", *nets, "1000000"))).bins
    assert (found[0].low, found[0].trades) == (None, 1)
    assert (found[-1].high, found[-1].trades) == (None, 1)


def test_equal_results_have_one_bin_and_no_skewness() -> None:
    found = distribution(stock(closed("5", "5")))
    assert [(bin_.low, bin_.high, bin_.trades) for bin_ in found.bins] == [(Decimal(5), Decimal(6), 2)]
    assert (found.deviation, found.skewness) == (0, None)


def test_one_result_has_no_deviation() -> None:
    assert distribution(stock(closed("5"))).as_json()["standard_deviation"] is None


def test_no_closed_trade_has_no_distribution() -> None:
    assert distribution(stock([])).as_json() == {
        "bins": [],
        "percentiles": {},
        "mean": None,
        "standard_deviation": None,
        "skewness": None,
    }


def test_currencies_are_never_mixed() -> None:
    with pytest.raises(MixedCurrencies):
        distribution(ledger((STOCK, closed("1")), (EURO, closed("1"))))


def test_an_estimate_has_twelve_digits_and_no_exponent() -> None:
    assert [estimate(value) for value in (0.1 + 0.2, 1e15, -0.0, 1.5e-7)] == [
        "0.3",
        "1000000000000000",
        "0",
        "0.00000015",
    ]
