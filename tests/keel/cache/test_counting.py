"""Counters by the first word of a key."""

from keel.cache.counting import MOST_GROUPS, Counters


def test_groups_are_bounded_and_the_rest_is_counted_together() -> None:
    counters = Counters()
    for number in range(MOST_GROUPS + 50):
        counters.of(f"group{number}:a").misses += 1
    total, groups = counters.stats()
    assert total.misses == MOST_GROUPS + 50
    assert len(groups) == MOST_GROUPS + 1
    assert groups["other"].misses == 50
    assert total.hit_rate == 0.0
