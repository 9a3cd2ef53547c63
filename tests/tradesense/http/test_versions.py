"""Writes and their versions: whatever changes what a user sees is counted, and is answered once no copies are left."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final
from uuid import UUID

import pytest
from sqlalchemy import select

from keel.tasks import Tasks
from tests.application import PASSWORD, Person, Served, served
from tests.samples import DAY, Samples, ended, failed_import, fill, made
from tests.tradesense.db.copies import Copies
from tests.tradesense.http.test_isolation import requests_of, send
from tradesense.db.engine import Database
from tradesense.db.tables import outbox
from tradesense.db.writes import Touches
from tradesense.http.openapi import Document, operations
from tradesense.http.versions import HEADER
from tradesense.settings import Settings

Json = dict[str, Any]

FILL: Final = {"symbol": "MSFT", "side": "buy", "quantity": "1", "price": "400", "executed_at": f"{DAY}T15:00:00Z"}
COUNTED: Final[dict[str, Json | None]] = {
    "add_account": {"name": "Second", "starting_balance": "500"},
    "edit_account": {"starting_balance": "20000"},
    "edit_me": {"currency": "EUR"},
    "add_execution": FILL,
    "edit_trade": {"tags": ["late"], "rating": 5},
    "write_day": {"notes": "Otherwise."},
    "add_playbook": {"name": "Fade"},
    "edit_playbook": {"name": "Faded"},
    "delete_playbook": None,
    "delete_execution": None,
    "delete_import": None,
    "delete_account": None,
}
"""Operations that change a user's data, in the order in which a test does them, and what they are sent."""
TOUCHED: Final = {
    "edit_trade": Touches.LABELS,
    "write_day": Touches.NOTES,
    "add_playbook": Touches.LABELS,
    "edit_playbook": Touches.LABELS,
    "delete_playbook": Touches.LABELS,
}
"""What operations touch that do not touch everything."""
OF_ONE_ACCOUNT: Final = {
    "edit_account",
    "add_execution",
    "edit_trade",
    "delete_execution",
    "delete_import",
    "delete_account",
}
UNCOUNTED: Final = {
    "register": "a new user has nothing yet",
    "login": "sessions are no data, and nothing is kept of them",
    "logout": "the same",
    "end_session": "the same",
    "end_sessions": "the same",
    "end_sessions_of_user": "the same",
    "make_api_key": "keys are no data either",
    "delete_api_key": "the same",
    "change_password": "the same",
    "start_import": "a queued import changes no figures; it is counted when it is published",
    "answer_import": "the same",
    "preview_import": "it changes nothing",
}
"""Operations that need not be counted, and why."""
OF_THE_SERVICE: Final = {"retry_task", "decide_error", "set_logger"}
"""What administrators do to what is nobody's data: a task counts what it changes itself."""
UNSAFE: Final = {"post", "put", "patch", "delete"}
NOT_DATA: Final = {"/api/v1/imports", "/api/v1/imports/{import_id}", "/api/v1/sessions", "/api/v1/api-keys"}
"""What an import that is queued or a login changes."""


@pytest.fixture
def copies() -> Copies:
    return Copies()


@pytest.fixture
async def app(settings: Settings, copies: Copies) -> AsyncIterator[Served]:
    async with served(settings, copies) as app:
        yield app


@pytest.fixture
def document(app: Served) -> Document:
    return app.app.openapi()


def database_of(app: Served) -> Database:
    return app.state["users"]._database


def tags(touched: Touches, user: str, accounts: Sequence[str]) -> list[str]:
    """The tags that go with a write."""
    whole = [f"user:{user}", *(f"account:{each}" for each in accounts)]
    return {Touches.LEDGER: whole, Touches.LABELS: [f"labels:{user}"], Touches.NOTES: []}[touched]


async def written(app: Served, user: Person) -> Sequence[Any]:
    """The rows that writes of a user's data have left."""
    of_data = (outbox.c.user_id == UUID(user.user_id)) & (outbox.c.version > 0)
    query = select(outbox).where(of_data).order_by(outbox.c.id)
    async with database_of(app).read() as connection:
        return (await connection.execute(query)).all()


async def seen(document: Document, user: Person, samples: Samples) -> dict[str, tuple[int, str]]:
    """What a user is answered, but for what is no data of theirs."""
    answers: dict[str, tuple[int, str]] = {}
    for path, _, request in requests_of(document, samples.ids):
        if request.method == "GET" and path not in NOT_DATA:
            answer = await send(user, request)
            told = answer.text.replace(answer.headers["x-request-id"], "")
            answers[str(request.url)] = (answer.status_code, told)
    return answers


def test_every_operation_that_may_change_something_is_known_to_be_counted_or_not(document: Document) -> None:
    unsafe = {operation["operationId"] for _, method, operation in operations(document) if method in UNSAFE}
    assert unsafe == COUNTED.keys() | UNCOUNTED.keys() | OF_THE_SERVICE
    assert not COUNTED.keys() & UNCOUNTED.keys()


async def test_every_operation_that_changes_a_users_data_leaves_a_row_and_then_no_copies(
    app: Served, user: Person, document: Document, copies: Copies
) -> None:
    samples = await fill(user)
    account = samples.ids["account_id"]
    known = {operation["operationId"]: (path, method) for path, method, operation in operations(document)}
    before = await seen(document, user, samples)
    for name, body in COUNTED.items():
        path, method = known[name]
        sent = {**body, "account_id": account} if name == "add_execution" and body else body
        rows, _ = len(await written(app, user)), copies.taken()
        url = path.removeprefix("/api/v1").format(**samples.ids)
        answer = await user.request(method, url, json=sent)
        assert answer.is_success, f"{name}: {answer.text}"
        told = copies.taken()
        (row,) = (await written(app, user))[rows:]
        assert answer.headers[HEADER] == str(row.version), name
        touched = TOUCHED.get(name, Touches.LEDGER)
        assert row.touches is touched, name
        if name in OF_ONE_ACCOUNT:
            assert row.accounts == [account], name
        assert told == tags(touched, user.user_id, row.accounts or ()), name
        after = await seen(document, user, samples)
        assert after != before, f"{name} is to change something, or it proves nothing"
        before = after


async def test_what_is_not_counted_changes_nothing_of_a_users_data(
    app: Served, user: Person, document: Document
) -> None:
    samples = await fill(user)
    failed = await failed_import(user)
    other = await app.person()
    await other.log_in(user.email)
    before, rows = await seen(document, user, samples), len(await written(app, user))
    file = {"file": ("empty.csv", b"", "text/csv")}
    new = "another horse battery staple"
    done = {
        "register": await other.post("/auth/register", json={"email": "new@example.com", "password": PASSWORD}),
        "login": await other.log_in(user.email),
        "preview_import": await user.post("/imports/preview", files=file),
        "start_import": await user.post("/imports", files=file),
        "answer_import": await user.patch(f"/imports/{failed}", json={"timezone": "UTC"}),
        "logout": await other.post("/auth/logout"),
        "change_password": await user.post(
            "/auth/change-password", json={"current_password": PASSWORD, "new_password": new}
        ),
    }
    await other.log_in(user.email, new)
    sessions = (await made(user.get("/sessions")))["items"]
    (theirs,) = (each["id"] for each in sessions if not each["current"])
    done["end_session"] = await user.delete(f"/sessions/{theirs}")
    done["end_sessions"] = await user.delete("/sessions", params={"keep": "current"})
    done["make_api_key"] = await user.post("/api-keys", json={"name": "Sheet"})
    done["delete_api_key"] = await user.delete(f"/api-keys/{done['make_api_key'].json()['id']}")
    admin = await app.user()
    await app.state["users"].promote(admin.email)
    done["end_sessions_of_user"] = await admin.delete(f"/users/{user.user_id}/sessions")
    await user.log_in(user.email, new)
    assert done.keys() == UNCOUNTED.keys()
    assert {name: answer.text for name, answer in done.items() if not answer.is_success} == {}
    for upload in (failed, done["start_import"].json()["id"]):
        assert (await ended(user, upload))["status"] == "failed"
    assert await seen(document, user, samples) == before
    assert len(await written(app, user)) == rows


async def test_an_import_counts_when_it_is_published(app: Served, user: Person, copies: Copies) -> None:
    samples = await fill(user)
    (first, import_, *_) = await written(app, user)
    assert first.accounts == import_.accounts == [samples.ids["account_id"]]
    assert (first.version, import_.version) == (1, 2)
    assert copies.told[2:4] == copies.told[:2] == [f"user:{user.user_id}", f"account:{samples.ids['account_id']}"]


async def test_a_write_is_answered_after_its_copies_are_gone(app: Served, user: Person, copies: Copies) -> None:
    reached, released = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        reached.set()
        await released.wait()

    copies.before = wait
    async with Tasks() as tasks:
        asking = tasks.start("a request", user.post("/playbooks", json={"name": "Slow"}))
        await reached.wait()
        assert [row.version for row in await written(app, user)] == [1]
        await asyncio.sleep(0.05)
        assert not asking.done()
        released.set()
        answer = await asking
    assert answer.headers[HEADER] == "1"
    assert copies.told == [f"labels:{user.user_id}"]


async def test_a_request_that_is_cancelled_after_its_commit_leaves_no_copies(
    app: Served, user: Person, copies: Copies
) -> None:
    reached, released = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        reached.set()
        await released.wait()

    copies.before = wait
    async with Tasks() as tasks:
        asking = tasks.start("a request", user.post("/playbooks", json={"name": "Gone"}))
        await reached.wait()
        asking.cancel()
        await asyncio.wait([asking])
    assert asking.cancelled()
    released.set()
    await copies.hears(f"labels:{user.user_id}")
    assert len(await written(app, user)) == 1
