import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from tests.application import ORIGIN, PASSWORD, Hands, Person, Serve, Served
from tradesense.db.engine import Database
from tradesense.db.tables import Role, audit
from tradesense.http.authentication import UserId
from tradesense.security.service import passwords
from tradesense.security.service.logins import Logins
from tradesense.security.service.passwords import Passwords
from tradesense.security.service.refusals import EmailTaken, InvalidCredentials, LoginsBusy, UserNotFound
from tradesense.security.service.users import Admission, Client, Users

CREDENTIALS = {"email": "trader@example.com", "password": PASSWORD}


@pytest.fixture
def database(app: Served) -> Database:
    return app.state["users"]._database


async def trail(database: Database) -> list[tuple[str, UserId | None]]:
    async with database.read() as connection:
        rows = await connection.execute(select(audit.c.action, audit.c.user_id).order_by(audit.c.id))
    return [(row.action, row.user_id) for row in rows]


async def test_a_user_registers_logs_in_and_is_known(anyone: Person) -> None:
    registered = await anyone.post("/auth/register", json={**CREDENTIALS, "email": " Trader@Example.com "})
    assert registered.status_code == 201
    user = registered.json()["user"]
    wanted = {"email": "trader@example.com", "role": "user", "timezone": "UTC", "currency": "USD"}
    assert {name: user[name] for name in wanted} == wanted
    logged_in = await anyone.post("/auth/login", json={**CREDENTIALS, "email": "TRADER@example.com"})
    assert logged_in.status_code == 200
    answer = logged_in.json()
    assert answer["token_type"] == "bearer"
    assert answer["expires_in"] == 7 * 24 * 3600
    assert answer["user"] == user
    me = await anyone.get("/auth/me", headers={"Authorization": f"Bearer {answer['access_token']}"})
    assert me.json() == user


async def test_an_email_address_is_taken_once_however_it_is_written(anyone: Person) -> None:
    assert (await anyone.post("/auth/register", json=CREDENTIALS)).status_code == 201
    again = await anyone.post("/auth/register", json={**CREDENTIALS, "email": "Trader@EXAMPLE.com"})
    assert (again.status_code, again.json()["code"]) == (409, "email_taken")


@pytest.mark.parametrize(
    ("change", "loc"),
    [
        ({"email": "nobody"}, ["body", "email"]),
        ({"email": "a\0b@example.com"}, ["body", "email"]),
        ({"password": "short"}, ["body", "password"]),
        ({"timezone": "Mars/Olympus"}, ["body", "timezone"]),
        ({"currency": "dollars"}, ["body", "currency"]),
        ({"admin": True}, ["body", "admin"]),
    ],
)
async def test_what_cannot_be_a_user_is_refused_by_name(anyone: Person, change: dict[str, Any], loc: list[str]) -> None:
    answer = await anyone.post("/auth/register", json={**CREDENTIALS, **change})
    assert answer.status_code == 422
    assert [error["loc"] for error in answer.json()["errors"]] == [loc]
    assert PASSWORD not in answer.text


async def test_registration_can_be_closed(serve: Serve) -> None:
    anyone = await (await serve(registration="closed")).person()
    answer = await anyone.post("/auth/register", json=CREDENTIALS)
    assert (answer.status_code, answer.json()["code"]) == (403, "registration_closed")


async def test_users_who_do_not_say_are_given_the_instances_zone_and_currency(serve: Serve) -> None:
    app = await serve(timezone="Europe/Berlin", currency="EUR")
    user = await app.user()
    me = (await user.get("/auth/me")).json()
    assert (me["timezone"], me["currency"]) == ("Europe/Berlin", "EUR")


async def test_a_wrong_password_and_an_unknown_address_get_the_same_answer(anyone: Person, user: Person) -> None:
    wrong = await anyone.post("/auth/login", json={"email": user.email, "password": "wrong"})
    unknown = await anyone.post("/auth/login", json={"email": "nobody@example.com", "password": "wrong"})
    assert wrong.status_code == unknown.status_code == 401
    assert {**wrong.json(), "request_id": ""} == {**unknown.json(), "request_id": ""}
    assert wrong.headers["www-authenticate"] == "Bearer"


async def test_an_unknown_address_costs_one_verification_too(
    app: Served, user: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    verified: list[str] = []
    logins = app.state["logins"]
    verify = Passwords._verify

    def counting(self: Passwords, kept: str, password: str) -> bool:
        verified.append(kept)
        return verify(self, kept, password)

    monkeypatch.setattr(Passwords, "_verify", counting)
    for email in (user.email, "nobody@example.com"):
        with pytest.raises(InvalidCredentials):
            await logins.log_in(email, "wrong", Client())
    assert len(verified) == 2
    assert [kept.split("$")[:4] for kept in verified[:1]] == [kept.split("$")[:4] for kept in verified[1:]]


async def test_a_password_counts_however_its_characters_were_composed(anyone: Person) -> None:
    await anyone.post("/auth/register", json={**CREDENTIALS, "password": "Am\u00e9lie123"})
    answer = await anyone.post("/auth/login", json={**CREDENTIALS, "password": "Ame\u0301lie123"})
    assert answer.status_code == 200


async def test_logging_out_ends_the_session_and_takes_the_cookie_back(user: Person) -> None:
    answer = await user.post("/auth/logout")
    assert answer.status_code == 204
    assert 'tradesense=""' in answer.headers["set-cookie"]
    after = await user.get("/auth/me")
    assert (after.status_code, after.json()["code"]) == (401, "session_expired")


async def test_a_changed_password_ends_the_other_sessions_and_no_other(app: Served, user: Person) -> None:
    other, stranger = await app.person(), await app.user()
    await other.log_in(user.email)
    changed = await user.post(
        "/auth/change-password", json={"current_password": PASSWORD, "new_password": "another password"}
    )
    assert changed.status_code == 204
    assert "set-cookie" not in changed.headers
    assert [(await each.get("/auth/me")).status_code for each in (user, other, stranger)] == [200, 401, 200]
    assert (await other.log_in(user.email)).status_code == 401
    assert (await other.log_in(user.email, "another password")).status_code == 200


async def test_a_changed_password_gives_a_browser_a_new_token(app: Served, anyone: Person) -> None:
    await anyone.post("/auth/register", json=CREDENTIALS)
    await anyone.post("/auth/login", json=CREDENTIALS)
    old = anyone.cookies["tradesense"]
    change = {"current_password": PASSWORD, "new_password": "another password"}
    await anyone.post("/auth/change-password", json=change, headers={"Origin": ORIGIN})
    assert anyone.cookies["tradesense"] != old
    assert (await anyone.get("/auth/me")).status_code == 200
    stolen = await app.person()
    stolen.headers["Authorization"] = f"Bearer {old}"
    assert (await stolen.get("/auth/me")).json()["code"] == "session_unknown"


async def test_only_who_knows_the_password_changes_it(user: Person) -> None:
    change = {"current_password": "wrong", "new_password": "another password"}
    answer = await user.post("/auth/change-password", json=change)
    assert (answer.status_code, answer.json()["code"]) == (403, "wrong_password")
    assert (await user.log_in(user.email)).status_code == 200


async def test_of_two_changes_of_a_password_at_once_one_counts_and_the_other_is_refused(user: Person) -> None:
    news = ("another password", "yet another password")
    changes = [{"current_password": PASSWORD, "new_password": new} for new in news]
    answers = await asyncio.gather(*(user.post("/auth/change-password", json=change) for change in changes))
    assert sorted(answer.status_code for answer in answers) == [204, 403]
    logins = [(await user.log_in(user.email, new)).status_code for new in news]
    assert logins == [200 if answer.status_code == 204 else 401 for answer in answers]


async def test_a_login_that_a_change_of_password_overtook_does_not_count(
    app: Served, user: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    logins = app.state["logins"]
    verify = Passwords.verify
    changes = [{"current_password": PASSWORD, "new_password": "another password"}]

    async def overtaken(self: Passwords, kept: str | None, password: str) -> bool:
        is_right = await verify(self, kept, password)
        if password == PASSWORD and changes:
            answer = await user.post("/auth/change-password", json=changes.pop())
            assert answer.status_code == 204
        return is_right

    monkeypatch.setattr(Passwords, "verify", overtaken)
    with pytest.raises(InvalidCredentials):
        await logins.log_in(user.email, PASSWORD, Client())
    assert len((await user.get("/sessions")).json()["items"]) == 1


async def test_preferences_are_edited_and_raise_the_version_of_the_data(user: Person) -> None:
    edited = await user.patch("/auth/me", json={"timezone": "America/New_York", "currency": "EUR"})
    assert (edited.json()["timezone"], edited.json()["currency"]) == ("America/New_York", "EUR")
    assert edited.headers["x-data-version"] == "1"
    unchanged = await user.patch("/auth/me", json={})
    assert (unchanged.json(), unchanged.headers["x-data-version"]) == (edited.json(), "1")


async def test_a_disabled_user_is_refused_at_once(app: Served, user: Person) -> None:
    assert (await user.get("/auth/me")).status_code == 200
    await app.state["users"].disable(user.email)
    assert (await user.get("/auth/me")).status_code == 401
    again = await user.log_in(user.email)
    assert (again.status_code, again.json()["code"]) == (401, "user_disabled")
    assert (await user.log_in(user.email, "wrong")).json()["code"] == "invalid_credentials"


async def test_a_promoted_user_is_an_administrator(app: Served, user: Person) -> None:
    promoted = await app.state["users"].promote(user.email.upper())
    assert (await user.get("/auth/me")).json()["role"] == promoted.role == "admin"
    with pytest.raises(UserNotFound, match=r"nobody@example\.com"):
        await app.state["users"].promote("nobody@example.com")


async def test_every_event_leaves_a_line_of_audit(app: Served, database: Database, user: Person) -> None:
    await user.log_in(user.email, "wrong")
    await user.log_in("nobody@example.com", "wrong")
    change = {"current_password": "wrong", "new_password": "another password"}
    await user.post("/auth/change-password", json=change)
    await user.post("/auth/change-password", json={**change, "current_password": PASSWORD})
    await user.patch("/auth/me", json={"currency": "EUR"})
    other = await app.person()
    await other.log_in(user.email, "another password")
    sessions = (await user.get("/sessions")).json()["items"]
    await user.delete(f"/sessions/{next(each['id'] for each in sessions if not each['current'])}")
    await user.delete("/sessions?keep=current")
    await user.post("/auth/logout")
    await app.state["users"].promote(user.email)
    await app.state["users"].disable(user.email)
    me = UserId(UUID(user.user_id))
    assert await trail(database) == [
        ("user.created", me),
        ("login", me),
        ("login.failed", me),
        ("login.failed", None),
        ("password.refused", me),
        ("password.changed", me),
        ("user.edited", me),
        ("login", me),
        ("session.revoked", me),
        ("sessions.revoked", me),
        ("logout", me),
        ("user.promoted", me),
        ("user.disabled", me),
    ]


async def test_an_outdated_hash_is_replaced_at_the_next_login(
    app: Served, database: Database, user: Person, clock: Hands
) -> None:
    sessions = app.state["logins"]._sessions
    stronger = Passwords(time_cost=2, memory_kib=8)
    users = Users(database, clock, stronger, sessions, Admission())
    logins = Logins(database, clock, stronger, sessions, users, app.state["logins"].lifetimes)
    await logins.log_in(user.email, PASSWORD, Client())
    assert "t=2" in (await users.get(UserId(UUID(user.user_id)))).password_hash
    await logins.log_in(user.email, PASSWORD, Client())


@pytest.fixture
def clock(app: Served) -> Hands:
    return app.clock


async def test_a_session_that_is_used_lives_on_and_one_that_is_not_ends(app: Served, user: Person) -> None:
    for _ in range(3):
        app.clock.forward(timedelta(days=6))
        assert (await user.get("/auth/me")).status_code == 200
    app.clock.forward(timedelta(days=8))
    assert (await user.get("/auth/me")).json()["code"] == "session_expired"


async def test_passwords_that_wait_too_long_in_line_are_turned_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_LONGEST_QUEUE", 0)
    with pytest.raises(LoginsBusy) as refused:
        await Passwords(time_cost=1, memory_kib=8).hash("anything")
    assert refused.value.retry_after == timedelta(seconds=2)


async def test_the_command_line_creates_users_whoever_may_register(app: Served) -> None:
    created = await app.state["users"].create("Boss@Example.com", PASSWORD, role=Role.ADMIN)
    assert (created.email, created.role) == ("boss@example.com", "admin")
    with pytest.raises(EmailTaken):
        await app.state["users"].create("boss@example.com", PASSWORD)
