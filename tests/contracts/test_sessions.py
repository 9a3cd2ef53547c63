"""What `keel.sessions.contract` promises, over every implementation: in memory, on a server, in SQL, in both."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

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

        async def start() -> House:
            return await stack.enter_async_context(opened(*places, redis_namespace, clock, LIFETIMES))

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
