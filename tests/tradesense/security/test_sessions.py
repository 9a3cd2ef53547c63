from tests.application import Person, Served
from tradesense.db.engine import Database
from tradesense.security.repository.sessions import SqlSessions


async def test_the_sessions_of_a_user_are_listed_with_where_they_came_from(app: Served, user: Person) -> None:
    phone = await app.person()
    phone.headers["User-Agent"] = "Phone/1\x7f" + "x" * 400
    await phone.log_in(user.email)
    listed = (await user.get("/sessions")).json()
    assert listed["next"] is None
    newest, oldest = listed["items"]
    assert (newest["current"], oldest["current"]) == (False, True)
    assert newest["user_agent"].startswith("Phone/1 x")
    assert len(newest["user_agent"]) == 300
    assert newest["ip"] == "127.0.0.1"
    assert newest["created_at"] == "2026-03-02T12:00:00Z"
    assert newest["expires_at"] == "2026-03-09T12:00:00Z"


async def test_one_session_is_ended(app: Served, user: Person) -> None:
    other = await app.person()
    await other.log_in(user.email)
    (session,) = [each for each in (await user.get("/sessions")).json()["items"] if not each["current"]]
    assert (await user.delete(f"/sessions/{session['id']}")).status_code == 204
    assert (await other.get("/auth/me")).status_code == 401
    again = await user.delete(f"/sessions/{session['id']}")
    assert (again.status_code, again.json()["code"]) == (404, "session_not_found")


async def test_a_user_logs_out_everywhere_else(app: Served, user: Person) -> None:
    other = await app.person()
    await other.log_in(user.email)
    assert (await user.delete("/sessions", params={"keep": "current"})).status_code == 204
    assert [(await each.get("/auth/me")).status_code for each in (user, other)] == [200, 401]


async def test_a_user_logs_out_everywhere(app: Served, user: Person) -> None:
    other, stranger = await app.person(), await app.user()
    await other.log_in(user.email)
    assert (await user.delete("/sessions")).status_code == 204
    assert [(await each.get("/auth/me")).status_code for each in (user, other, stranger)] == [401, 401, 200]


async def test_what_has_expired_is_forgotten(app: Served, user: Person, database: Database) -> None:
    store = SqlSessions(database, app.clock, app.state["logins"].lifetimes)
    assert await store.forget_expired(database.write) == 0
    app.clock.forward(app.state["logins"].lifetimes.idle)
    assert (await user.get("/auth/me")).json()["code"] == "session_expired"
    assert await store.forget_expired(database.write) == 1
    assert (await user.get("/auth/me")).json()["code"] == "session_unknown"
