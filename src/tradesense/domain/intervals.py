"""Confidence intervals at 95 %: how far a rate or a mean of few trades can be trusted."""

import math
from statistics import NormalDist
from types import MappingProxyType
from typing import Final

import numpy as np

from tradesense.domain.columns import Floats, Ints

CONFIDENCE: Final = 0.95

_TAILS: Final = 1.0 - CONFIDENCE
_Z: Final = -NormalDist().inv_cdf(_TAILS / 2)
_FEW: Final = MappingProxyType(
    {1: 12.706204736432095, 2: 4.302652729911275, 3: 3.182446305284263, 4: 2.7764451051977987}
)


def wilson(successes: Ints, trials: Ints) -> tuple[Floats, Floats]:
    """The score interval of a rate, nan where there are no trials.

    E. B. Wilson, Probable Inference, Journal of the American Statistical Association 22 (1927).
    """
    count = np.where(trials > 0, trials, np.nan)
    rate = successes / count
    centre = rate + _Z**2 / (2 * count)
    spread = _Z * np.sqrt(rate * (1 - rate) / count + (_Z / (2 * count)) ** 2)
    return (centre - spread) / (1 + _Z**2 / count), (centre + spread) / (1 + _Z**2 / count)


def mean_margin(deviations: Floats, counts: Ints) -> Floats:
    """Half the width of Student's interval of a mean, from the sum of squared deviations; nan below two values.

    "Student", The Probable Error of a Mean, Biometrika 6 (1908). It supposes that the mean is about normal, which
    results with fat tails need many trades for.
    """
    distinct, places = np.unique(counts, return_inverse=True)
    quantiles = np.array([student(int(count) - 1) for count in distinct], np.float64)[places]
    count = np.where(counts > 1, counts, np.nan)
    margin: Floats = quantiles * np.sqrt(deviations / (count - 1) / count)
    return margin


def student(freedom: int) -> float:
    """The two-tailed 95 % quantile of Student's t, right to a millionth; nan below one degree of freedom.

    G. W. Hill, Algorithm 396, Communications of the ACM 13 (1970): the expansion around the normal quantile, which is
    the one it takes at 95 % from four degrees of freedom on.
    """
    if freedom < 1:
        return math.nan
    if freedom in _FEW:
        return _FEW[freedom]
    n, x = float(freedom), -_Z
    a = 1.0 / (n - 0.5)
    b = 48.0 / a**2
    c = ((20700 * a / b - 98) * a - 16) * a + 96.36
    d = ((94.5 / (b + c) - 3) / b + 1) * math.sqrt(a * math.pi / 2) * n
    c = (((0.05 * d * x - 5) * x - 7) * x - 2) * x + b + c
    y = (((((0.4 * _Z**2 + 6.3) * _Z**2 + 36) * _Z**2 + 94.5) / c - _Z**2 - 3) / b + 1) * x
    return math.sqrt(n * math.expm1(a * y**2))
