"""The marks by which copies in memory are known to be outdated."""

import gc

from keel.cache.coherence import Coherence
from keel.cache.contract import Kind
from keel.cache.keys import RECENT, names, safe

NAMES = names("portfolio:user_1:a", ("user:1",))


def test_what_is_heard_of_any_name_of_an_entry_moves_it() -> None:
    coherence = Coherence()
    for kind, name in (
        (Kind.KEY, NAMES.key),
        (Kind.TAG, "user:1"),
        (Kind.PREFIX, "portfolio:"),
        (Kind.PREFIX, "portfolio:user_1:"),
        (Kind.ROOT, ""),
    ):
        for soft in (False, True):
            seen = coherence.observe(NAMES)
            assert seen.unmoved
            coherence.hear(kind, safe(name), soft=soft)
            assert not seen.unmoved


def test_what_is_heard_of_others_moves_nothing_but_the_stamp() -> None:
    coherence = Coherence()
    seen, stamp = coherence.observe(NAMES), coherence.stamp
    coherence.hear(Kind.KEY, "portfolio:user_1:b")
    coherence.hear(Kind.TAG, "user:10")
    coherence.hear(Kind.PREFIX, "portfolio:user_10:")
    coherence.hear(Kind.TAG, "portfolio:")
    assert seen.unmoved
    assert coherence.stamp == stamp + 4


def test_tags_that_are_added_are_heard_from_then_on() -> None:
    coherence = Coherence()
    before = coherence.observe(NAMES)
    seen = coherence.add(before, ["symbol:ES"])
    coherence.hear(Kind.TAG, "symbol:ES")
    assert before.unmoved
    assert not seen.unmoved


def test_an_entry_is_heard_of_however_many_names_came_after_it() -> None:
    coherence = Coherence()
    seen = coherence.observe(NAMES)
    for number in range(RECENT + 1):
        coherence.observe(names(f"trades:{number}", ()))
    gc.collect()
    coherence.hear(Kind.TAG, "user:1")
    assert not seen.unmoved
    assert coherence.observe(NAMES).cells[-1] is seen.cells[-1]
