"""Figures by fixed buckets: added up from any number of processes, and read as percentiles without a digest."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

BOUNDS_MS: Final = (
    *(0.5, 1, 2, 3, 5, 7.5, 10, 15, 20, 30, 50, 75, 100, 150),
    *(200, 300, 500, 750, 1000, 1500, 2000, 3000, 5000, 10_000),
)
"""Upper bounds of the buckets, in ms; a last one has what took longer."""
BOUNDS_US: Final = tuple(round(bound * 1000) for bound in BOUNDS_MS)
_BUCKETS: Final = tuple(f"{number:02d}" for number in range(len(BOUNDS_MS) + 1))
TOTAL: Final = "U"
"""Microseconds in all."""
PEAK: Final = "X"
"""Microseconds of the longest."""
CLIENT_ERRORS: Final = "4"
FAILURES: Final = "5"
QUERIES: Final = "Q"
QUERIES_US: Final = "D"
CACHE: Final[Mapping[str, str]] = {"hit": "H", "stale": "S", "miss": "M"}


FIELDS: Final = (*_BUCKETS, TOTAL, PEAK, CLIENT_ERRORS, FAILURES, QUERIES, QUERIES_US, *CACHE.values())
"""All of them, in the order of a tally."""


def bucket(us: int) -> str:
    """The field of what took so many microseconds."""
    return _BUCKETS[bisect_left(BOUNDS_US, us)]


def added(fields: dict[str, int], more: Mapping[str, int]) -> None:
    """Add fields to others."""
    for name, value in more.items():
        fields[name] = max(fields.get(name, 0), value) if name == PEAK else fields.get(name, 0) + value


def summed(all_of_them: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """All fields, added up."""
    total: dict[str, int] = {}
    for fields in all_of_them:
        added(total, fields)
    return total


class Figures(msgspec.Struct, frozen=True):
    """How often something was done and how long it took, in ms. Percentiles are good to the width of a bucket."""

    count: int
    client_errors: int
    failures: int
    mean_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float
    total_ms: float
    queries: int
    queries_ms: float
    hits: int
    stale: int
    misses: int


def figures(fields: Mapping[str, int]) -> Figures:
    """What fields mean."""
    counts = [fields.get(name, 0) for name in _BUCKETS]
    count, total, most = sum(counts), fields.get(TOTAL, 0) / 1000, fields.get(PEAK, 0) / 1000
    return Figures(
        count=count,
        client_errors=fields.get(CLIENT_ERRORS, 0),
        failures=fields.get(FAILURES, 0),
        mean_ms=round(total / count, 3) if count else 0.0,
        p50_ms=quantile(counts, 0.50, most),
        p95_ms=quantile(counts, 0.95, most),
        p99_ms=quantile(counts, 0.99, most),
        max_ms=round(most, 3),
        total_ms=round(total, 3),
        queries=fields.get(QUERIES, 0),
        queries_ms=round(fields.get(QUERIES_US, 0) / 1000, 3),
        hits=fields.get(CACHE["hit"], 0),
        stale=fields.get(CACHE["stale"], 0),
        misses=fields.get(CACHE["miss"], 0),
    )


def quantile(counts: Sequence[int], share: float, most: float) -> float:
    """Where this share of what was counted is below, in ms: linear within a bucket, and never above the longest."""
    rank, below = share * sum(counts), 0
    for number, count in enumerate(counts):
        if count and below + count >= rank:
            lower = BOUNDS_MS[number - 1] if number else 0.0
            upper = BOUNDS_MS[number] if number < len(BOUNDS_MS) else max(most, lower)
            return round(min(lower + (upper - lower) * (rank - below) / count, most), 3)
        below += count
    return 0.0
