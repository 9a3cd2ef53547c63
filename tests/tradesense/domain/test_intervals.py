"""Confidence intervals equal those of the literature and of scipy."""

import math

import numpy as np
import pytest
from scipy import stats  # type: ignore[import-untyped]

from tradesense.domain.intervals import mean_margin, student, wilson


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 5, 6, 9, 20, 100, 5000])
def test_students_quantile_equals_scipys(freedom: int) -> None:
    assert student(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), rel=1e-6)


def test_no_degree_of_freedom_has_no_quantile() -> None:
    assert math.isnan(student(0))


@pytest.mark.parametrize(("wins", "trades"), [(0, 1), (1, 1), (7, 10), (0, 40), (512, 1000)])
def test_the_interval_of_a_rate_is_wilsons(wins: int, trades: int) -> None:
    expected = stats.binomtest(wins, trades).proportion_ci(0.95, method="wilson")
    low, high = wilson(np.array([wins]), np.array([trades]))
    assert (low[0], high[0]) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_the_interval_of_a_mean_is_students() -> None:
    samples = [[1.0, 2.0, 4.0], [10.0, -3.0], [5.0], list(map(float, range(30)))]
    counts = np.array([len(sample) for sample in samples])
    squares = np.array([float(np.var(sample) * len(sample)) for sample in samples])
    margins = mean_margin(squares, counts)
    for sample, margin in zip(samples, margins, strict=True):
        if len(sample) < 2:
            assert math.isnan(margin)
        else:
            low, high = stats.t.interval(0.95, len(sample) - 1, np.mean(sample), stats.sem(sample))
            assert 2 * margin == pytest.approx(high - low, rel=1e-6)


def test_no_trials_have_no_interval() -> None:
    assert all(math.isnan(bound[0]) for bound in wilson(np.array([0]), np.array([0])))
