"""What administrators see of background work, and that nobody else does."""

from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from tests.application import Person, Served
from tradesense.db.engine import Database
from tradesense.db.tables import TaskState, audit
from tradesense.settings import Settings
from tradesense.work.repository import TaskRecord


@pytest.fixture
async def admin(app: Served) -> Person:
    person = await app.user("admin@example.com")
    await app.state["users"].promote("admin@example.com")
    await person.log_in("admin@example.com")
    return person


async def _parked(app: Served, settings: Settings, kind: str = "unheard of") -> TaskRecord:
    database = Database(settings.database)
    async with database.write() as connection:
        await app.state["queue"].park(connection, kind, "7", 5, "RuntimeError: why")
    await database.close()
    (parked,) = await app.state["queue"].page(TaskState.PARKED, None, 10)
    return parked


async def test_an_administrator_sees_what_was_parked_and_why(app: Served, admin: Person, settings: Settings) -> None:
    parked = await _parked(app, settings)
    answer = await admin.get("/admin/tasks", params={"state": "parked"})
    assert answer.status_code == 200
    (task,) = answer.json()["items"]
    assert (task["id"], task["kind"], task["subject"], task["attempts"]) == (str(parked.id), "unheard of", "7", 5)
    assert task["error"] == "RuntimeError: why"
    assert (await admin.get("/admin/tasks", params={"state": "done"})).json()["items"] == []


async def test_lists_come_by_the_page(app: Served, admin: Person) -> None:
    added = [await app.state["queue"].add("unheard of", str(n)) for n in range(5)]
    seen: list[str] = []
    page = (await admin.get("/admin/tasks", params={"limit": 2})).json()
    while True:
        seen += [each["id"] for each in page["items"]]
        if page["next"] is None:
            break
        page = (await admin.get("/admin/tasks", params={"limit": 2, "cursor": page["next"]})).json()
    assert seen == [str(each) for each in reversed(added)]


async def test_a_parked_task_is_retried_and_that_is_audited(app: Served, admin: Person, settings: Settings) -> None:
    parked = await _parked(app, settings)
    answer = await admin.post(f"/admin/tasks/{parked.id}/retry")
    assert answer.status_code == 202
    assert (answer.json()["state"], answer.json()["attempts"]) == ("queued", 0)
    database = Database(settings.database)
    async with database.read() as connection:
        found = (await connection.execute(select(audit).where(audit.c.action == "task.retried"))).one()
    await database.close()
    assert (found.user_id, found.subject) == (UUID(admin.user_id), str(parked.id))
    assert (await admin.post(f"/admin/tasks/{parked.id}/retry")).json()["code"] == "task_not_parked"


async def test_a_task_that_is_not_there_is_not_found(admin: Person) -> None:
    answer = await admin.post(f"/admin/tasks/{uuid4()}/retry")
    assert (answer.status_code, answer.json()["code"]) == (404, "task_not_found")


async def test_nobody_but_administrators_sees_or_retries_tasks(app: Served, user: Person, settings: Settings) -> None:
    parked = await _parked(app, settings)
    anyone = await app.person()
    for person, status in ((user, 403), (anyone, 401)):
        assert (await person.get("/admin/tasks")).status_code == status
        assert (await person.post(f"/admin/tasks/{parked.id}/retry")).status_code == status
    (still,) = await app.state["queue"].page(TaskState.PARKED, None, 10)
    assert still.id == parked.id


async def test_an_administrators_api_key_is_refused(app: Served, admin: Person) -> None:
    made = await admin.post("/api-keys", json={"name": "script", "scope": "write"})
    assert made.status_code == 201
    script = await app.person()
    script.headers["Authorization"] = f"Bearer {made.json()['token']}"
    assert (await script.get("/admin/tasks")).status_code == 403
