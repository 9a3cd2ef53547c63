"""The memory tier."""

from time import monotonic

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from keel.cache.coherence import Coherence
from keel.cache.counting import Group
from keel.cache.keys import names
from keel.cache.memory import CELL_BYTES, DEFAULT_LIMIT, LARGEST_SHARE, Entry, MemoryTier, charge

COHERENCE = Coherence()


def an_entry(value: object, key: str = "a:b", *tags: str, etag: object = None) -> Entry:
    now = monotonic()
    return Entry(
        value, now + 1, now + 2, now + 3, now + 4, None, *COHERENCE.observe(names(key, tags)), 0, Group(), etag=etag
    )


def test_an_entry_is_found_until_it_is_dropped() -> None:
    tier = MemoryTier()
    entry = an_entry(None)
    assert tier.put("a", entry)
    assert tier.get("a") is tier.find("a") is entry
    assert tier.drop("a")
    assert not tier.drop("a")
    assert tier.get("a") is tier.find("a") is None
    assert (tier.limit_bytes, tier.bytes, tier.entries, tier.evictions) == (DEFAULT_LIMIT, 0, 0, 0)


def test_an_entry_in_place_of_another_evicts_nothing() -> None:
    tier = MemoryTier()
    tier.put("a", an_entry(b"x" * 1000))
    tier.put("a", an_entry(b"x" * 10))
    assert (tier.entries, tier.evictions) == (1, 0)
    assert tier.bytes == charge("a", an_entry(b"x" * 10))


def test_the_longest_unread_goes_first() -> None:
    tier = MemoryTier(20_000)
    for number in range(12):
        tier.put(f"k{number}", an_entry(bytes(1000)))
        tier.find("k0")
    assert tier.find("k0") is not None
    assert tier.find("k1") is None
    assert tier.evictions == 12 - tier.entries > 0


def test_an_entry_that_would_drive_out_too_many_is_not_kept() -> None:
    tier = MemoryTier(80_000)
    tier.put("a", an_entry(bytes(80_000 // LARGEST_SHARE - 2000)))
    before = tier.bytes
    assert not tier.put("b", an_entry(bytes(80_000 // LARGEST_SHARE)))
    assert (tier.bytes, tier.entries, tier.evictions) == (before, 1, 0)


def test_what_replaced_it_is_too_large_so_the_old_one_goes() -> None:
    tier = MemoryTier(80_000)
    tier.put("a", an_entry(b""))
    assert not tier.put("a", an_entry(bytes(80_000)))
    assert (tier.get("a"), tier.bytes) == (None, 0)


def test_everything_can_be_dropped() -> None:
    tier = MemoryTier()
    for number in range(10):
        tier.put(str(number), an_entry(number))
    tier.drop_all()
    assert (tier.bytes, tier.entries, tier.evictions) == (0, 0, 0)


def test_an_etag_and_a_long_key_are_charged() -> None:
    assert charge("k" * 1000, an_entry(1)) > charge("k", an_entry(1)) + 980
    assert charge("k", an_entry(1, etag="e" * 1000)) > charge("k", an_entry(1)) + 980


def test_a_cell_is_charged_to_the_entry_that_alone_needs_it() -> None:
    first = an_entry(1, "summary:1", "user:1")
    alone = charge("summary:1", first)
    second = an_entry(1, "summary:2", "user:1")
    assert alone - charge("summary:1", first) == 2 * CELL_BYTES  # its prefix and its tag are the second one's too
    assert charge("summary:2", second) == charge("summary:1", first)


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 3000)), max_size=80))
def test_the_limit_holds_whatever_is_put(puts: list[tuple[int, int]]) -> None:
    tier, kept = MemoryTier(12_000), dict[str, Entry]()
    for key, size in puts:
        entry = an_entry(bytes(size))
        if tier.put(str(key), entry):
            kept[str(key)] = entry
            assert tier.find(str(key)) is entry
        else:
            kept.pop(str(key), None)
            assert tier.find(str(key)) is None
        assert tier.bytes <= tier.limit_bytes
    found = [entry for key, entry in kept.items() if tier.find(key) is entry]
    assert len(found) == tier.entries
    assert sum(entry.size for entry in found) == tier.bytes


class Steps(RuleBasedStateMachine):
    """Against a dict that never forgets: what the tier finds is the last that was put."""

    def __init__(self) -> None:
        super().__init__()
        self.tier = MemoryTier(15_000)
        self.model: dict[str, Entry] = {}

    @rule(key=st.sampled_from("abcdefghij"), size=st.integers(0, 2500))
    def put(self, key: str, size: int) -> None:
        entry = an_entry(bytes(size))
        if self.tier.put(key, entry):
            self.model[key] = entry
        else:
            self.model.pop(key, None)

    @rule(key=st.sampled_from("abcdefghij"))
    def drop(self, key: str) -> None:
        assert self.tier.drop(key) <= (key in self.model)
        self.model.pop(key, None)

    @rule()
    def drop_all(self) -> None:
        self.tier.drop_all()
        self.model.clear()

    @invariant()
    def finds_only_the_last(self) -> None:
        found = {key: entry for key in "abcdefghij" if (entry := self.tier.find(key)) is not None}
        assert all(entry is self.model[key] for key, entry in found.items())
        assert len(found) == self.tier.entries
        assert sum(entry.size for entry in found.values()) == self.tier.bytes <= self.tier.limit_bytes


TestSteps = Steps.TestCase


@pytest.mark.parametrize("limit", [1000, DEFAULT_LIMIT])
def test_a_hit_costs_no_python_call(limit: int) -> None:
    assert type(MemoryTier(limit).find).__name__ == "builtin_function_or_method"
