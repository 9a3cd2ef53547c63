"""Buckets: ranges of a continuous property, each from its lower edge to just below its upper one."""

from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np

from tradesense.domain.columns import Floats, Ints


class Buckets(NamedTuple):
    """Rising edges and the key of each range: one below the first edge, one between any two, one from the last."""

    edges: tuple[float, ...]
    keys: tuple[str, ...]

    def place(self, values: Floats) -> Ints:
        """The number of the range that holds each value."""
        return np.searchsorted(np.array(self.edges), values, side="right")


def _buckets(edges: tuple[float, ...], names: tuple[str, ...]) -> Buckets:
    between = (f"{low} to {high}" for low, high in pairwise(names))
    return Buckets(edges, (f"below {names[0]}", *between, f"{names[-1]} or more"))


_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86400.0
_STEPS: Final = (0.01, 0.1, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000)

HOLDING_S: Final = _buckets(
    (_MINUTE, 5 * _MINUTE, 15 * _MINUTE, _HOUR, 4 * _HOUR, _DAY, 7 * _DAY, 30 * _DAY),
    ("1 min", "5 min", "15 min", "1 h", "4 h", "1 d", "7 d", "30 d"),
)
SIZE: Final = _buckets(_STEPS, tuple(f"{step:g}" for step in _STEPS))
PRICE: Final = SIZE
R: Final = _buckets((-3, -2, -1, 0, 1, 2, 3, 5), ("-3 R", "-2 R", "-1 R", "0 R", "1 R", "2 R", "3 R", "5 R"))
