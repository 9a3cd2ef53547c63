"""Who asks: known without asking the database, and never as of before a write that the request has seen."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

import pytest
import redis

from tests.application import PASSWORD, Person, Serve, Served
from tests.queries import counting
from tests.tradesense.db.copies import until
from tests.valkey import Valkey
from tradesense.db.engine import Database
from tradesense.db.invalidation import profile_tag
from tradesense.http.versions import HEADER

ME: Final = "/auth/me"
SUMMARY: Final = "/portfolio/summary"


def database_of(app: Served) -> Database:
    return app.state["users"]._database


def is_live(app: Served) -> Callable[[], bool]:
    keel = app.state["keel"]
    return lambda: keel.cache.stats().mode == "live" and keel.sessions.is_coherent


@pytest.fixture
async def pair(serve: Serve, valkey: Valkey) -> tuple[Served, Served]:
    """Two instances on one database and one server."""
    here, there = await serve(redis_url=valkey.url), await serve(redis_url=valkey.url)
    for app in (here, there):
        await until(is_live(app))
    return here, there


async def guest(app: Served, user: Person) -> Person:
    """The user, at another instance."""
    person = await app.person()
    person.headers["Authorization"] = user.headers["Authorization"]
    return person


def deaf(app: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an instance's cache not hear what others write, as while the word travels."""
    standing = app.state["keel"].cache._tiers.standing
    monkeypatch.setattr(standing, "changed", lambda _notices: None)
    for listeners in app.state["keel"].redis._redis._audience._listeners.values():  # type: ignore[union-attr]
        for listener in listeners:
            if listener.tracker is standing:
                monkeypatch.setattr(listener, "tracker", _Nobody())


class _Nobody:
    def changed(self, _keys: list[bytes] | None) -> None: ...
    def lost(self) -> None: ...
    def live(self) -> None: ...


async def test_a_request_of_somebody_who_is_known_costs_no_sql(app: Served, user: Person) -> None:
    await user.get(SUMMARY)
    await user.get(SUMMARY)
    with counting(database_of(app)) as asked:
        for _ in range(10):
            assert (await user.get(SUMMARY)).headers["X-Cache"] == "hit"
    assert asked == []


async def test_at_another_instance_it_costs_one_look_for_the_session_alone(pair: tuple[Served, Served]) -> None:
    here, there = pair
    user = await here.user()
    await user.get(SUMMARY)
    person = await guest(there, user)
    with counting(database_of(there)) as asked:
        assert (await person.get(SUMMARY)).headers["X-Cache"] == "hit"
    assert [statement for statement in asked if " FROM " in statement and "FROM sessions" not in statement] == []


async def test_what_a_user_changes_counts_at_once(app: Served, user: Person) -> None:
    for currency in ("EUR", "GBP", "USD"):
        assert (await user.patch(ME, json={"currency": currency})).is_success
        assert (await user.get(SUMMARY)).json()["currency"] == currency
    assert app.state["keel"].cache.stats().groups["profile"].loads >= 3


async def test_a_request_that_has_seen_a_write_is_answered_as_of_it_wherever(
    pair: tuple[Served, Served], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = pair
    user = await here.user()
    person = await guest(there, user)
    assert (await person.get(SUMMARY)).json()["currency"] == "USD"
    deaf(there, monkeypatch)
    written = await user.patch(ME, json={"currency": "EUR"})
    assert (await person.get(SUMMARY)).json()["currency"] == "USD", "the word is on its way"
    seen = {HEADER: written.headers[HEADER]}
    with counting(database_of(there)) as asked:
        assert (await person.get(SUMMARY, headers=seen)).json()["currency"] == "EUR"
    assert asked != []
    ahead = {HEADER: str(int(written.headers[HEADER]) + 1)}
    assert (await person.get(SUMMARY, headers=ahead)).status_code == 412
    for nonsense in ("-1", "1" * 30, "x", "²"):
        answer = await person.get(SUMMARY, headers=[(HEADER.encode(), nonsense.encode("latin-1"))])
        assert answer.status_code == 422


async def test_what_one_instance_writes_the_others_hear_of(pair: tuple[Served, Served]) -> None:
    here, there = pair
    user = await here.user()
    person = await guest(there, user)
    await person.get(SUMMARY)
    await user.patch(ME, json={"currency": "EUR"})

    async def is_heard() -> bool:
        return bool((await person.get(SUMMARY)).json()["currency"] == "EUR")

    await until(is_heard)


async def test_while_the_server_is_away_nothing_lags(pair: tuple[Served, Served], valkey: Valkey) -> None:
    here, there = pair
    if database_of(here).dialect == "sqlite":
        pytest.skip("a file is served by one process, which knows all that is written")
    user = await here.user()
    person = await guest(there, user)
    await person.get(SUMMARY)
    await asyncio.to_thread(valkey.kill)
    for app in pair:
        await until(lambda app=app: app.state["keel"].cache.stats().mode == "outage")  # type: ignore[misc]
    for currency in ("EUR", "GBP", "USD"):
        await user.patch(ME, json={"currency": currency})
        assert (await person.get(SUMMARY)).json()["currency"] == currency


async def test_a_role_and_a_ban_count_at_once_here_and_soon_elsewhere(pair: tuple[Served, Served]) -> None:
    here, there = pair
    user = await here.user()
    person = await guest(there, user)
    token = user.headers["Authorization"].removeprefix("Bearer ")
    identify, elsewhere = (app.state["identities"].identify for app in pair)
    assert not (await identify(token)).is_admin
    assert not (await elsewhere(token)).is_admin
    await here.state["users"].promote(user.email)
    assert (await identify(token)).is_admin

    async def is_admin_there() -> bool:
        return (await elsewhere(token)).is_admin

    await until(is_admin_there)
    await here.state["users"].disable(user.email)
    assert (await user.get(ME)).status_code == 401

    async def is_refused_there() -> bool:
        return (await person.get(ME)).status_code == 401

    await until(is_refused_there)


async def test_a_session_that_is_ended_here_is_refused_there(pair: tuple[Served, Served]) -> None:
    here, there = pair
    user = await here.user()
    person = await guest(there, user)
    assert (await person.get(ME)).status_code == 200
    await user.delete("/sessions")
    assert (await user.get(ME)).status_code == 401

    async def is_refused_there() -> bool:
        return (await person.get(ME)).status_code == 401

    await until(is_refused_there)


async def test_a_change_of_password_ends_the_others_everywhere_but_not_this(pair: tuple[Served, Served]) -> None:
    here, there = pair
    user = await here.user()
    other = await there.person()
    await other.log_in(user.email)
    change: dict[str, Any] = {"current_password": PASSWORD, "new_password": "another horse battery staple"}
    assert (await user.post("/auth/change-password", json=change)).status_code == 204
    assert (await user.get(ME)).status_code == 200

    async def is_refused() -> bool:
        return (await other.get(ME)).status_code == 401

    await until(is_refused)


async def test_nothing_secret_is_in_what_is_shared(pair: tuple[Served, Served], valkey: Valkey) -> None:
    here, there = pair
    user = await here.user()
    await (await guest(there, user)).get(SUMMARY)
    token = user.headers["Authorization"].removeprefix("Bearer ")
    kept = await here.state["users"].get_by_email(user.email)
    with redis.Redis(port=valkey.port) as client:
        keys = client.keys("*")
        found = b"".join([*keys, *(client.get(key) or b"" for key in keys if client.type(key) == b"string")])
    assert profile_tag(kept.id).encode() in found
    assert token.encode() not in found
    assert kept.password_hash.encode() not in found
