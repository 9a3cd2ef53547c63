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

    def get_write_buffer_size(self) -> int:
        return 0

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
        self.at_once = self.parsed = 0
        self._express: Express[Any] = served.app.express  # type: ignore[attr-defined]
        self.protocol = ExpressProtocol(config, ServerState(), cast("dict[str, Any]", dict(served.state)))
        self.protocol.connection_made(self.line)

    def read(self, scope: dict[str, Any]) -> object:
        """As the application's own, counting."""
        self.parsed += 1
        return self._express.read(scope)

    def answer(self, asked: Any, defaults: bytes) -> object:  # noqa: ANN401 - what `read` gave
        """As the application's own, counting."""
        answer = self._express.answer(asked, defaults)
        self.at_once += answer is not None
        return answer

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


class _Telling:
    """An observer of requests."""

    def __init__(self, seen: list[Segment]) -> None:
        self._seen = seen

    def observed(self, request: Segment) -> None:
        self._seen.append(request)


class _Loop:
    """What a connection asks of the loop, by a clock of ours."""

    def __init__(self, now: list[float], waits: list[float]) -> None:
        self._now = now
        self._waits = waits

    def time(self) -> float:
        return self._now[0]

    def call_later(self, seconds: float, _call: object) -> asyncio.TimerHandle:
        self._waits.append(seconds)
        return asyncio.get_running_loop().call_later(60, list)


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
    seen: list[Segment] = []
    limited.state["keel"].traces.observers.append(_Telling(seen))
    await wire.ask(x_request_id="tea-7", **bearer(person))
    await person.get("/portfolio/summary", headers={"X-Request-ID": "tea-7"})
    told = [
        (each.request_id, each.user_id, each.route, each.method, each.status, each.cache, each.response_bytes)
        for each in seen
    ]
    assert told[0] == told[1]
    assert (told[0][0], told[0][2], told[0][5]) == ("tea-7", PATH, "hit")
    assert 0 < seen[0].began_ns <= seen[0].body_began_ns <= seen[0].ended_ns
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
        ({"content-length": "0"}, 200),
        ({"x-data-version": "999999"}, 412),
        ({"x-data-version": "never"}, 422),
    ):
        slow = await person.get("/portfolio/summary", headers=headers)
        answer = await wire.ask(**bearer(person), **headers)
        assert answer.status_code == slow.status_code == status
    assert (await wire.ask(method="HEAD", **bearer(person))).status_code == 200
    assert (await wire.ask(path=f"{PATH}?currency=%55SD", **bearer(person))).status_code == 200
    assert (await wire.ask(connection="close", **bearer(person))).headers["connection"] == "close"
    assert wire.at_once == 0


async def test_a_page_elsewhere_is_told_whether_it_may_read_the_answer(serve: Serve) -> None:
    ours = "https://ours.example"
    served = await serve(cors_origins=(ours,))
    person, wire = await served.user(), Wire(served)
    for origin in (ours, "https://other.example", "null"):
        slow = [await person.get("/portfolio/summary", headers={"Origin": origin}) for _ in range(3)][-1]
        for quick in [await wire.ask(origin=origin, **bearer(person)) for _ in range(2)]:
            same = [{(k, v) for k, v in each.headers.items() if k not in OF_THE_MOMENT} for each in (quick, slow)]
            assert same[0] == same[1]
            assert ("access-control-allow-origin" in quick.headers) is (origin == ours)
    assert wire.at_once == 6


async def test_an_api_key_is_answered_at_once_until_it_is_deleted(wire: Wire, person: Person) -> None:
    made = (await person.post("/api-keys", json={"name": "tea", "scope": "read"})).json()
    key = {"authorization": f"Bearer {made['token']}"}
    assert [(await wire.ask(**key)).headers["X-Cache"] for _ in range(4)] == ["hit"] * 4
    assert wire.at_once >= 2
    before = wire.at_once
    assert (await wire.ask(cookie=f"tradesense={made['token']}")).status_code == 401
    await person.delete(f"/api-keys/{made['id']}")
    assert (await wire.ask(**key)).status_code == 401
    assert wire.at_once == before


async def test_an_api_key_that_has_expired_opens_nothing(limited: Served, wire: Wire, person: Person) -> None:
    until = (limited.clock.now() + timedelta(minutes=1)).isoformat()
    made = (await person.post("/api-keys", json={"name": "tea", "scope": "read", "expires_at": until})).json()
    key = {"authorization": f"Bearer {made['token']}"}
    for _ in range(4):
        await wire.ask(**key)
    before = wire.at_once
    assert before >= 2
    limited.clock.forward(timedelta(minutes=2))
    assert (await wire.ask(**key)).status_code == 401
    assert wire.at_once == before


async def test_what_is_asked_again_in_the_same_words_is_not_parsed_again(wire: Wire, person: Person) -> None:
    answers = [await wire.ask(**bearer(person)) for _ in range(4)]
    assert (wire.at_once, wire.parsed) == (4, 1)
    assert len({each.headers["X-Request-ID"] for each in answers}) == 4
    assert len({(each.content, each.headers["ETag"]) for each in answers}) == 1
    etag = answers[0].headers["ETag"]
    assert [(await wire.ask(if_none_match=etag, **bearer(person))).status_code for _ in range(2)] == [304, 304]
    await wire.ask(**bearer(person))
    assert (wire.at_once, wire.parsed) == (7, 2)


async def test_only_whole_requests_are_known_again(wire: Wire, person: Person) -> None:
    request = f"GET {PATH} HTTP/1.1\r\nhost: x\r\nauthorization: {bearer(person)['authorization']}\r\n\r\n".encode()
    half = len(request) // 2
    for _ in range(2):
        for part in (request[:half], request[half:], request + request, request + request[:half], request[half:]):
            wire.protocol.data_received(part)
    assert (wire.at_once, wire.parsed) == (10, 10)
    for _ in range(3):
        wire.protocol.data_received(request)
    assert (wire.at_once, wire.parsed) == (13, 11)
    wire.protocol.data_received(b"POST /nothing HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(request))
    wire.protocol.data_received(request)  # which is the body of another
    assert (wire.at_once, wire.parsed) == (13, 11)


async def test_answers_are_sent_before_whatever_comes_after_them(wire: Wire, person: Person) -> None:
    request = f"GET {PATH} HTTP/1.1\r\nhost: x\r\nauthorization: {bearer(person)['authorization']}\r\n\r\n".encode()
    wire.protocol.data_received(request)
    wire.line.written = b""
    wire.protocol.data_received(request)
    wire.protocol.data_received(b"GET /nothing HTTP/1.1\r\nhost: x\r\n\r\n")
    while b" 404 " not in wire.line.written:  # noqa: ASYNC110 - it is no event
        await asyncio.sleep(0)
    assert wire.line.written.startswith(b"HTTP/1.1 200")
    wire.line.written = b""
    wire.protocol.data_received(request)
    wire.protocol.data_received(b"nonsense\r\n\r\n")
    first, _, second = wire.line.written.partition(b"HTTP/1.1 400")
    assert first.startswith(b"HTTP/1.1 200")
    assert second
    assert (wire.at_once, wire.line.is_over) == (3, True)


async def test_who_sends_nothing_more_is_still_answered(wire: Wire, person: Person) -> None:
    await wire.ask(**bearer(person))
    wire.line.written = b""
    wire.protocol.data_received(next(iter(wire.protocol._remembered)))
    wire.protocol.eof_received()
    wire.line.close()  # as the loop does
    await asyncio.sleep(0)
    assert wire.line.written.startswith(b"HTTP/1.1 200")


async def test_answers_wait_for_nothing_that_the_loop_has_to_do(wire: Wire, person: Person) -> None:
    await wire.ask(**bearer(person))
    wire.line.written = b""
    wire.protocol.data_received(next(iter(wire.protocol._remembered)))
    assert wire.line.written.startswith(b"HTTP/1.1 200")


async def test_requests_that_are_known_again_are_few(wire: Wire, person: Person) -> None:
    for turn in range(2):
        for number in range(9):
            await wire.ask(x_correlation_id=f"tea-{number}", **bearer(person))
        assert len(wire.protocol._remembered) <= 8, turn
    await wire.ask(x_correlation_id="t" * 2048, **bearer(person))
    assert max(map(len, wire.protocol._remembered)) <= 2048


async def test_a_trace_goes_on_in_each_answer_to_the_same_words(limited: Served, wire: Wire, person: Person) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    seen: list[Segment] = []
    limited.state["keel"].traces.observers.append(_Telling(seen))
    for _ in range(3):
        await wire.ask(traceparent=f"00-{trace}-00f067aa0ba902b7-01", **bearer(person))
    assert {(each.trace_id, each.parent_id) for each in seen} == {(trace, 0x00F067AA0BA902B7)}
    assert len({each.span_id for each in seen}) == len({each.request_id for each in seen}) == 3


async def test_a_connection_is_closed_once_nothing_has_come_for_long_enough(
    wire: Wire, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    protocol, now = wire.protocol, [100.0]
    waits: list[float] = []
    monkeypatch.setattr(protocol, "loop", _Loop(now, waits))
    for _ in range(3):
        await wire.ask(**bearer(person))
        now[0] += 2
    assert waits == [5]
    now[0] = 105.0
    protocol.timeout_keep_alive_handler()
    assert waits == [5, 4]
    assert not wire.line.is_over
    now[0] = 109.0
    protocol.timeout_keep_alive_handler()
    assert wire.line.is_over


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


async def test_who_waits_for_no_note_of_the_sessions_use_is_answered_at_once(
    limited: Served, wire: Wire, person: Person
) -> None:
    for minute in (1, 2, 3):
        limited.clock.forward(timedelta(seconds=61))
        assert (await wire.ask(**bearer(person))).headers["X-Cache"] == "hit"
        assert wire.at_once == minute
    (session,) = await limited.state["keel"].sessions.get_user_sessions(person.user_id)
    assert session.last_seen_at == limited.clock.now()


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
    def fail(*_: object) -> object:
        raise RuntimeError

    await wire.ask(**bearer(person))
    wire.answer = fail  # type: ignore[assignment, method-assign]
    assert (await wire.ask(**bearer(person))).status_code == 200
    assert "could not be answered at once" in caplog.text
    wire.read = fail  # type: ignore[assignment, method-assign]
    assert (await wire.ask(**bearer(person))).status_code == 200
    assert "could not be read at once" in caplog.text


async def test_a_connection_that_waits_is_closed_with_the_server(wire: Wire, person: Person) -> None:
    await wire.ask(**bearer(person))
    wire.protocol.shutdown()
    assert wire.line.is_over
