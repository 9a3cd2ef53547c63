"""Figures: percentiles from buckets, to the width of one."""

from hypothesis import given
from hypothesis import strategies as st

from keel.store.figures import BOUNDS_MS, PEAK, TOTAL, added, bucket, figures, quantile, summed

microseconds = st.integers(0, 20_000_000)


def fields_of(took: list[int]) -> dict[str, int]:
    fields: dict[str, int] = {}
    for us in took:
        added(fields, {bucket(us): 1, TOTAL: us, PEAK: us})
    return fields


def test_nothing_has_no_percentiles() -> None:
    found = figures({})
    assert (found.count, found.mean_ms, found.p50_ms, found.p99_ms, found.max_ms) == (0, 0, 0, 0, 0)


def test_a_bucket_has_what_is_as_long_as_its_bound() -> None:
    assert [bucket(us) for us in (0, 500, 501, 1000, 10_000_000, 10_000_001)] == ["00", "00", "01", "01", "23", "24"]


def test_percentiles_are_linear_within_a_bucket() -> None:
    assert quantile([0, 0, 0, 0, 100, *[0] * 20], 0.5, 5.0) == 4.0
    assert quantile([*[0] * len(BOUNDS_MS), 4], 0.5, 30_000) == 20_000.0


@given(st.lists(microseconds, min_size=1, max_size=50), st.sampled_from([0.5, 0.95, 0.99]))
def test_a_percentile_lies_in_the_bucket_of_the_exact_one(took: list[int], share: float) -> None:
    fields = fields_of(took)
    counts = [fields.get(f"{number:02d}", 0) for number in range(len(BOUNDS_MS) + 1)]
    exact = sorted(took)[max(-(-int(share * 100) * len(took) // 100) - 1, 0)]
    found_ms = quantile(counts, share, max(took) / 1000)
    lower = 0.0 if exact <= 500 else max(bound for bound in BOUNDS_MS if bound * 1000 < exact)
    upper = max(took) / 1000 if exact > 10_000_000 else min(bound for bound in BOUNDS_MS if bound * 1000 >= exact)
    assert lower - 0.001 <= found_ms <= upper + 0.001


@given(st.lists(microseconds, max_size=20), st.lists(microseconds, max_size=20))
def test_figures_of_two_are_those_of_both(some: list[int], others: list[int]) -> None:
    assert summed([fields_of(some), fields_of(others)]) == fields_of(some + others)
