"""Uses of sessions that memory knows: they count at once, and nobody waits for the store to hear of them."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta

import pytest

from keel.errors import Unavailable
from keel.sessions.contract import Kept, Lifetimes, SessionExpired, token_hash
from keel.sessions.memory import LocalCopies, MemorySessions
from keel.sessions.store import Sessions
from tests.application import Hands
from tests.tradesense.db.copies import until

LIFETIMES = Lifetimes()
SECOND = timedelta(seconds=1)
LATER = LIFETIMES.touch + SECOND


class Told(MemorySessions):
    """A store that is told of uses, and answers as the test likes."""

    uses = 0
    meets: Callable[[], Awaitable[object]] | None = None

    async def use(self, token_hash: bytes) -> Kept:
        self.uses += 1
        kept = await super().use(token_hash)
        if self.meets is not None:
            await self.meets()
        return kept


class Reads:
    """An observer of sessions."""

    def __init__(self) -> None:
        self.in_memory: list[bool] = []
        self.refusals: list[str] = []

    def began(self) -> None: ...

    def ended(self, count: int) -> None: ...

    def read(self, *, in_memory: bool) -> None:
        self.in_memory.append(in_memory)

    def refused(self, reason: str) -> None:
        self.refusals.append(reason)


class Place:
    """Sessions over a store that is to hear of each use."""

    def __init__(self) -> None:
        self.clock, self.local = Hands(), LocalCopies()
        self.store = Told(self.clock, LIFETIMES, self.local.forget)
        self.sessions = Sessions(self.store, self.local, self.clock, LIFETIMES, noted_every=LIFETIMES.touch)
        self.sessions.observer = self.reads = Reads()

    async def noted(self) -> None:
        """The store has answered."""
        await until(lambda: not self.sessions._noting)


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    place = Place()
    yield place
    await place.sessions.close()


@pytest.fixture
async def token(place: Place) -> str:
    return await place.sessions.create_session("7", {})


async def test_who_is_known_is_known_at_a_glance_though_a_use_is_to_be_noted(place: Place, token: str) -> None:
    for uses in (1, 2, 3):
        place.clock.forward(LATER)
        glimpse = place.sessions.glance(token_hash(token))
        assert glimpse is not None
        assert glimpse.session.last_seen_at == place.clock.now()
        assert glimpse.session.expires_at == place.clock.now() + LIFETIMES.idle
        assert place.sessions.still(glimpse, place.clock.now())
        assert not place.sessions.still(glimpse, place.clock.now() + LIFETIMES.touch)
        await place.noted()
        assert place.store.uses == uses
    assert place.reads.in_memory == [True] * 3, "a use that is noted is no read"


async def test_a_touch_does_not_wait_for_the_store(place: Place, token: str) -> None:
    arrives = asyncio.Event()
    place.store.meets = arrives.wait
    for uses in (1, 1, 1, 1):
        place.clock.forward(LATER)
        assert (await asyncio.wait_for(place.sessions.touch(token), 5)).last_seen_at == place.clock.now()
        await until(lambda: place.store.uses > 0)
        assert place.store.uses == uses, "one at a time"
    arrives.set()
    await place.noted()
    (listed,) = await place.sessions.get_user_sessions("7")
    assert listed.last_seen_at == place.clock.now(), "the last use that was seen here"


async def test_a_glance_ends_with_the_check_and_with_the_session(place: Place, token: str) -> None:
    place.clock.forward(LIFETIMES.check - SECOND)
    glimpse = place.sessions.glance(token_hash(token))
    assert glimpse is not None
    assert glimpse.until == place.clock.now() + SECOND
    await place.noted()
    place.local.trust(trusted=False)
    place.local.trust(trusted=True)
    assert place.sessions.glance(token_hash(token)) is None


async def test_a_session_that_was_not_used_for_too_long_is_not_prolonged(place: Place, token: str) -> None:
    place.clock.forward(LIFETIMES.idle)
    assert place.sessions.glance(token_hash(token)) is None
    with pytest.raises(SessionExpired):
        await place.sessions.touch(token)
    assert place.store.uses == 1


async def test_a_session_that_has_ended_is_refused_though_a_use_of_it_is_being_noted(place: Place, token: str) -> None:
    arrives = asyncio.Event()
    place.store.meets = arrives.wait
    place.clock.forward(LATER)
    session = await place.sessions.touch(token)
    await until(lambda: place.store.uses == 1)
    assert await place.sessions.revoke("7", session.id)
    arrives.set()
    await place.noted()
    assert place.sessions.glance(token_hash(token)) is None
    with pytest.raises(SessionExpired):
        await place.sessions.touch(token)


async def test_a_session_of_whose_end_nobody_has_told_ends_when_the_store_hears_of_its_use(
    place: Place, token: str
) -> None:
    doubts: list[bool] = []
    place.sessions.watch(token, lambda: doubts.append(True))
    place.store._ended[token_hash(token)] = place.store._sessions.pop(token_hash(token))
    place.clock.forward(LATER)
    assert place.sessions.glance(token_hash(token)) is not None
    await place.noted()
    assert place.sessions.glance(token_hash(token)) is None
    assert doubts == [True]
    assert place.reads.refusals == [], "nobody was refused"
    with pytest.raises(SessionExpired):
        await place.sessions.touch(token)


async def test_a_store_that_is_away_is_asked_again_a_minute_later_and_mentioned_once(
    place: Place, token: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def away() -> None:
        raise Unavailable("The store is away.")

    place.store.meets = away
    for minute in (1, 2):
        place.clock.forward(LATER)
        for _ in range(10):
            assert (await place.sessions.touch(token)).last_seen_at == place.clock.now()
            await place.noted()
        assert place.store.uses == minute
    assert [each.levelno for each in caplog.records] == [logging.WARNING]
    place.store.meets = None
    place.clock.forward(LATER)
    await place.sessions.touch(token)
    await place.noted()
    assert place.store.uses == 3
    place.store.meets = away
    place.clock.forward(LATER)
    await place.sessions.touch(token)
    await place.noted()
    assert len(caplog.records) == 2, "it is away again"
    place.clock.forward(LIFETIMES.check)
    with pytest.raises(Unavailable):
        await place.sessions.touch(token)


async def test_a_use_is_left_unnoted_where_everything_is_being_closed(place: Place, token: str) -> None:
    await place.sessions.close()
    place.clock.forward(LATER)
    assert (await place.sessions.touch(token)).last_seen_at == place.clock.now()
    assert place.sessions.glance(token_hash(token)) is not None
    assert (place.store.uses, place.sessions._noting) == (0, set())


async def test_what_is_read_meanwhile_does_not_keep_a_use_from_the_store(place: Place, token: str) -> None:
    place.sessions._noted_every = LIFETIMES.check
    for _ in range(4):
        place.clock.forward(LIFETIMES.touch)
        await place.sessions.touch(token)
    assert place.store.uses == 0
    place.clock.forward(LIFETIMES.touch)
    await place.sessions.get(token)  # which counts as no use, and has the copy checked
    await place.sessions.touch(token)
    await place.noted()
    assert place.store._sessions[token_hash(token)].session.last_seen_at == place.clock.now()
