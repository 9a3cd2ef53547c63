"""Personal API keys: what they open and what they do not, for how long, and who is held to account."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import pytest
from sqlalchemy import select

from keel.sessions.contract import new_token, token_hash
from tests.application import PASSWORD, Person, Serve, Served
from tests.queries import counting
from tests.tradesense.db.copies import until
from tests.valkey import Valkey
from tradesense.db.engine import Database
from tradesense.db.tables import api_keys, audit
from tradesense.security.service import keys

SUMMARY: Final = "/portfolio/summary"
NOBODYS: Final = "00000000-0000-0000-0000-000000000007"
FORBIDDEN: Final = [
    ("POST", "/auth/logout", None),
    ("POST", "/auth/change-password", {"current_password": PASSWORD, "new_password": "another horse"}),
    ("GET", "/sessions", None),
    ("DELETE", "/sessions", None),
    ("DELETE", f"/sessions/{NOBODYS}", None),
    ("GET", "/api-keys", None),
    ("POST", "/api-keys", {"name": "Another"}),
    ("DELETE", f"/api-keys/{NOBODYS}", None),
]


async def make(user: Person, **asked: object) -> dict[str, Any]:
    answer = await user.post("/api-keys", json={"name": "Sheet", **asked})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def holder(app: Served, made: dict[str, Any]) -> Person:
    """A program that has a key."""
    person = await app.person()
    person.headers["Authorization"] = f"Bearer {made['token']}"
    return person


def codes(*answers: Any) -> list[tuple[int, str | None]]:  # noqa: ANN401 - httpx's
    return [(each.status_code, each.json()["code"] if each.content and each.is_error else None) for each in answers]


async def test_a_key_that_reads_reads_and_writes_nothing(app: Served, user: Person) -> None:
    program = await holder(app, await make(user))
    assert (await program.get("/auth/me")).json()["email"] == user.email
    assert (await program.get(SUMMARY)).status_code == 200
    refused = [
        await program.post("/accounts", json={"name": "Mine"}),
        await program.patch("/auth/me", json={"currency": "EUR"}),
        await program.put("/journal/2026-03-02", json={"notes": "x"}),
        await program.delete(f"/accounts/{NOBODYS}"),
    ]
    assert codes(*refused) == [(403, "key_only_reads")] * 4
    assert (await user.get("/accounts")).json()["items"] == []


async def test_a_key_that_writes_writes(app: Served, user: Person) -> None:
    program = await holder(app, await make(user, scope="write"))
    written = await program.post("/accounts", json={"name": "Mine"}, headers={"Idempotency-Key": "once"})
    again = await program.post("/accounts", json={"name": "Mine"}, headers={"Idempotency-Key": "once"})
    assert (written.status_code, again.json()) == (201, written.json())
    assert [each["name"] for each in (await user.get("/accounts")).json()["items"]] == ["Mine"]


@pytest.mark.parametrize(("method", "path", "body"), FORBIDDEN)
async def test_no_key_decides_who_may_come_in(app: Served, user: Person, method: str, path: str, body: Any) -> None:  # noqa: ANN401 - JSON
    program = await holder(app, await make(user, scope="write"))
    assert codes(await program.request(method, path, json=body)) == [(403, "session_required")]
    assert (await user.get("/auth/me")).status_code == 200


async def test_a_key_is_shown_once_and_kept_as_a_hash(user: Person, database: Database) -> None:
    made = await make(user, name="Tax", expires_at="2027-01-01T00:00:00Z")
    assert made["token"].startswith("tsk_")
    listed = (await user.get("/api-keys")).json()["items"]
    assert listed == [{name: value for name, value in made.items() if name != "token"}]
    assert listed[0]["last_used_at"] is None
    async with database.read() as connection:
        rows = (await connection.execute(select(api_keys))).all()
    assert [row.token_hash for row in rows] == [token_hash(made["token"])]
    assert made["token"] not in str(rows)


async def test_a_made_key_is_not_kept_to_be_answered_again(user: Person) -> None:
    asked = [await user.post("/api-keys", json={"name": "Twice"}, headers={"Idempotency-Key": "k"}) for _ in range(2)]
    assert asked[0].json()["token"] != asked[1].json()["token"]


async def test_the_use_of_a_key_is_noted_every_five_minutes(app: Served, user: Person) -> None:
    made = await make(user)
    program = await holder(app, made)
    used = app.clock.now()
    for _ in range(3):
        await program.get("/auth/me")
        app.clock.forward(timedelta(minutes=1))
    (listed,) = (await user.get("/api-keys")).json()["items"]
    assert datetime.fromisoformat(listed["last_used_at"]) == used


async def test_a_key_that_is_known_costs_no_sql(app: Served, user: Person) -> None:
    program = await holder(app, await make(user))
    for _ in range(2):
        await program.get(SUMMARY)
    with counting(app.state["users"]._database) as asked:
        assert (await program.get(SUMMARY)).headers["X-Cache"] == "hit"
    assert asked == []


async def test_a_key_opens_nothing_once_it_has_expired(app: Served, user: Person) -> None:
    expires = app.clock.now() + timedelta(hours=1)
    program = await holder(app, await make(user, expires_at=expires.isoformat()))
    assert (await program.get("/auth/me")).status_code == 200
    app.clock.forward(timedelta(hours=1))
    answer = await program.get("/auth/me")
    assert codes(answer) == [(401, "api_key_expired")]
    assert answer.headers["WWW-Authenticate"] == "Bearer"


async def test_a_key_that_would_have_expired_is_not_made(app: Served, user: Person) -> None:
    answer = await user.post("/api-keys", json={"name": "Late", "expires_at": app.clock.now().isoformat()})
    assert codes(answer) == [(422, "expiry_passed")]
    assert answer.json()["errors"][0]["loc"] == ["body", "expires_at"]
    assert (await user.get("/api-keys")).json()["items"] == []


async def test_a_deleted_key_opens_nothing_at_once(app: Served, user: Person) -> None:
    made = await make(user)
    program = await holder(app, made)
    assert (await program.get("/auth/me")).status_code == 200
    assert (await user.delete(f"/api-keys/{made['id']}")).status_code == 204
    assert codes(await program.get("/auth/me")) == [(401, "api_key_unknown")]
    assert codes(await user.delete(f"/api-keys/{made['id']}")) == [(404, "api_key_not_found")]


async def test_nobody_deletes_the_key_of_another(app: Served, user: Person) -> None:
    made, other = await make(user), await app.user()
    assert (await other.delete(f"/api-keys/{made['id']}")).status_code == 404
    assert (await (await holder(app, made)).get("/auth/me")).status_code == 200


async def test_a_deleted_key_opens_nothing_at_any_instance(serve: Serve, valkey: Valkey) -> None:
    here, there = await serve(redis_url=valkey.url), await serve(redis_url=valkey.url)
    user = await here.user()
    made = await make(user)
    programs = [await holder(app, made) for app in (here, there)]
    for program in programs:
        assert (await program.get("/auth/me")).status_code == 200
    await user.delete(f"/api-keys/{made['id']}")
    assert (await programs[0].get("/auth/me")).status_code == 401
    await until(_refused(programs[1]))


def _refused(program: Person) -> Callable[[], Awaitable[bool]]:
    async def is_refused() -> bool:
        return (await program.get("/auth/me")).status_code == 401

    return is_refused


@pytest.mark.parametrize(
    "token",
    [keys.PREFIX + new_token(), keys.PREFIX, keys.PREFIX + "x" * 300, "tsk_" + "x" * 39],
    ids=["never given", "empty", "too long", "of the old length"],
)
async def test_what_is_no_key_opens_nothing(anyone: Person, token: str) -> None:
    answer = await anyone.get("/auth/me", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 401


async def test_a_key_in_the_cookie_is_no_login(app: Served, user: Person) -> None:
    made, browser = await make(user), await app.person()
    browser.cookies.set("tradesense", made["token"])
    assert codes(await browser.get("/auth/me")) == [(401, "login_required")]


async def test_keys_outlive_sessions_and_passwords_but_not_their_user(app: Served, user: Person) -> None:
    program = await holder(app, await make(user))
    await user.delete("/sessions")
    assert (await program.get("/auth/me")).status_code == 200
    await app.state["users"].disable(user.email)
    assert codes(await program.get("/auth/me")) == [(401, "user_disabled")]


async def test_a_user_has_so_many_keys_and_no_more(user: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "MOST", 2)
    for _ in range(2):
        await make(user)
    assert codes(await user.post("/api-keys", json={"name": "One more"})) == [(409, "too_many_api_keys")]


async def test_what_a_key_did_is_told_from_what_its_user_did(app: Served, user: Person, database: Database) -> None:
    made = await make(user, scope="write")
    program = await holder(app, made)
    await program.patch("/auth/me", json={"currency": "EUR"})
    await user.patch("/auth/me", json={"currency": "USD"})
    await user.delete(f"/api-keys/{made['id']}")
    async with database.read() as connection:
        lines = (await connection.execute(select(audit).order_by(audit.c.id))).all()
    told = [(line.action, line.subject) for line in lines if line.user_id == UUID(user.user_id)][2:]
    assert told == [
        ("api_key.made", made["id"]),
        ("user.edited", made["id"]),
        ("user.edited", None),
        ("api_key.deleted", made["id"]),
    ]


async def test_a_key_is_a_subject_of_its_own(app: Served, user: Person) -> None:
    made = await make(user)
    identify = app.state["identities"].identify
    of_key = await identify(made["token"])
    of_user = await identify(user.headers["Authorization"].removeprefix("Bearer "))
    assert (of_key.subject, of_user.subject) == (f"key:{made['id']}", f"user:{user.user_id}")
    assert of_key.user_id == of_user.user_id
    assert made["token"] not in repr(of_key)


async def test_an_administrator_ends_a_users_sessions(app: Served, user: Person, database: Database) -> None:
    admin, other = await app.user(), await app.person()
    await other.log_in(user.email)
    path = f"/users/{user.user_id}/sessions"
    assert codes(await other.delete(path)) == [(403, "admin_required")]
    await app.state["users"].promote(admin.email)
    assert (await admin.delete(path)).status_code == 204
    assert [(await each.get("/auth/me")).status_code for each in (user, other, admin)] == [401, 401, 200]
    assert codes(await admin.delete(f"/users/{NOBODYS}/sessions")) == [(404, "no_such_user")]
    async with database.read() as connection:
        (line,) = await connection.execute(select(audit).where(audit.c.action == "sessions.ended"))
    assert (line.user_id, line.subject) == (UUID(user.user_id), admin.user_id)


async def test_the_device_of_a_session_is_shown(app: Served, user: Person) -> None:
    browser = await app.person()
    browser.headers["User-Agent"] = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
    await browser.log_in(user.email)
    listed = (await browser.get("/sessions")).json()["items"]
    assert [each["device"] for each in listed] == ["Firefox on Linux", "Python"]
    assert datetime.fromisoformat(listed[0]["created_at"]).tzinfo == UTC
