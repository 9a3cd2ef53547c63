import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from starlette.types import Message

from tests.application import ORIGIN, Person, Serve, Served, served
from tests.samples import ended, made
from tradesense.app import create_app
from tradesense.settings import Settings
from tradesense.wiring import State, opened
from tradesense.work.service.lanes import Lane


async def test_what_is_opened_is_all_there_and_closed_again(settings: Settings) -> None:
    before = asyncio.all_tasks()
    async with opened(settings) as state:
        assert set(state) == set(State.__annotations__)
        assert asyncio.all_tasks() > before
    assert asyncio.all_tasks() == before


async def test_a_server_starts_and_stops_it_through_all_its_layers(settings: Settings) -> None:
    asked = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])
    answered: list[str] = []

    async def receive() -> Message:
        return next(asked)

    async def send(message: Message) -> None:
        answered.append(message["type"])

    await create_app(settings)({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, receive, send)
    assert answered == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


async def test_the_data_folder_is_made_where_it_is_missing(tmp_path: Path) -> None:
    folder = tmp_path / "not" / "there"
    async with opened(Settings(data_dir=folder)):
        assert (folder / "tradesense.db").exists()


async def test_an_instance_opens_again_on_what_another_left(settings: Settings) -> None:
    async with opened(settings) as state:
        await state["users"].create("trader@example.com", "correct horse battery staple")
    async with opened(settings) as state:
        assert (await state["users"].get_by_email("trader@example.com")).email == "trader@example.com"


async def test_a_command_may_leave_the_queue_to_others(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []

    def note(lane: Lane) -> None:
        started.append(lane.name)

    monkeypatch.setattr(Lane, "start", note)
    async with opened(settings, works=False):
        assert started == []
    async with opened(settings):
        assert started == ["tasks", "imports"]


@pytest.mark.parametrize("seconds", [0, 20])
async def test_an_import_that_runs_when_the_server_stops_is_finished_or_done_by_the_next(
    settings: Settings, seconds: float
) -> None:
    settings = settings.model_copy(update={"shutdown_s": seconds})
    rows = "".join(f"2026-02-17 14:{n // 60 % 60:02}:{n % 60:02},MSFT,buy,1,{n},{n}\n" for n in range(3000))
    file = {"file": ("fills.csv", f"datetime,symbol,side,quantity,price,id\n{rows}".encode(), "text/csv")}
    async with served(settings) as app:
        user = await app.user()
        upload = await made(user.post("/imports", files=file, data={"timezone": "UTC"}))
        while (await made(user.get(f"/imports/{upload['id']}")))["status"] == "queued":
            pass
    async with served(settings) as app:
        app.clock.forward(timedelta(seconds=1))
        again = await app.person()
        await again.log_in(user.email)
        record = await ended(again, upload["id"])
        assert (record["status"], record["executions"]) == ("done", 3000)


async def test_a_path_outside_of_the_api_is_a_problem_too(anyone: Person) -> None:
    answer = await anyone.get(f"{ORIGIN}/favicon.ico")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_a_slash_too_many_is_not_redirected(user: Person) -> None:
    assert (await user.get(f"{ORIGIN}/api/v1/accounts/")).status_code == 404


async def test_pages_of_other_origins_are_not_let_in_unless_configured(app: Served) -> None:
    anyone = await app.person()
    preflight = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    answer = await anyone.options("/auth/login", headers=preflight)
    assert answer.status_code == 400
    assert "access-control-allow-origin" not in answer.headers


async def test_a_page_may_send_the_headers_of_the_api(serve: Serve) -> None:
    origin = "https://app.example.com"
    anyone = await (await serve(cors_origins=(origin,))).person()
    wanted = "authorization, content-type, idempotency-key, if-match, x-data-version"
    preflight = {
        "Origin": origin,
        "Access-Control-Request-Method": "PATCH",
        "Access-Control-Request-Headers": wanted,
    }
    answer = await anyone.options("/accounts", headers=preflight)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == origin
