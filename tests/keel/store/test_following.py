"""Lines that are followed: each once, whatever happens to what is shared."""

from typing import Literal

import pytest

from keel.errors import Unavailable
from keel.store.contract import MOST_LINES, Batch
from keel.store.following import Following
from keel.store.memory import MemoryStore


class Shared(MemoryStore):
    """What all instances have, which may be away."""

    scope: Literal["instance", "shared"] = "shared"
    is_away = False

    async def lines(self, after: str | None, limit: int) -> tuple[str, list[bytes]]:
        if self.is_away:
            raise Unavailable("It is away.")
        return await super().lines(after, limit)


class Told:
    """Two instances: what ours is told, what the other one is, and who follows by ours."""

    def __init__(self) -> None:
        self.shared, self.here = Shared(), MemoryStore()
        self.following = Following(self.shared, self.here)

    async def here_alone(self, *lines: bytes) -> None:
        await self.here.add(Batch(lines=list(lines)))

    async def to_all(self, *lines: bytes) -> None:
        await self.shared.add(Batch(lines=list(lines)))

    async def ours(self, *lines: bytes) -> None:
        await self.here_alone(*lines)
        await self.to_all(*lines)

    async def more(self, limit: int = 10) -> list[bytes]:
        return await self.following.more(limit)


@pytest.fixture
async def told() -> Told:
    told = Told()
    await told.ours(b"before")
    assert await told.more() == []
    return told


async def test_each_line_is_seen_once(told: Told) -> None:
    await told.ours(b"ours 1", b"ours 2")
    await told.to_all(b"theirs 1")
    assert sorted(await told.more()) == [b"ours 1", b"ours 2", b"theirs 1"]
    await told.ours(b"ours 3")
    assert (await told.more(), await told.more()) == ([b"ours 3"], [])


async def test_a_line_that_is_under_way_when_an_outage_begins_is_seen_once(told: Told) -> None:
    await told.here_alone(b"under way")
    seen = await told.more()
    told.shared.is_away = True
    await told.here_alone(b"lost to all")
    seen += await told.more()
    assert (seen, told.following.scope) == ([b"under way", b"lost to all"], "instance")


async def test_lines_that_were_not_yet_seen_when_an_outage_began_are_seen_after_it(told: Told) -> None:
    await told.ours(b"ours")
    await told.to_all(b"theirs")
    told.shared.is_away = True
    assert await told.more() == [b"ours"]
    told.shared.is_away = False
    assert (await told.more(), told.following.scope) == ([b"theirs"], "shared")


async def test_however_much_was_said_in_an_outage_is_seen_after_it(told: Told) -> None:
    told.shared.is_away = True
    assert await told.more() == []
    lines = [b"%03d" % number for number in range(25)]
    await told.here_alone(*lines)
    told.shared.is_away = False
    await told.ours(b"after")
    seen = [line for _ in range(3) for line in await told.more()]
    assert seen == [*lines, b"after"]


async def test_who_comes_while_it_is_away_sees_what_is_said_from_then_on() -> None:
    told = Told()
    await told.ours(b"before")
    told.shared.is_away = True
    assert await told.more() == []
    await told.here_alone(b"ours")
    assert await told.more() == [b"ours"]
    told.shared.is_away = False
    assert await told.more() == []
    await told.to_all(b"theirs")
    assert await told.more() == [b"theirs"]


async def test_lines_of_ones_own_are_known_again_for_as_long_as_they_can_come(told: Told) -> None:
    lines = [b"%05d" % number for number in range(3 * MOST_LINES)]
    seen: list[bytes] = []
    for at in range(0, len(lines), 100):
        await told.ours(*lines[at : at + 100])
        seen += await told.more()
    for _ in range(MOST_LINES // 10):
        seen += await told.more()
    assert seen == lines
    assert len(told.following._own) <= 2 * MOST_LINES


async def test_without_anything_shared_lines_are_seen_once() -> None:
    store = MemoryStore()
    following = Following(store, store)
    assert await following.more(10) == []
    await store.add(Batch(lines=[b"one", b"two"]))
    assert (await following.more(10), await following.more(10)) == ([b"one", b"two"], [])
