from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from tests.application import Person
from tradesense.app import JSON_BYTES
from tradesense.http.bodies import BodyLimits, Limits
from tradesense.http.idempotency import Idempotency


async def chunks(size: int, of: int = 1000) -> AsyncIterator[bytes]:
    for _ in range(size // of):
        yield b"x" * of


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    body = await Request(scope, receive).body()
    await PlainTextResponse(str(len(body)))(scope, receive, send)


async def swallow(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that makes an answer of its own of whatever goes wrong."""
    try:
        await Request(scope, receive).body()
    except Exception:  # noqa: BLE001 - that is the point
        await PlainTextResponse("parsing failed", 400)(scope, receive, send)


async def answer_first(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("done")(scope, receive, send)
    await Request(scope, receive).body()


def client(app: object) -> httpx.AsyncClient:
    limited = BodyLimits(app, Limits(10_000, 50_000, ("/upload",)))  # type: ignore[arg-type]
    return httpx.AsyncClient(transport=httpx.ASGITransport(limited), base_url="http://test")


async def test_a_body_within_the_limit_passes() -> None:
    async with client(echo) as http:
        assert (await http.post("/", content=b"x" * 10_000)).text == "10000"
        assert (await http.post("/", content=chunks(10_000))).text == "10000"


@pytest.mark.parametrize("app", [echo, swallow])
async def test_a_body_beyond_the_limit_is_refused_however_it_comes(app: object) -> None:
    async with client(app) as http:
        declared = await http.post("/", content=b"x" * 10_001)
        streamed = await http.post("/", content=chunks(11_000))
    for answer in (declared, streamed):
        assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
        assert "10,000" in answer.json()["detail"]
        assert answer.headers["connection"] == "close"


async def test_an_answer_that_has_begun_is_not_answered_again() -> None:
    async with client(answer_first) as http:
        with pytest.raises(Exception, match="larger than"):
            await http.post("/", content=chunks(11_000))


async def test_an_error_of_the_application_stays_what_it_is() -> None:
    async def fail(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise ValueError("broken")

    async with client(fail) as http:
        with pytest.raises(ValueError, match="broken"):
            await http.post("/", content=b"x")


async def test_a_length_that_is_no_number_is_counted_all_the_same() -> None:
    async with client(echo) as http:
        answer = await http.post("/", content=chunks(11_000), headers={"Content-Length": "many"})
    assert answer.status_code == 413


async def test_json_has_a_small_limit(anyone: Person) -> None:
    answer = await anyone.post("/auth/login", json={"email": "a@b.c", "password": "x" * JSON_BYTES})
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_nobody_uploads_before_they_are_known(anyone: Person) -> None:
    taken = 0

    async def counting() -> AsyncIterator[bytes]:
        nonlocal taken
        async for chunk in chunks(10_000_000):
            taken += len(chunk)
            yield chunk

    answer = await anyone.post("/imports", content=counting())
    assert (answer.status_code, answer.json()["code"]) == (401, "login_required")
    assert taken == 0


async def test_what_is_no_http_request_passes_through() -> None:
    seen: list[str] = []

    async def inner(scope: Scope, _receive: Receive, _send: Send) -> None:
        seen.append(scope["type"])

    async def nothing() -> dict[str, str]:
        return {}

    async def nowhere(_message: object) -> None:
        return None

    for layer in (BodyLimits(inner, Limits(1, 1, ())), Idempotency(inner, without=())):
        await layer({"type": "websocket"}, nothing, nowhere)
    assert seen == ["websocket"] * 2
