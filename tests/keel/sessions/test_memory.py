"""Copies of sessions in memory: bounded, the least used go first, and none while it may be wrong."""

from datetime import timedelta

import pytest

from keel.sessions.contract import Kept, Lifetimes, SessionExpired, SessionUnknown
from keel.sessions.memory import LocalCopies, MemorySessions
from tests.application import Hands

LIFETIMES = Lifetimes()


def kept(number: int) -> Kept:
    return Kept.begun(bytes([number]) * 32, str(number), "7", {}, LIFETIMES, Hands().now())


def test_the_least_used_copies_go() -> None:
    copies = LocalCopies(most=2)
    first, second, third = (kept(number) for number in range(3))
    copies.keep(first, copies.stamp)
    copies.keep(second, copies.stamp)
    assert copies.find(first.token_hash) is not None
    copies.keep(third, copies.stamp)
    assert [copies.find(each.token_hash) is not None for each in (first, second, third)] == [True, False, True]


def test_nothing_is_kept_that_was_read_before_something_ended_or_while_ends_may_go_unheard() -> None:
    copies = LocalCopies()
    stamp = copies.stamp
    copies.forget([b"another"])
    copies.keep(kept(1), stamp)
    assert copies.find(kept(1).token_hash) is None
    copies.trust(trusted=False)
    copies.keep(kept(1), copies.stamp)
    assert copies.find(kept(1).token_hash) is None
    copies.trust(trusted=True)
    copies.keep(kept(1), copies.stamp)
    assert copies.find(kept(1).token_hash) is not None


def test_a_use_is_noted_in_the_copy_that_it_was_made_of_alone() -> None:
    copies = LocalCopies()
    copies.keep(kept(1), copies.stamp)
    copy = copies.find(kept(1).token_hash)
    assert copy is not None
    copies.forget_all()
    copies.note(copy, copy.kept)
    assert copies.find(kept(1).token_hash) is None


async def test_what_can_live_no_more_is_forgotten_by_a_store_in_memory() -> None:
    clock = Hands()
    store = MemorySessions(clock, LIFETIMES, lambda _hashes: None)
    await store.add(b"1", "7", {})
    clock.forward(LIFETIMES.idle)
    with pytest.raises(SessionExpired):
        await store.find(b"1")
    clock.forward(LIFETIMES.absolute + timedelta(seconds=1))
    await store.add(b"2", "7", {})
    with pytest.raises(SessionUnknown):
        await store.find(b"1")
