"""In what order things are done when a server comes back, told by a shared tier that writes down what it is asked."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from time import monotonic
from typing import cast

import pytest

from keel.cache import standing as module
from keel.cache.coherence import Coherence
from keel.cache.contract import Kind, Mark, SharedTier
from keel.cache.keys import ServerKeys, names
from keel.cache.memory import MemoryTier
from keel.cache.standing import REPLAYED_S, Mode, Standing
from keel.redis.contract import CommandRefused, RedisUnavailable
from keel.tasks import Tasks
from tests.keel.cache.sources import until

TAG = Mark(Kind.TAG, "user:1")
KEYS = ServerKeys("test")


@dataclass
class Diary:
    """A shared tier of which only what changes it is used."""

    entries: list[object] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    async def invalidate(self, marks: Iterable[Mark]) -> None:
        await self._answer(list(marks))

    async def enter(self, identity: str) -> None:
        await self._answer(identity)

    async def _answer(self, entry: object) -> None:
        self.entries.append(entry)
        await self.gate.wait()
        if self.errors:
            raise self.errors.pop(0)


@pytest.fixture
def diary() -> Diary:
    diary = Diary()
    diary.gate.set()
    return diary


@pytest.fixture
def coherence() -> Coherence:
    return Coherence()


@pytest.fixture
async def standing(diary: Diary, coherence: Coherence) -> AsyncIterator[Standing]:
    async with Tasks() as tasks:
        yield Standing(cast("SharedTier", diary), KEYS, coherence, MemoryTier(), tasks)


def is_in(mode: Mode, standing: Standing) -> bool:
    return standing.mode is mode


async def settled(standing: Standing) -> None:
    await until(lambda: standing.is_open)


async def test_it_opens_after_the_identity_is_known_and_all_is_made_good(standing: Standing, diary: Diary) -> None:
    assert not await standing.invalidate([TAG])
    diary.gate.clear()
    standing.went_up("one")
    await until(lambda: diary.entries == ["one"])
    assert is_in(Mode.OUTAGE, standing)
    diary.gate.set()
    await settled(standing)
    assert diary.entries == ["one", [TAG]]
    assert is_in(Mode.GAP, standing)
    standing.live()
    assert is_in(Mode.LIVE, standing)


async def test_what_was_invalidated_a_short_while_ago_is_so_again(
    standing: Standing, diary: Diary, monkeypatch: pytest.MonkeyPatch
) -> None:
    standing.went_up("one")
    await settled(standing)
    assert await standing.invalidate([TAG])
    standing.went_up("one")
    await settled(standing)
    assert diary.entries == ["one", [TAG], "one", [TAG]]
    later = monotonic() + REPLAYED_S + 1
    monkeypatch.setattr(module, "monotonic", lambda: later)
    standing.went_up("two")
    await settled(standing)
    assert diary.entries[4:] == ["two"]
    other = Mark(Kind.KEY, "a")
    assert await standing.invalidate([other])
    standing.went_up("two")
    await settled(standing)
    assert diary.entries[5:] == [[other], "two", [other]]


async def test_what_is_invalidated_while_it_is_made_good_is_made_good_again(standing: Standing, diary: Diary) -> None:
    await standing.invalidate([TAG])
    diary.gate.clear()
    standing.went_up("one")
    await until(lambda: diary.entries)
    diary.gate.set()
    await until(lambda: len(diary.entries) == 2)
    await standing.invalidate([TAG])
    await settled(standing)
    assert diary.entries.count([TAG]) == 2


async def test_it_is_tried_again_until_it_succeeds(standing: Standing, diary: Diary) -> None:
    diary.errors += [RedisUnavailable("gone again"), CommandRefused("NOPERM")]
    standing.went_up("one")
    await settled(standing)
    assert diary.entries == ["one"] * 3


async def test_a_server_that_goes_again_meanwhile_is_not_opened(standing: Standing, diary: Diary) -> None:
    diary.gate.clear()
    standing.went_up("one")
    await until(lambda: diary.entries)
    standing.went_down()
    diary.gate.set()
    await asyncio.sleep(0.01)
    assert is_in(Mode.OUTAGE, standing)


async def test_an_invalidation_that_was_not_answered_closes_the_shared_tier_until_it_is_repeated(
    standing: Standing, diary: Diary
) -> None:
    standing.went_up("one")
    standing.live()
    await settled(standing)
    assert is_in(Mode.LIVE, standing)
    diary.errors.append(RedisUnavailable("no answer in time"))
    assert not await standing.invalidate([TAG])
    assert is_in(Mode.OUTAGE, standing)
    await settled(standing)
    assert diary.entries == ["one", [TAG], [TAG]]
    assert is_in(Mode.LIVE, standing)


async def test_pushes_that_are_lost_leave_the_shared_tier_and_end_what_was_seen(
    standing: Standing, coherence: Coherence
) -> None:
    standing.went_up("one")
    standing.live()
    await settled(standing)
    seen = coherence.observe(names("a", ()))
    standing.lost()
    assert is_in(Mode.GAP, standing)
    assert seen.unmoved
    standing.live()
    assert not seen.unmoved


async def test_what_is_heard_concerns_what_it_names(standing: Standing, coherence: Coherence) -> None:
    seen = coherence.observe(names("a", ("user:1",)))
    standing.changed([b"nonsense", KEYS.notice(Mark(Kind.TAG, "user:2")).encode()])
    assert seen.unmoved
    standing.changed([KEYS.notice(TAG).encode()])
    assert not seen.unmoved
    seen = coherence.observe(names("a", ("user:1",)))
    standing.changed(None)
    assert not seen.unmoved
