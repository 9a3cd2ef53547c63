"""Copies of sessions on a server that is lost, silent, emptied or full, before a database that decides."""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from keel.context import budget
from keel.errors import Unavailable
from keel.opening import Keel
from keel.sessions.assembly import SessionOptions
from keel.sessions.contract import (
    DurableSessions,
    Kept,
    Lifetimes,
    SessionExpired,
    SessionUnknown,
    token_hash,
)
from keel.sessions.keys import ServerKeys, State, read_state
from keel.sessions.redis import SharedCopies
from keel.tasks import Tasks
from tests.application import Hands
from tests.keel.sessions.houses import House, opened
from tests.queries import counting
from tests.tradesense.db.copies import until
from tests.valkey import Cluster, Valkey
from tradesense.db.engine import Database
from tradesense.security.repository.sessions import SqlSessions

NAMESPACE = "test:sessions"
LIFETIMES = Lifetimes()
MINUTE = timedelta(minutes=1)
Start = Callable[[], Awaitable[House]]


@pytest.fixture
def clock() -> Hands:
    return Hands()


@pytest.fixture
async def start(valkey: Valkey, migrated_url: str, clock: Hands) -> AsyncIterator[Start]:
    async with AsyncExitStack() as stack:

        async def start() -> House:
            return await stack.enter_async_context(opened(migrated_url, valkey.url, NAMESPACE, clock))

        yield start


@pytest.fixture
async def here(start: Start) -> House:
    return await start()


@pytest.fixture
async def there(start: Start) -> House:
    return await start()


@pytest.fixture
async def user(here: House) -> UUID:
    return await here.user()


def commands(valkey: Valkey) -> dict[str, int]:
    """How often keys were read and written, in scripts, too."""
    stats = valkey.info("commandstats")
    return {name: int(stats.get(f"cmdstat_{name}", {"calls": 0})["calls"]) for name in ("mget", "get", "set")}


async def known_there(house: House, token: str) -> None:
    """A copy of it is in the house's memory."""
    await house.sessions.touch(token)
    await until(lambda: house.sessions._local.find(token_hash(token)) is not None)


# What reading costs


async def test_a_session_that_is_known_costs_neither_sql_nor_a_round_trip(
    here: House, there: House, user: UUID, valkey: Valkey
) -> None:
    token = await here.sessions.create_session(user, {})
    await there.sessions.touch(token)
    before = commands(valkey)
    with counting(here.database) as asked, counting(there.database) as asked_there:
        for _ in range(100):
            await here.sessions.touch(token)
            await there.sessions.get(token)
    assert asked + asked_there == []
    assert commands(valkey) == before


async def test_a_session_that_another_process_knows_costs_one_round_trip_and_no_sql(
    here: House, there: House, start: Start, user: UUID, valkey: Valkey
) -> None:
    token = await here.sessions.create_session(user, {})
    await there.sessions.touch(token)
    third = await start()
    before = commands(valkey)
    with counting(third.database) as asked:
        await third.sessions.touch(token)
    assert asked == []
    assert commands(valkey) == {**before, "mget": before["mget"] + 1}


async def test_an_hour_of_use_is_noted_once_a_minute_and_written_down_every_five(
    here: House, there: House, user: UUID, clock: Hands, valkey: Valkey
) -> None:
    token = await here.sessions.create_session(user, {})
    await there.sessions.touch(token)
    before = commands(valkey)["set"]
    with counting(here.database) as asked, counting(there.database) as asked_there:
        for _ in range(360):
            clock.forward(timedelta(seconds=10))
            for house in (here, there):
                assert clock.now() - (await house.sessions.touch(token)).last_seen_at <= 2 * MINUTE
                await house.noted()
    written = [statement for statement in asked + asked_there if statement.startswith("UPDATE")]
    assert 10 <= len(written) <= 12
    assert commands(valkey)["set"] - before <= 60 + 2 * 12, "and a lease for each answer of the database's"
    assert (await here.sessions.get_user_sessions(user))[0].last_seen_at >= clock.now() - MINUTE


async def test_a_copy_is_checked_every_five_minutes(here: House, user: UUID, clock: Hands) -> None:
    token = await here.sessions.create_session(user, {})
    session = await here.sessions.touch(token)
    assert here.database is not None
    async with here.database.write() as connection:  # as nobody does: without a word to anybody
        await connection.exec_driver_sql("UPDATE sessions SET revoked_at = created_at")
    assert await here.sessions.get(token) == session
    clock.forward(LIFETIMES.check)
    with pytest.raises(SessionExpired):
        await here.sessions.get(token)


async def test_listing_is_no_use(here: House, there: House, user: UUID, clock: Hands) -> None:
    token = await here.sessions.create_session(user, {})
    session = await here.sessions.touch(token)
    for _ in range(4):
        clock.forward(MINUTE)
        assert await there.sessions.get_user_sessions(user) == [session]


async def test_an_end_is_known_to_another_process_within_50_ms(here: House, there: House, user: UUID) -> None:
    lags_s = []
    for _ in range(9):
        token = await here.sessions.create_session(user, {})
        await known_there(there, token)
        session = await here.sessions.get(token)
        await here.sessions.revoke(user, session.id)
        ended = time.monotonic()
        await refused(there, token)
        lags_s.append(time.monotonic() - ended)
    assert statistics.median(lags_s) < 0.05  # a single one may be the machine's


# Ends and copies that are on their way


class Slow:
    """A durable store that has answered, and whose answer is still on its way."""

    def __init__(self, inner: DurableSessions) -> None:
        self._inner = inner
        self.answered, self.arrives = asyncio.Event(), asyncio.Event()

    async def find(self, hashed: bytes) -> Kept:
        kept = await self._inner.find(hashed)
        self.answered.set()
        await self.arrives.wait()
        return kept

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - of the inner one
        return getattr(self._inner, name)


async def test_an_end_that_overtakes_the_databases_answer_is_not_undone_by_it(
    here: House, there: House, user: UUID, valkey: Valkey
) -> None:
    token = await here.sessions.create_session(user, {})
    session = await here.sessions.get(token)
    copies = there.sessions._store
    assert isinstance(copies, SharedCopies)
    slow = copies._durable = Slow(copies._durable)
    async with Tasks() as tasks:
        reading = tasks.start("reading", there.sessions.get(token))
        await slow.answered.wait()
        assert await here.sessions.revoke(user, session.id)
        slow.arrives.set()
        assert (await reading).id == session.id, "it began before the end"
    assert valkey.ask("GET", ServerKeys(NAMESPACE).session(token_hash(token))) is None
    for house in (here, there):
        with pytest.raises(SessionExpired):
            await house.sessions.get(token)


async def test_a_copy_that_was_read_while_everything_was_flushed_counts_no_more(
    here: House, there: House, user: UUID, valkey: Valkey
) -> None:
    token = await here.sessions.create_session(user, {})
    await here.sessions.get(token)
    copies = there.sessions._store
    assert isinstance(copies, SharedCopies)
    slow = copies._durable = Slow(copies._durable)
    async with Tasks() as tasks:
        reading = tasks.start("reading", there.sessions.get(token))
        await slow.answered.wait()
        valkey.ask("FLUSHALL")
        slow.arrives.set()
        await reading
    assert valkey.ask("GET", ServerKeys(NAMESPACE).session(token_hash(token))) is None


async def test_whoever_gives_up_ends_the_session_all_the_same(here: House, there: House, user: UUID) -> None:
    token = await here.sessions.create_session(user, {})
    await known_there(there, token)
    session = await there.sessions.get(token)
    shared = here.sessions._shared
    assert shared is not None
    telling = asyncio.Event()
    forget = shared.forget

    async def slowly(hashes: Any) -> None:  # noqa: ANN401 - of tokens
        telling.set()
        await asyncio.sleep(0.05)
        await forget(hashes)

    shared.forget = slowly  # type: ignore[method-assign]
    async with Tasks() as tasks:
        ending = tasks.start("ending", here.sessions.revoke(user, session.id))
        await telling.wait()
        ending.cancel()
        await asyncio.wait([ending])
    await refused(there, token)


# A server that is emptied


async def test_a_server_that_is_emptied_logs_nobody_out_and_lets_nobody_back_in(
    here: House, there: House, user: UUID, valkey: Valkey
) -> None:
    kept, ended = [await here.sessions.create_session(user, {}) for _ in range(2)]
    for house in (here, there):
        await house.sessions.touch(kept)
    assert await here.sessions.revoke(user, (await here.sessions.get(ended)).id)
    valkey.ask("FLUSHALL")
    for house in (here, there):
        assert (await house.sessions.touch(kept)).user_id == str(user)
        with pytest.raises(SessionExpired):
            await house.sessions.touch(ended)
    assert [session.id for session in await there.sessions.get_user_sessions(user)] == [
        (await here.sessions.get(kept)).id
    ]


async def test_keys_that_are_evicted_or_spoilt_cost_sql_and_nothing_else(
    here: House, there: House, start: Start, user: UUID, valkey: Valkey
) -> None:
    token = await here.sessions.create_session(user, {})
    await there.sessions.touch(token)
    keys = ServerKeys(NAMESPACE)
    for key, value in ((keys.session(token_hash(token)), b"\x93nonsense"), (keys.epoch, None), (keys.servers, None)):
        if value is None:
            valkey.ask("DEL", key)
        else:
            valkey.ask("SET", key, value)
        assert (await (await start()).sessions.touch(token)).user_id == str(user)


# A server that is away


async def away(*houses: House) -> None:
    await until(lambda: not any(house.sessions.is_coherent or _reaches(house) for house in houses))


def _reaches(house: House) -> bool:
    return house.keel.redis is not None and house.keel.redis.available


async def back(*houses: House) -> None:
    await until(lambda: all(house.sessions.is_coherent for house in houses))


async def refused(house: House, token: str) -> None:
    async def is_refused() -> bool:
        try:
            await house.sessions.get(token)
        except SessionExpired:
            return True
        return False

    await until(is_refused)


@pytest.mark.parametrize("how", ["kill", "pause"])
async def test_without_the_server_the_database_decides_at_once(
    here: House, there: House, user: UUID, valkey: Valkey, clock: Hands, how: str
) -> None:
    token, other = [await here.sessions.create_session(user, {}) for _ in range(2)]
    for house in (here, there):
        await house.sessions.touch(token)
        await house.sessions.touch(other)
    await asyncio.to_thread(getattr(valkey, how))
    await away(here, there)
    with budget(0.15) as left:
        assert (await there.sessions.touch(token)).user_id == str(user)
        assert left is not None
        assert left.left_s > 0.1, "nothing waits for a server that is known to be away"
    assert await here.sessions.revoke(user, (await here.sessions.get(token)).id)
    for house in (here, there):
        with pytest.raises(SessionExpired):
            await house.sessions.touch(token)
    fresh = await there.sessions.create_session(user, {})
    rotated = await there.sessions.rotate(other)
    clock.forward(LIFETIMES.check)
    assert (await here.sessions.touch(fresh)).last_seen_at == clock.now()
    await asyncio.to_thread(valkey.start if how == "kill" else valkey.resume)
    await back(here, there)
    for house in (here, there):
        for living in (fresh, rotated):
            await house.sessions.touch(living)
        with pytest.raises(SessionExpired):
            await house.sessions.touch(token)
        with pytest.raises(SessionUnknown):
            await house.sessions.touch(other)


async def test_what_ended_while_the_server_was_away_holds_though_it_has_the_copy_of_before(
    here: House, start: Start, user: UUID, valkey: Valkey
) -> None:
    token = await here.sessions.create_session(user, {})
    there = await start()
    await there.sessions.touch(token)
    key = ServerKeys(NAMESPACE).session(token_hash(token))
    assert valkey.ask("EXISTS", key) == 1
    await asyncio.to_thread(valkey.pause)
    await away(here, there)
    await here.sessions.invalidate_user_sessions(user)
    await asyncio.to_thread(valkey.resume)
    await back(here, there)
    assert valkey.ask("EXISTS", key) == 1, "nobody has told the server"
    for house in (here, there):
        with pytest.raises(SessionExpired):
            await house.sessions.get(token)


async def test_what_ended_by_one_who_was_cut_off_and_died_is_heard_from_the_outbox(
    here: House, there: House, user: UUID, migrated_url: str, clock: Hands
) -> None:
    token = await here.sessions.create_session(user, {})
    for house in (here, there):
        await known_there(house, token)
    cut_off = Database(migrated_url)  # it commits, and nobody hears a word
    await SqlSessions(cut_off, clock, LIFETIMES).end(user)
    await cut_off.close()
    await here.sessions.get(token)
    assert here.replay is not None
    began = time.monotonic()
    async with Tasks() as tasks:
        tasks.start("following", here.replay.run())
        await refused(here, token)
        await refused(there, token)
        assert time.monotonic() - began < 2
        await until(is_settled(here))


def is_settled(house: House) -> Callable[[], Awaitable[bool]]:
    async def settled() -> bool:
        assert house.database is not None
        async with house.database.read() as connection:
            undone = await connection.exec_driver_sql(
                "SELECT count(*) FROM outbox WHERE done_at IS NULL AND touches = 'tokens'"
            )
            return bool(undone.scalar_one() == 0)

    return settled


async def test_an_end_that_the_server_could_not_be_told_of_leaves_no_copy_that_counts(
    here: House, there: House, user: UUID, valkey: Valkey
) -> None:
    token = await here.sessions.create_session(user, {})
    session = await there.sessions.touch(token)
    await here.sessions.touch(token)
    valkey.ask("ACL", "SETUSER", "default", "-evalsha", "-eval")
    await here.sessions.revoke(user, session.id)
    with pytest.raises(SessionExpired):
        await here.sessions.touch(token)
    with pytest.raises(Exception, match="NOPERM"):
        await here.sessions.forget([token_hash(token)])
    valkey.ask("ACL", "SETUSER", "default", "+evalsha", "+eval")
    await back(here)
    await refused(there, token)


async def test_connections_that_are_cut_cost_nobody_a_session(
    here: House, there: House, user: UUID, valkey: Valkey
) -> None:
    tokens = [await here.sessions.create_session(user, {}) for _ in range(5)]
    ended: list[str] = []
    for turn in range(10):
        kind = ("normal", "pubsub")[turn % 2]
        valkey.ask("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")
        if turn % 2:
            ended.append(tokens.pop())
            assert await here.sessions.revoke(user, (await here.sessions.get(ended[-1])).id)
        for house in (here, there):
            for token in tokens:
                await house.sessions.touch(token)
            for token in ended:
                await refused(house, token)


async def test_a_server_that_is_full_leaves_the_database(here: House, there: House, user: UUID, valkey: Valkey) -> None:
    token, other = [await here.sessions.create_session(user, {}) for _ in range(2)]
    await known_there(there, other)
    valkey.ask("CONFIG", "SET", "maxmemory", "1")
    assert (await there.sessions.touch(token)).user_id == str(user)
    await here.sessions.invalidate_user_sessions(user)
    for house in (here, there):
        await refused(house, token)
        await refused(house, other)


async def test_where_tracking_is_refused_ends_are_heard_on_a_channel(
    valkey: Valkey, migrated_url: str, clock: Hands
) -> None:
    valkey.ask("ACL", "SETUSER", "poor", "on", ">pw", "~*", "&*", "+@all", "-client|tracking")
    url = f"redis://poor:pw@127.0.0.1:{valkey.port}"
    async with (
        opened(migrated_url, url, NAMESPACE, clock) as here,
        opened(migrated_url, url, NAMESPACE, clock) as there,
    ):
        user = await here.user()
        token = await here.sessions.create_session(user, {})
        await known_there(there, token)
        await here.sessions.invalidate_user_sessions(user)
        await refused(there, token)


@pytest.mark.parametrize("has_database", [True, False])
async def test_everything_works_on_a_cluster(
    shared_cluster: Cluster,
    migrated_url: str,
    redis_namespace: str,
    clock: Hands,
    has_database: bool,  # noqa: FBT001
) -> None:
    url = migrated_url if has_database else None
    async with (
        opened(url, shared_cluster.url, redis_namespace, clock) as here,
        opened(url, shared_cluster.url, redis_namespace, clock) as there,
    ):
        user = await here.user()
        tokens = [await here.sessions.create_session(user, {}) for _ in range(8)]
        for token in tokens:
            await known_there(there, token)
        tokens[0] = await there.sessions.rotate(tokens[0])
        clock.forward(MINUTE)
        kept = await here.sessions.touch(tokens[0])
        await here.noted()
        assert (await there.sessions.get_user_sessions(user))[0].last_seen_at == clock.now()
        assert await here.sessions.revoke_others(user, kept.id) == 7
        for token in tokens[1:]:
            await refused(there, token)
        assert await there.sessions.get_user_sessions(user) == [kept]


# A server that has nothing behind it


async def test_without_a_database_a_server_that_is_away_is_said_to_be(valkey: Valkey) -> None:
    async with Keel.open(valkey.url, NAMESPACE, session_options=SessionOptions()) as keel:
        await until(lambda: keel.sessions.is_coherent)
        token = await keel.sessions.create_session("7", {"theme": "dark"})
        assert (await keel.sessions.get(token)).data == {"theme": "dark"}
        await asyncio.to_thread(valkey.kill)
        await until(lambda: not keel.sessions.is_coherent)
        with pytest.raises(Unavailable):
            await keel.sessions.get(token)
        await asyncio.to_thread(valkey.start)
        await until(lambda: keel.sessions.is_coherent)
        with pytest.raises(SessionUnknown):
            await keel.sessions.get(token)


async def test_without_a_database_a_users_list_lasts_as_long_as_their_last_session(
    valkey: Valkey, clock: Hands
) -> None:
    lifetimes = Lifetimes(absolute=timedelta(days=30))
    async with Keel.open(valkey.url, NAMESPACE, session_options=SessionOptions(None, lifetimes, clock)) as keel:
        first = await keel.sessions.create_session("7", {})
        clock.forward(timedelta(days=6))
        await keel.sessions.touch(first)
        await keel.sessions.create_session("7", {})
        keys = ServerKeys(NAMESPACE)
        lives = valkey.ask("PTTL", keys.index("7"))
        assert timedelta(days=29) < timedelta(milliseconds=lives) <= timedelta(days=30)
        for _ in range(3):
            assert len(await keel.sessions.get_user_sessions("7")) == 2
        assert valkey.ask("PTTL", keys.index("7")) <= lives
        clock.forward(timedelta(days=6))
        await keel.sessions.touch(first)
        clock.forward(timedelta(days=19))
        await keel.sessions.create_session("7", {})
        assert valkey.ask("ZCARD", keys.index("7")) == 2, "what can live no more is listed no more"


def test_what_is_written_of_a_session_is_read_again_or_counts_as_nothing() -> None:
    kept = Kept.begun(b"\x01" * 32, "id", "7", {"ip": "203.0.113.7"}, LIFETIMES, Hands().now())
    state = State(b"5", kept)
    assert read_state(state.written()) == state
    for nothing in (None, b"", b"ended", state.written()[:-1], b"\x91\x05"):
        assert read_state(nothing) is None


@pytest.mark.parametrize(
    "lengths",
    [
        {"idle": timedelta(seconds=1)},
        {"touch": timedelta(hours=1)},
        {"per_user": 0},
    ],
)
def test_lifetimes_that_cannot_be_meant_are_refused(lengths: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        Lifetimes(**lengths)
