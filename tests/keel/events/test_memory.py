"""What the memory of one process forgets, and when."""

import pytest

from keel.events import memory
from keel.events.contract import EPOCH_S, HISTORY_S, REPEATED_S, Place
from keel.events.memory import MOST_RESUMED, MemoryBroker


class Hands:
    """A clock that is turned."""

    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Hands:
    hands = Hands()
    monkeypatch.setattr(memory, "monotonic", hands)
    return hands


async def test_history_is_forgotten_after_a_while_and_the_count_later(clock: Hands) -> None:
    broker = MemoryBroker()
    first = await broker.publish("a", b"1", None)
    last = await broker.publish("a", b"2", None)
    clock.at += HISTORY_S + 1
    await broker.publish("b", b"1", None)
    assert not broker._counts["a"].history
    assert not (await broker.resume("a", first)).recovered
    assert (await broker.resume("a", last)).recovered
    assert (await broker.publish("a", b"3", None)).offset == 3
    clock.at += EPOCH_S + 1
    await broker.publish("b", b"1", None)
    assert list(broker._counts) == ["b"]
    assert not (await broker.resume("a", last)).recovered


async def test_history_expires_between_sweeps(clock: Hands) -> None:
    broker = MemoryBroker(history_s=1.0)
    first = await broker.publish("a", b"1", None)
    clock.at += 2
    assert (await broker.resume("a", Place(first.epoch, 0))).recovered is False
    await broker.publish("a", b"2", None)
    clock.at += 2
    assert (await broker.publish("a", b"3", None)).offset == 3
    assert list(broker._counts["a"].history) == [b"3"]


async def test_keys_are_known_for_a_while(clock: Hands) -> None:
    broker = MemoryBroker()
    first = await broker.publish("a", b"1", "key")
    assert await broker.publish("a", b"2", "key") == first
    clock.at += REPEATED_S + 1
    await broker.publish("b", b"1", None)
    assert (await broker.publish("a", b"2", "key")).offset == 2


async def test_history_is_bounded_by_bytes() -> None:
    broker = MemoryBroker()
    for _ in range(20):
        await broker.publish("a", b"x" * 60_000, None)
    assert broker._counts["a"].history_bytes <= MOST_RESUMED
    assert len(broker._counts["a"].history) == MOST_RESUMED // 60_000
