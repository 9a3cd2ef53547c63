"""Errors over HTTP: a planted one appears once, is resolved, and comes back as a regression."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from tests.application import Person, Served
from tests.samples import made
from tests.tradesense.monitoring.conftest import Embedded, administrator
from tests.valkey import Valkey
from tradesense.accounts.service import Accounts
from tradesense.db.engine import Database
from tradesense.db.tables import audit

UNKNOWN = "f1e2d3c4b5a69788"
SECRETS = "password=hunter2 Bearer abcdefghijklmnop 4111 1111 1111 1111 trader@example.com"


async def fails(*_given: object) -> None:
    raise LookupError(SECRETS)


@pytest.fixture
async def app(embedded: Embedded) -> Served:
    """On SQLite: errors are kept elsewhere."""
    return await embedded()


@pytest.fixture
async def database(app: Served, tmp_path: Path) -> AsyncIterator[Database]:
    """The application's."""
    del app
    database = Database(f"sqlite:///{tmp_path / 'embedded.db'}")
    yield database
    await database.close()


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Listing accounts fails."""
    monkeypatch.setattr(Accounts, "page", fails)


async def only(admin: Person, **params: str | int) -> dict[str, Any]:
    (item,) = (await made(admin.get("/monitoring/errors", params=params)))["items"]
    found: dict[str, Any] = item
    return found


async def test_a_planted_error_is_one_group_and_comes_back_as_a_regression(
    app: Served, admin: Person, user: Person, planted: None
) -> None:
    del planted
    for person in (user, user, admin):
        assert (await person.get("/accounts")).status_code == 500
    group = await only(admin, hours=1)
    assert (group["type"], group["count"], group["users"], group["state"]) == ("LookupError", 3, 2, "open")
    assert group["routes"] == [{"route": "GET /api/v1/accounts", "count": 3}]
    assert group["where"] == "tradesense/accounts/endpoints.py list_accounts"
    path = f"/monitoring/errors/{group['fingerprint']}"

    resolved = await made(admin.patch(path, json={"state": "resolved"}))
    assert (resolved["state"], resolved["regressions"]) == ("resolved", 0)
    assert (await made(admin.get("/monitoring/errors", params={"state": "open"})))["items"] == []
    app.clock.forward(timedelta(minutes=1))
    assert (await user.get("/accounts")).status_code == 500
    back = await only(admin, state="open")
    assert (back["count"], back["regressions"]) == (4, 1)

    ignored = await made(admin.patch(path, json={"state": "ignored"}))
    assert ignored["state"] == "ignored"


async def test_a_group_has_its_latest_error_with_a_trace_and_no_secret(
    admin: Person, user: Person, planted: None
) -> None:
    del planted
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    headers = {"traceparent": f"00-{trace}-00f067aa0ba902b7-01", "X-Request-ID": "mine-1"}
    await user.get("/accounts", headers=headers)
    group = await only(admin)
    answer = await admin.get(f"/monitoring/errors/{group['fingerprint']}")
    sample = answer.json()["sample"]
    assert (sample["trace_id"], sample["request_id"]) == (trace, "mine-1")
    assert any(frame["is_own"] and frame["function"] == "list_accounts" for frame in sample["frames"])
    for secret in ("hunter2", "abcdefghijklmnop", "4111", "trader@example.com"):
        assert secret not in answer.text


async def test_what_administrators_decide_is_written_down(
    admin: Person, user: Person, database: Database, planted: None
) -> None:
    del planted
    await user.get("/accounts")
    fingerprint = (await only(admin))["fingerprint"]
    await made(admin.patch(f"/monitoring/errors/{fingerprint}", json={"state": "resolved"}))
    async with database.read() as connection:
        lines = (await connection.execute(select(audit).where(audit.c.subject == fingerprint))).all()
    assert [(str(line.user_id), line.action, line.details) for line in lines] == [
        (admin.user_id, "error.decided", {"state": "resolved"})
    ]


async def test_what_happens_while_redis_is_away_is_told_when_it_is_back(
    embedded: Embedded, valkey: Valkey, planted: None
) -> None:
    del planted
    app = await embedded(redis_url=valkey.url)
    admin = await administrator(app)
    assert (await admin.get("/accounts")).status_code == 500
    assert (await only(admin))["count"] == 1
    valkey.pause()
    try:
        assert (await admin.get("/accounts")).status_code == 500
        answer = await admin.get("/monitoring/errors")
        assert (answer.json()["scope"], answer.json()["items"][0]["count"]) == ("instance", 2)
        path = f"/monitoring/errors/{answer.json()['items'][0]['fingerprint']}"
        assert (await made(admin.get(path)))["scope"] == "instance"
        assert (await admin.patch(path, json={"state": "resolved"})).status_code == 503
    finally:
        valkey.resume()
    async with asyncio.timeout(5):
        while (found := await made(admin.get("/monitoring/errors")))["scope"] != "shared":  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert found["items"][0]["count"] == 2


async def test_refusals_are_no_errors(admin: Person, user: Person) -> None:
    assert (await user.get(f"/trades/{UNKNOWN * 2}")).status_code == 404
    assert (await user.get("/trades/nonsense")).status_code == 422
    assert (await made(admin.get("/monitoring/errors")))["items"] == []


async def test_what_is_not_there_and_what_is_no_fingerprint_are_told_apart(admin: Person) -> None:
    assert (await admin.get(f"/monitoring/errors/{UNKNOWN}")).status_code == 404
    assert (await admin.patch(f"/monitoring/errors/{UNKNOWN}", json={"state": "open"})).status_code == 404
    answer = await admin.get("/monitoring/errors/nonsense")
    assert (answer.status_code, answer.json()["code"]) == (400, "fingerprint_malformed")
    assert (await admin.patch(f"/monitoring/errors/{UNKNOWN}", json={"state": "mended"})).status_code == 422
