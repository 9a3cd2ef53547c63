"""What users are told of: imports, writes, what they brought and changed, logins; by whichever instance."""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from shutil import copyfile
from typing import Any

import httpx
import pytest

from keel.events.contract import Message
from keel.ids import uuid7
from tests.application import Person, Serve, Served, served
from tests.conftest import CHECKOUT
from tests.samples import DAY, FILLS
from tests.tradesense.events.talking import Closed, Socket, own, socket, talking, token_of
from tradesense.db.writes import Touches, Write
from tradesense.events.service.announcements import Announcements
from tradesense.settings import Settings
from tradesense.wiring import opened

IMPORTING = "tests.tradesense.events.importing_process"
FILL = {
    "symbol": "MSFT",
    "asset_class": "stock",
    "currency": "USD",
    "side": "buy",
    "quantity": "10",
    "price": "100",
    "executed_at": "2026-02-17T14:30:00Z",
}


@pytest.fixture
def settings(migrated_url: str, tmp_path: Path) -> Settings:
    """Settings on each kind of database: what a write has brought is asked of it."""
    return Settings.load({}, database_url=migrated_url, data_dir=tmp_path, rate_limits="off")


@pytest.fixture
async def instances(
    redis_url: str, redis_namespace: str, tmp_path: Path, migrated_sqlite: Path
) -> AsyncIterator[list[Served]]:
    """Two instances over one database and one Valkey."""
    url = f"sqlite:///{copyfile(migrated_sqlite, tmp_path / 'tradesense.db')}"
    given = {"TRADESENSE_ENVIRONMENT": redis_namespace, "REDIS_URL": redis_url}
    settings = Settings.load(given, database_url=url, data_dir=tmp_path, rate_limits="off")
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(served(settings)) for _ in range(2)]


async def upload(user: Person, symbol: str = "AAPL") -> str:
    file = {"file": (f"{symbol}.csv", FILLS.format(symbol=symbol).encode(), "text/csv")}
    answer = await user.post("/imports", files=file, data={"timezone": "UTC"})
    assert answer.status_code == 202, answer.text
    import_id: str = answer.json()["id"]
    return import_id


async def account_of(user: Person) -> str:
    account_id: str = (await user.post("/accounts", json={"name": "Main", "starting_balance": "1000"})).json()["id"]
    return account_id


async def end_of_import(client: Socket) -> list[dict[str, Any]]:
    """What is said of an import, up to its end."""
    told: list[dict[str, Any]] = []
    while not told or told[-1]["status"] in {"queued", "running"}:
        told.append(await client.heard("import"))
    return told


async def test_an_import_is_followed_on_a_socket_of_another_instance(instances: list[Served]) -> None:
    here, there = instances
    user = await here.user()
    async with socket(there, token_of(user)) as client:
        await client.opened()
        await client.subscribed(own(user))
        import_id = await upload(user)
        told = await end_of_import(client)
        assert {each["import_id"] for each in told} == {import_id}
        assert told[-1] == {
            "type": "import",
            "import_id": import_id,
            "status": "done",
            "rows": 4,
            "executions": 4,
            "percent": 100,
        }
        percents = [each["percent"] for each in told]
        assert percents == sorted(percents)
        executions, trades = await client.heard("executions"), await client.heard("trades")
        listed = (await user.get("/trades")).json()["items"]
        assert executions["count"] == 4
        assert len(executions["ids"]) == 4
        assert (trades["count"], sorted(trades["ids"])) == (2, sorted(each["id"] for each in listed))
        summary = await client.heard("summary")
        assert summary["since"] is None
        shown = (await user.get("/portfolio/summary")).json()
        assert summary["version"] == shown["version"] == trades["version"]
        assert {**shown, **summary["changed"]} == shown
    async with socket(there, token_of(user)) as client:
        await client.opened()
        assert (await client.subscribed(f"import:{import_id}"))["type"] == "subscribed"


@pytest.mark.slow
async def test_what_an_instance_was_killed_before_telling_is_told_by_another(
    redis_url: str, redis_namespace: str, tmp_path: Path, migrated_sqlite: Path
) -> None:
    url = f"sqlite:///{copyfile(migrated_sqlite, tmp_path / 'tradesense.db')}"
    given = {"TRADESENSE_ENVIRONMENT": redis_namespace, "REDIS_URL": redis_url}
    settings = Settings.load(given, database_url=url, data_dir=tmp_path)
    words = (redis_namespace, redis_url, url, str(tmp_path))
    importing = await asyncio.create_subprocess_exec(
        sys.executable, "-m", IMPORTING, *words, stdin=PIPE, stdout=PIPE, cwd=CHECKOUT
    )
    assert importing.stdin is not None
    assert importing.stdout is not None
    try:
        async with asyncio.timeout(60), opened(settings, works=False) as other:
            user = (await importing.stdout.readline()).decode().strip()
            async with other["keel"].events.subscribe(f"user:{user}", member="listening") as stream:
                importing.stdin.write(b"\n")
                assert (await importing.stdout.readline()).startswith(b"user:")
                importing.kill()
                told: dict[str, Any] = {}
                async for item in stream:
                    if isinstance(item, Message):
                        said = json.loads(item.data)
                        told[said["type"]] = said
                    if {"data", "executions", "trades", "summary"} <= told.keys() and (
                        told["import"]["status"] != "running"
                    ):
                        break
    finally:
        if importing.returncode is None:
            importing.kill()
        await importing.communicate()
    assert (told["import"]["status"], told["import"]["executions"], told["import"]["percent"]) == ("done", 4, 100)
    assert (told["executions"]["count"], told["trades"]["count"]) == (4, 2)
    assert told["executions"]["version"] == told["data"]["version"]


async def test_a_session_that_ends_here_is_over_on_the_sockets_of_every_instance(instances: list[Served]) -> None:
    here, there = instances
    user = await here.user()
    key = (await user.post("/api-keys", json={"name": "sheet", "scope": "read"})).json()
    async with (
        socket(here, token_of(user)) as first,
        socket(there, token_of(user)) as second,
        socket(there, key["token"]) as third,
    ):
        for each in (first, second, third):
            await each.opened()
        async with asyncio.timeout(5):
            assert (await user.delete(f"/api-keys/{key['id']}")).status_code == 204
            assert await third.closed() == Closed(4401, "session_ended")
            await user.post("/auth/logout")
            assert await first.closed() == Closed(4401, "session_ended")
            assert await second.closed() == Closed(4401, "session_ended")


async def test_connections_are_counted_over_all_instances(instances: list[Served]) -> None:
    here, there = instances
    user = await here.user()
    await here.state["users"].promote(user.email)
    async with socket(here, token_of(user)) as first, socket(there, token_of(user)) as second:
        await first.opened()
        await second.opened()
        (shown,) = (await user.get("/events/connections")).json()["items"]
        assert shown == {"user_id": user.user_id, "email": user.email, "connections": 2}


async def test_each_write_is_told_of_with_the_version_that_it_made(app: Served, user: Person) -> None:
    async with talking(app, user) as client:
        await client.subscribed(own(user))
        account = await user.post("/accounts", json={"name": "Main"})
        told = await client.heard("data")
        assert told == {
            "type": "data",
            "version": int(account.headers["X-Data-Version"]),
            "touches": "ledger",
            "accounts": [account.json()["id"]],
        }
        day = await user.put(f"/journal/{DAY}", json={"notes": "calm"})
        told = await client.heard("data")
        assert (told["version"], told["touches"]) == (int(day.headers["X-Data-Version"]), "notes")
        await user.patch("/auth/me", json={"currency": "EUR"})
        assert (await client.heard("data"))["accounts"] is None


async def test_logins_and_their_ends_are_told_of(app: Served, user: Person) -> None:
    async with talking(app, user) as client:
        await client.subscribed(own(user))
        phone = await app.person()
        await phone.log_in(user.email)
        assert await client.heard("session.created") == {"type": "session.created"}
        await phone.post("/auth/logout")
        assert await client.heard("session.ended") == {"type": "session.ended"}


class Shown:
    """A summary as a client keeps it: from what it is told."""

    def __init__(self, client: Socket) -> None:
        self.figures: dict[str, Any] = {}
        self.last: dict[str, Any] = {}
        self._client = client
        self._version: int | None = None

    async def catch_up(self, made: httpx.Response) -> dict[str, Any]:
        """What it shows once it has come to the version that a write has made."""
        assert made.is_success, made.text
        while self._version is None or self._version < int(made.headers["X-Data-Version"]):
            self.last = await self._client.heard("summary")
            assert self.last["since"] in {None, self._version}
            self.figures |= self.last["changed"]
            self._version = self.last["version"]
        return self.figures


async def test_of_a_summary_what_has_changed_is_told(app: Served, user: Person) -> None:
    account = await account_of(user)
    async with talking(app, user) as client:
        await client.subscribed(own(user))
        shown = Shown(client)
        opened = await user.post("/executions", json={"account_id": account, **FILL})
        assert await client.heard("executions") == {
            "type": "executions",
            "account_id": account,
            "version": int(opened.headers["X-Data-Version"]),
            "count": 1,
            "ids": [opened.json()["id"]],
        }
        figures = await shown.catch_up(opened)
        assert (figures["open_positions"], figures["net_pnl"]) == (1, "0")
        renamed = await user.patch(f"/accounts/{account}", json={"name": "Other"}, headers={"If-Match": "*"})
        assert renamed.is_success, renamed.text
        other_way = {"side": "sell", "price": "110", "executed_at": "2026-02-17T15:30:00Z"}
        closed = await user.post("/executions", json={"account_id": account, **FILL, **other_way})
        figures = await shown.catch_up(closed)
        assert (figures["open_positions"], figures["net_pnl"]) == (0, "100")
        assert "currency" not in shown.last["changed"]
        assert {**(await user.get("/portfolio/summary")).json(), **figures} == (
            await user.get("/portfolio/summary")
        ).json()


async def test_nobody_works_for_who_does_not_listen(app: Served, user: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    portfolio = app.state["portfolio"]
    monkeypatch.setattr(portfolio, "summary", asked.append)
    other = await app.user()
    account = await account_of(user)
    await user.post("/executions", json={"account_id": account, **FILL})
    monkeypatch.undo()
    async with talking(app, other) as client:
        await client.subscribed(own(other))
        await other.post("/executions", json={"account_id": await account_of(other), **FILL})
        await client.heard("summary")
    assert asked == []


async def test_a_write_stands_whatever_becomes_of_its_telling(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    app = await serve()
    user = await app.user()

    async def fail(*_: object, **__: object) -> None:
        raise OSError("nobody is told")

    monkeypatch.setattr(app.state["keel"].events, "publish", fail)
    assert (await user.post("/accounts", json={"name": "Main"})).status_code == 201
    assert [each["name"] for each in (await user.get("/accounts")).json()["items"]] == ["Main"]
    assert "telling user:" in caplog.text


async def test_what_is_told_is_not_put_into_a_group_that_is_closed(app: Served) -> None:
    told = Announcements(app.state["keel"].events)
    await told.close(timedelta(0))
    told.heard([Write(1, uuid7(), uuid7(), [], Touches.NOTHING)])
