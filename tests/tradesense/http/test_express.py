"""Answers that the server sends at once: the same as those that the application gives, and nothing for the others."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, cast

import httpx
import pytest
from uvicorn.config import Config
from uvicorn.server import ServerState

from keel.asgi.express import Express
from keel.asgi.serving import ExpressProtocol
from keel.context import Segment
from tests.application import Person, Serve, Served

PATH = "/api/v1/portfolio/summary"
OF_THE_MOMENT = {"x-request-id", "x-correlation-id", "ratelimit", "date"}


class Line(asyncio.Transport):
    """A connection: what was written to it, and when it is over."""

    def __init__(self) -> None:
        super().__init__({"peername": ("192.0.2.1", 50_000), "sockname": ("127.0.0.1", 8000)})
        self.written = b""
        self.is_over = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.is_over

    def close(self) -> None:
        self.is_over = True

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class Wire:
    """The server's end of a connection to the application."""

    def __init__(self, served: Served) -> None:
        config = Config(served, log_config=None, access_log=False, lifespan="off", ws="none")
        config.load()
        self.line = Line()
        config.loaded_app.express = self
        self.at_once = 0
        self._express: Express[Any] = served.app.express  # type: ignore[attr-defined]
        self.protocol = ExpressProtocol(config, ServerState(), cast("dict[str, Any]", dict(served.state)))
        self.protocol.connection_made(self.line)

    def answer(self, scope: dict[str, Any]) -> object:
        """As the application's own, counting."""
        ready = self._express.answer(scope)
        self.at_once += ready is not None
        return ready

    async def ask(self, path: str = PATH, method: str = "GET", version: str = "1.1", **headers: str) -> httpx.Response:
        """Send a request and read its answer."""
        named = {name.replace("_", "-"): value for name, value in {"host": "localhost", **headers}.items()}
        lines = [f"{method} {path} HTTP/{version}", *(f"{name}: {value}" for name, value in named.items()), "", ""]
        self.line.written = b""
        self.protocol.data_received("\r\n".join(lines).encode())
        async with asyncio.timeout(10):
            while (answer := read(self.line.written, method)) is None:  # noqa: ASYNC110 - it is no event
                await asyncio.sleep(0)
        return answer


def read(written: bytes, method: str) -> httpx.Response | None:
    """An answer, if it is whole."""
    head, end, body = written.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = httpx.Headers([tuple(line.split(": ", 1)) for line in lines])  # type: ignore[arg-type]
    has_body = method != "HEAD" and " 304 " not in first
    if not end or (has_body and len(body) < int(headers.get("content-length", "0"))):
        return None
    return httpx.Response(int(first.split()[1]), headers=headers, content=body if has_body else b"")


@pytest.fixture
async def limited(serve: Serve) -> Served:
    return await serve(rate_limits="on", limit_register="1000/s")


@pytest.fixture
async def person(limited: Served) -> Person:
    """Somebody whose answer is kept."""
    user = await limited.user()
    assert (await user.get("/portfolio/summary")).headers["X-Cache"] == "miss"
    assert (await user.get("/portfolio/summary")).headers["X-Cache"] == "hit"
    return user


@pytest.fixture
async def wire(limited: Served) -> AsyncIterator[Wire]:
    wire = Wire(limited)
    yield wire
    wire.protocol.connection_lost(None)


def bearer(person: Person) -> dict[str, str]:
    return {"authorization": person.headers["Authorization"]}


async def test_what_is_sent_at_once_is_what_the_application_answers(wire: Wire, person: Person) -> None:
    etag = (await person.get("/portfolio/summary")).headers["ETag"]
    for condition in ({}, {"if-none-match": etag}, {"if-none-match": '"other"'}):
        slow = await person.get("/portfolio/summary", headers=condition)
        quick = await wire.ask(**bearer(person), **condition)
        assert (quick.status_code, quick.content) == (slow.status_code, slow.content)
        same = [{(k, v) for k, v in each.headers.items() if k not in OF_THE_MOMENT} for each in (quick, slow)]
        assert same[0] == same[1]
        assert quick.headers["RateLimit"].split(";r=")[0] == '"api"'
        assert quick.headers["X-Request-ID"] == quick.headers["X-Correlation-ID"]
    assert wire.at_once == 3


async def test_it_is_observed_as_any_other(limited: Served, wire: Wire, person: Person) -> None:
    class Observer:
        def __init__(self) -> None:
            self.seen: list[Segment] = []

        def observed(self, request: Segment) -> None:
            self.seen.append(request)

    observer = Observer()
    limited.state["keel"].traces.observers.append(observer)
    await wire.ask(x_request_id="tea-7", **bearer(person))
    await person.get("/portfolio/summary", headers={"X-Request-ID": "tea-7"})
    told = [
        (each.request_id, each.user_id, each.route, each.method, each.status, each.cache, each.response_bytes)
        for each in observer.seen
    ]
    assert told[0] == told[1]
    assert (told[0][0], told[0][2], told[0][5]) == ("tea-7", PATH, "hit")
    assert 0 < observer.seen[0].began_ns <= observer.seen[0].body_began_ns <= observer.seen[0].ended_ns
    assert not limited.state["keel"].traces.under_way


async def test_it_is_charged_as_any_other(serve: Serve) -> None:
    served = await serve(rate_limits="on", limit_register="1000/s", limit_api="60/min burst 4")
    person, wire = await served.user(), Wire(served)
    for _ in range(2):
        await person.get("/portfolio/summary")
    answers = [await wire.ask(**bearer(person)) for _ in range(4)]
    assert [each.status_code for each in answers] == [200, 200, 429, 429]
    assert wire.at_once == 2
    assert answers[1].headers["RateLimit"].startswith('"api";r=0;')


async def test_a_cookie_is_as_good_as_a_token(wire: Wire, person: Person) -> None:
    token = person.headers["Authorization"].removeprefix("Bearer ")
    assert (await wire.ask(cookie=f"theme=dark; tradesense={token}")).headers["X-Cache"] == "hit"
    assert wire.at_once == 1


async def test_what_takes_more_is_left_to_the_application(wire: Wire, person: Person) -> None:
    for headers, status in (
        ({"origin": "https://other.example"}, 200),
        ({"content-length": "0"}, 200),
        ({"x-data-version": "999999"}, 412),
        ({"x-data-version": "never"}, 422),
    ):
        slow = await person.get("/portfolio/summary", headers=headers)
        answer = await wire.ask(**bearer(person), **headers)
        assert answer.status_code == slow.status_code == status
    assert (await wire.ask(method="HEAD", **bearer(person))).status_code == 405
    assert (await wire.ask(path=f"{PATH}?currency=%55SD", **bearer(person))).status_code == 200
    assert (await wire.ask(connection="close", **bearer(person))).headers["connection"] == "close"
    assert wire.at_once == 0


async def test_strangers_are_refused_by_the_application(wire: Wire, person: Person) -> None:
    assert person.user_id
    for stranger in ("", "Basic dHJhZGVyOnRlYQ==", "Bearer wrong", f"Bearer {'x' * 300}", "Bearer ts_key"):
        answer = await wire.ask(authorization=stranger)
        assert (answer.status_code, wire.at_once) == (401, 0)


async def test_a_session_that_has_ended_opens_nothing(wire: Wire, person: Person) -> None:
    await wire.ask(**bearer(person))
    token = bearer(person)
    await person.post("/auth/logout")
    assert (await wire.ask(**token)).status_code == 401
    assert wire.at_once == 1


async def test_a_write_is_seen_by_the_next_answer(wire: Wire, person: Person) -> None:
    before = await wire.ask(**bearer(person))
    created = await person.post("/accounts", json={"name": "Tea", "currency": "USD", "starting_balance": "1000"})
    assert created.status_code == 201
    after = await wire.ask(**bearer(person))
    assert after.headers["X-Cache"] == "miss"
    assert after.json()["version"] > before.json()["version"]


async def test_a_new_day_and_a_session_that_is_long_unused_take_the_long_way(
    limited: Served, wire: Wire, person: Person
) -> None:
    limited.clock.forward(timedelta(days=1))
    assert (await wire.ask(**bearer(person))).headers["X-Cache"] == "miss"
    assert wire.at_once == 0
    assert (await wire.ask(**bearer(person))).headers["X-Cache"] == "hit"
    assert wire.at_once == 1


async def test_users_are_never_mixed_up(limited: Served, wire: Wire, person: Person) -> None:
    other = await limited.user()
    await other.post("/accounts", json={"name": "Tea", "currency": "EUR", "starting_balance": "5"})
    for _ in range(2):
        await other.get("/portfolio/summary")
    answers = [(await wire.ask(**bearer(each))).json() for each in (person, other, person, other)]
    assert wire.at_once == 4
    assert answers[0] == answers[2] != answers[1] == answers[3]


async def test_two_requests_at_once_are_answered_in_their_order(wire: Wire, person: Person) -> None:
    request = f"GET {PATH} HTTP/1.1\r\nhost: x\r\nauthorization: {bearer(person)['authorization']}\r\nx-request-id: "
    wire.protocol.data_received("".join(f"{request}{name}\r\n\r\n" for name in ("first", "second")).encode())
    assert wire.at_once == 2
    assert wire.line.written.index(b"x-request-id: first") < wire.line.written.index(b"x-request-id: second")


async def test_whatever_goes_wrong_the_application_answers(
    wire: Wire, person: Person, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_scope: object) -> object:
        raise RuntimeError

    wire.answer = fail  # type: ignore[assignment, method-assign]
    assert (await wire.ask(**bearer(person))).status_code == 200
    assert "could not be answered at once" in caplog.text


async def test_a_connection_that_waits_is_closed_with_the_server(wire: Wire, person: Person) -> None:
    await wire.ask(**bearer(person))
    wire.protocol.shutdown()
    assert wire.line.is_over
