"""What `keel.sessions.contract` promises, over every implementation: in memory, on a server, in SQL, in both."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from keel import session_store
from keel.sessions.contract import Lifetimes, Session, SessionExpired, SessionUnknown, token_hash
from keel.sessions.store import Sessions
from tests.application import Hands
from tests.conftest import DATABASES, migrated
from tests.keel.sessions.houses import House, opened

LIFETIMES = Lifetimes(idle=timedelta(days=7), absolute=timedelta(days=30), touch=timedelta(minutes=1), per_user=3)
SECOND = timedelta(seconds=1)
KINDS = ["memory", "redis", "sqlite", "postgresql", "sqlite redis", "postgresql redis"]
"""What sessions are kept in, and what shares copies of them."""

Start = Callable[[], Awaitable[House]]


@pytest.fixture
def clock() -> Hands:
    return Hands(datetime(2026, 1, 1, tzinfo=UTC))


@pytest.fixture(params=KINDS)
def places(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str | None, str | None]]:
    """The URLs of the database and of the server, of those that there are."""
    kind = request.param.split()[0]
    if kind in DATABASES["both"] and kind not in DATABASES[request.config.getoption("--database")]:
        pytest.skip("--database asks for another one")
    redis_url = request.getfixturevalue("redis_url") if "redis" in request.param else None
    with migrated(kind, request, tmp_path) if kind in DATABASES["both"] else nullcontext(None) as database_url:
        yield database_url, redis_url


@pytest.fixture
async def start(places: tuple[str | None, str | None], clock: Hands, redis_namespace: str) -> AsyncIterator[Start]:
    """Open sessions, as one of the processes that share what they are kept in."""
    async with AsyncExitStack() as stack:
        alone: list[House] = []

        async def start() -> House:
            if alone and places == (None, None):
                return alone[0]  # who shares nothing is one process
            alone.append(await stack.enter_async_context(opened(*places, redis_namespace, clock, LIFETIMES)))
            return alone[-1]

        yield start


@pytest.fixture
async def house(start: Start) -> House:
    return await start()


@pytest.fixture
def store(house: House) -> Sessions:
    return house.sessions


@pytest.fixture
async def user(house: House) -> UUID:
    return await house.user()


async def ids(store: Sessions, user: UUID) -> list[str]:
    return [session.id for session in await store.get_user_sessions(user)]


async def test_a_session_is_got_by_its_token(store: Sessions, user: UUID, clock: Hands) -> None:
    token = await store.create_session(user, {"ip": "203.0.113.7", "user_agent": "Browser"})
    session = await store.get(token)
    assert session == Session(
        id=session.id,
        user_id=str(user),
        created_at=clock.now(),
        last_seen_at=clock.now(),
        expires_at=clock.now() + LIFETIMES.idle,
        data={"ip": "203.0.113.7", "user_agent": "Browser"},
    )


async def test_tokens_are_long_random_and_never_stored(store: Sessions, user: UUID, house: House) -> None:
    first, second = await store.create_session(user, {}), await store.create_session(str(user), {})
    assert first != second
    assert len(first) >= 43
    for token in (first, second):
        await store.touch(token)
    found = await house.everything()
    for token in (first, second):
        hashed = token_hash(token)
        assert any(hashed in each or hashed.hex().encode() in each for each in found)
        assert not any(token.encode() in each for each in found)


async def test_an_unknown_token_is_refused_and_not_adopted(store: Sessions, user: UUID) -> None:
    for _ in range(2):
        with pytest.raises(SessionUnknown):
            await store.get("made up")
        with pytest.raises(SessionUnknown):
            await store.touch("made up")
    assert await ids(store, user) == []


async def test_a_session_that_is_not_used_expires(store: Sessions, user: UUID, clock: Hands) -> None:
    token = await store.create_session(user, {})
    clock.forward(LIFETIMES.idle - SECOND)
    assert (await store.get(token)).expires_at == clock.now() + SECOND
    clock.forward(SECOND)
    with pytest.raises(SessionExpired):
        await store.get(token)
    with pytest.raises(SessionExpired):
        await store.touch(token)
    with pytest.raises(SessionUnknown):
        await store.rotate(token)
    assert await ids(store, user) == []


async def test_use_prolongs_a_session_up_to_its_greatest_age(store: Sessions, user: UUID, clock: Hands) -> None:
    token = await store.create_session(user, {})
    began = clock.now()
    for _ in range(5):
        clock.forward(timedelta(days=5, hours=23))
        assert (await store.touch(token)).last_seen_at == clock.now()
    assert (await store.get(token)).expires_at == began + LIFETIMES.absolute
    clock.forward(timedelta(days=1))
    with pytest.raises(SessionExpired):
        await store.touch(token)


async def test_use_is_noted_at_most_once_a_minute_and_listing_is_no_use(
    store: Sessions, user: UUID, clock: Hands
) -> None:
    token = await store.create_session(user, {})
    before = await store.get(token)
    clock.forward(LIFETIMES.touch - SECOND)
    assert await store.touch(token) == before
    clock.forward(SECOND)
    assert await store.get_user_sessions(user) == [before]
    assert (await store.touch(token)).last_seen_at == clock.now()


async def test_a_rotated_session_stays_the_same_under_its_new_token(store: Sessions, user: UUID) -> None:
    old = await store.create_session(user, {"ip": "203.0.113.7"})
    before = await store.get(old)
    new = await store.rotate(old)
    assert await store.get(new) == before
    with pytest.raises(SessionUnknown):
        await store.get(old)


async def test_of_two_rotations_of_one_token_the_second_fails(store: Sessions, user: UUID) -> None:
    old = await store.create_session(user, {})
    await store.rotate(old)
    with pytest.raises(SessionUnknown):
        await store.rotate(old)
    assert len(await ids(store, user)) == 1


async def test_a_revoked_session_has_ended_for_good(store: Sessions, user: UUID, clock: Hands) -> None:
    token = await store.create_session(user, {})
    session = await store.get(token)
    assert await store.revoke(user, session.id)
    clock.forward(LIFETIMES.touch)
    for ask in (store.get, store.touch):
        with pytest.raises(SessionExpired):
            await ask(token)
    assert not await store.revoke(user, session.id)


async def test_nobody_revokes_the_session_of_another(store: Sessions, user: UUID, house: House) -> None:
    token = await store.create_session(user, {})
    session, other = await store.get(token), await house.user()
    assert not await store.revoke(other, session.id)
    assert await store.invalidate_user_sessions(other) == 0
    assert await store.get(token) == session


async def test_all_other_sessions_of_a_user_end(store: Sessions, user: UUID, house: House) -> None:
    kept, *others = [await store.create_session(user, {}) for _ in range(3)]
    of_another = await store.create_session(await house.user(), {})
    assert await store.revoke_others(user, (await store.get(kept)).id) == 2
    for token in others:
        with pytest.raises(SessionExpired):
            await store.get(token)
    await store.get(kept)
    await store.get(of_another)


async def test_all_sessions_of_a_user_end(store: Sessions, user: UUID) -> None:
    tokens = [await store.create_session(user, {}) for _ in range(3)]
    assert await store.invalidate_user_sessions(user) == 3
    assert await ids(store, user) == []
    for token in tokens:
        with pytest.raises(SessionExpired):
            await store.get(token)


async def test_sessions_are_listed_by_their_last_use(store: Sessions, user: UUID, clock: Hands) -> None:
    first, second = await store.create_session(user, {}), await store.create_session(user, {})
    clock.forward(timedelta(minutes=2))
    await store.touch(first)
    assert await ids(store, user) == [(await store.get(token)).id for token in (first, second)]


async def test_a_user_with_too_many_sessions_loses_the_least_used(store: Sessions, user: UUID, clock: Hands) -> None:
    tokens = []
    for _ in range(LIFETIMES.per_user):
        tokens.append(await store.create_session(user, {}))
        clock.forward(timedelta(minutes=2))
    await store.touch(tokens[0])
    clock.forward(timedelta(minutes=2))
    tokens.append(await store.create_session(user, {}))
    assert len(await ids(store, user)) == LIFETIMES.per_user
    with pytest.raises(SessionExpired):
        await store.get(tokens[1])


# What many do at once


async def test_of_many_rotations_of_one_token_one_succeeds_and_the_session_stays_one(start: Start, user: UUID) -> None:
    here, there = await start(), await start()
    old = await here.sessions.create_session(user, {})
    rotating = [house.sessions.rotate(old) for _ in range(8) for house in (here, there)]
    done = await asyncio.gather(*rotating, return_exceptions=True)
    (new,) = (each for each in done if isinstance(each, str))
    assert all(isinstance(each, SessionUnknown) for each in done if each != new)
    assert await ids(here.sessions, user) == [(await there.sessions.get(new)).id]
    await refused(here, old, SessionUnknown)
    await refused(there, old, SessionUnknown)


async def test_use_never_brings_back_what_is_ended_at_the_same_time(start: Start, user: UUID, clock: Hands) -> None:
    here, there = await start(), await start()
    for _ in range(10):
        token = await here.sessions.create_session(user, {})
        session = await there.sessions.touch(token)
        clock.forward(LIFETIMES.touch)
        uses = [house.sessions.touch(token) for _ in range(5) for house in (here, there)]
        *_, ended = await asyncio.gather(*uses, here.sessions.revoke(user, session.id), return_exceptions=True)
        assert ended is True
        for house in (here, there):
            await refused(house, token)
        assert session.id not in await ids(there.sessions, user)


async def test_of_many_logins_at_once_no_more_are_left_than_a_user_may_have(start: Start, user: UUID) -> None:
    here, there = await start(), await start()
    logins = [house.sessions.create_session(user, {}) for _ in range(6) for house in (here, there)]
    tokens = await asyncio.gather(*logins)
    left = await ids(here.sessions, user)
    assert len(left) == LIFETIMES.per_user
    await there.replayed()
    found = await asyncio.gather(*(there.sessions.get(token) for token in tokens), return_exceptions=True)
    assert {each.id for each in found if isinstance(each, Session)} == {*left}


async def test_many_uses_at_once_are_noted_once(start: Start, user: UUID, clock: Hands) -> None:
    here, there = await start(), await start()
    token = await here.sessions.create_session(user, {})
    clock.forward(LIFETIMES.check)
    seen = await asyncio.gather(*(house.sessions.touch(token) for _ in range(20) for house in (here, there)))
    assert {session.id for session in seen} == {seen[0].id}
    assert (await here.sessions.touch(token)).last_seen_at == clock.now()
    assert (await there.sessions.touch(token)).last_seen_at == clock.now()


# Processes


async def test_what_one_process_begins_all_know(start: Start, user: UUID) -> None:
    here, there = await start(), await start()
    token = await here.sessions.create_session(user, {"ip": "203.0.113.7"})
    assert await there.sessions.get(token) == await here.sessions.get(token)
    assert await there.sessions.get_user_sessions(user) == [await here.sessions.get(token)]


async def test_what_one_process_ends_all_refuse(start: Start, user: UUID) -> None:
    here, there = await start(), await start()
    tokens = [await here.sessions.create_session(user, {}) for _ in range(3)]
    for token in tokens:
        await there.sessions.touch(token)
    kept = await there.sessions.get(tokens[0])
    assert await there.sessions.revoke_others(user, kept.id) == 2
    for token in tokens[1:]:
        await refused(there, token, at_once=True)
        await refused(here, token)
    await here.sessions.get(tokens[0])
    assert await here.sessions.invalidate_user_sessions(user) == 1
    await refused(here, tokens[0], at_once=True)
    await refused(there, tokens[0])


async def test_whoever_holds_a_connection_open_is_told_when_its_session_ends(start: Start, user: UUID) -> None:
    here, there = await start(), await start()
    token, other = [await here.sessions.create_session(user, {}) for _ in range(2)]
    session = await there.sessions.touch(token)
    told, of_other = asyncio.Event(), asyncio.Event()
    there.sessions.watch(token, told.set)
    stop = there.sessions.watch(token, of_other.set)
    stop()
    stop()
    there.sessions.watch(other, of_other.set)
    await here.sessions.revoke(user, session.id)
    await there.replayed()
    await asyncio.wait_for(told.wait(), 10)
    assert not of_other.is_set()


@pytest.mark.parametrize("guess", ["", "x" * 43, "\ud800", "id", "hash"])
async def test_what_is_no_token_is_never_adopted(start: Start, user: UUID, guess: str) -> None:
    here, there = await start(), await start()
    token = await here.sessions.create_session(user, {})
    session = await there.sessions.touch(token)
    guess = {"id": session.id, "hash": token_hash(token).hex()}.get(guess, guess)
    for house in (here, there):
        for ask in (house.sessions.get, house.sessions.touch, house.sessions.rotate):
            with pytest.raises(SessionUnknown):
                await ask(guess)
    assert await ids(here.sessions, user) == [session.id]


async def test_the_running_sessions_go_by_one_name(house: House, user: UUID) -> None:
    with house.keel.running():
        token = await session_store.create_session(user, {"ip": "203.0.113.7"})
        session = await session_store.get(token)
        assert await session_store.touch(token) == session
        token = await session_store.rotate(token)
        stop = session_store.watch(token, lambda: None)
        stop()
        assert await session_store.get_user_sessions(user) == [session]
        assert await session_store.revoke_others(user, session.id) == 0
        assert not await session_store.revoke(await house.user(), session.id)
        assert await session_store.invalidate_user_sessions(user) == 1


async def refused(house: House, token: str, kind: type[Exception] = SessionExpired, *, at_once: bool = False) -> None:
    """The token is refused: at once, or as soon as the process has heard."""
    await house.replayed()
    async with asyncio.timeout(10):
        while True:
            try:
                await house.sessions.get(token)
            except kind:
                return
            assert not at_once
            await asyncio.sleep(0.001)
