import json
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pytest
from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from keel.asgi.observing import Observing
from keel.context import Segment
from keel.errors import (
    Conflict,
    Forbidden,
    Invalid,
    Malformed,
    NotAuthenticated,
    NotFound,
    RateLimited,
    Refusal,
    Stale,
    TooLarge,
    Unavailable,
)
from keel.traces.recorder import Traces
from tradesense.http import problems
from tradesense.http.middleware import SecurityHeaders, UnexpectedErrors
from tradesense.http.problems import Problem, refusals, status_of
from tradesense.http.types import Body, Line


class OutOfTea(Conflict):
    """There is no tea left."""


class Order(Body):
    cups: int
    note: Line = "thanks"


def application() -> FastAPI:
    app = FastAPI(redirect_slashes=False)
    problems.install(app)

    @app.get("/refuse/{kind}")
    async def refuse(kind: str) -> None:
        kinds: dict[str, Refusal] = {
            "tea": OutOfTea("No tea.", retry_after=timedelta(seconds=1.2)),
            "login": NotAuthenticated("Who?"),
            "value": Invalid("Too hot.", loc=("body", "heat")),
        }
        raise kinds[kind]

    @app.post("/orders")
    async def order(order: Order) -> int:
        return order.cups

    @app.get("/half")
    async def half() -> None:
        return None

    app.add_middleware(UnexpectedErrors)
    app.add_middleware(SecurityHeaders, https=True)
    return app


class Heard:
    """What was observed."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str]] = []

    def observed(self, request: Segment) -> None:
        self.requests.append((request.request_id, repr(request.error)))


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
async def client(heard: Heard) -> AsyncIterator[httpx.AsyncClient]:
    traces = Traces()
    traces.observers.append(heard)
    observed = Observing(application(), traces=lambda _scope: traces)
    transport = httpx.ASGITransport(observed, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


def test_every_kind_of_refusal_has_its_status() -> None:
    kinds = [
        Malformed,
        NotAuthenticated,
        Forbidden,
        NotFound,
        OutOfTea,
        Stale,
        TooLarge,
        Invalid,
        RateLimited,
        Unavailable,
    ]
    assert [int(status_of(kind)) for kind in kinds] == [400, 401, 403, 404, 409, 412, 413, 422, 429, 503]
    with pytest.raises(TypeError, match="Refusal is no kind"):
        status_of(Refusal)


async def test_a_refusal_is_a_problem_document_with_its_data(client: httpx.AsyncClient) -> None:
    answer = await client.get("/refuse/tea", headers={"X-Request-ID": "tea-1"})
    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["retry-after"] == "2"
    assert answer.json() == {
        "type": "urn:tradesense:problem:out_of_tea",
        "title": "Conflict",
        "status": 409,
        "code": "out_of_tea",
        "detail": "No tea.",
        "request_id": "tea-1",
    }


async def test_who_is_not_known_is_told_how_to_be(client: httpx.AsyncClient) -> None:
    answer = await client.get("/refuse/login")
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


async def test_a_refused_value_is_named(client: httpx.AsyncClient) -> None:
    answer = await client.get("/refuse/value")
    assert answer.status_code == 422
    assert answer.json()["errors"] == [{"loc": ["body", "heat"], "message": "Too hot."}]


async def test_each_mistake_of_a_request_is_listed_without_repeating_its_value(client: httpx.AsyncClient) -> None:
    answer = await client.post("/orders", json={"cups": "secret", "note": "a\0b", "milk": 1})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
    assert [error["loc"] for error in answer.json()["errors"]] == [["body", "cups"], ["body", "note"], ["body", "milk"]]
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"{", 422),
        (b'{"\\ud800": 1}', 422),
        (b'{"cups": 1, "note": "\\ud800"}', 422),
        (b'{"note": "\xff"}', 400),
        (b"[" * 100_000, 400),
        (b'{"cups": ' + b"9" * 5000 + b"}", 400),
    ],
)
async def test_a_body_that_cannot_be_read_is_a_problem_too(
    client: httpx.AsyncClient, content: bytes, status: int
) -> None:
    answer = await client.post("/orders", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == status
    assert Problem.model_validate_json(answer.content).status == status


async def test_a_path_that_is_not_there_and_a_method_that_is_not_are_problems(client: httpx.AsyncClient) -> None:
    missing, wrong = await client.get("/nowhere"), await client.delete("/orders")
    assert (missing.status_code, missing.json()["code"]) == (404, "not_found")
    assert (wrong.status_code, wrong.json()["code"]) == (405, "method_not_allowed")
    assert wrong.headers["allow"] == "POST"


async def test_an_error_of_ours_is_noted_and_says_nothing_of_itself(client: httpx.AsyncClient, heard: Heard) -> None:
    answer = await client.get("/refuse/the-password", headers={"X-Request-ID": "oops"})
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert "the-password" not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-request-id"] == "oops"
    assert heard.requests == [("oops", "KeyError('the-password')")]


async def test_an_error_that_nobody_observes_is_the_servers() -> None:
    transport = httpx.ASGITransport(application())
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        with pytest.raises(KeyError):
            await client.get("/refuse/nothing")


async def test_an_error_after_the_answer_has_begun_cuts_it_off() -> None:
    async def half(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ValueError("half way")

    transport = httpx.ASGITransport(UnexpectedErrors(half))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        with pytest.raises(ValueError, match="half way"):
            await client.get("/")


@pytest.mark.parametrize("given", ["a b", "x" * 129, "naïve".encode().decode("latin-1"), ""])
async def test_a_request_id_that_is_not_well_formed_is_replaced(client: httpx.AsyncClient, given: str) -> None:
    answer = await client.get("/half", headers={b"X-Request-ID": given.encode("latin-1")})
    assert answer.headers["x-request-id"] != given
    assert len(answer.headers["x-request-id"]) == 32


async def test_answers_tell_browsers_to_be_careful(client: httpx.AsyncClient) -> None:
    headers = (await client.get("/half")).headers
    assert headers["cache-control"] == "no-store"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["strict-transport-security"].startswith("max-age=")


async def test_what_is_no_request_passes_through() -> None:
    seen: list[str] = []

    async def inner(scope: Scope, _receive: Receive, _send: Send) -> None:
        seen.append(scope["type"])

    async def nothing() -> dict[str, str]:
        return {}

    async def nowhere(_message: object) -> None:
        return None

    for kind in ("lifespan", "websocket"):
        for layer in (SecurityHeaders(inner, https=False), UnexpectedErrors(inner)):
            await layer({"type": kind, "headers": []}, nothing, nowhere)
    assert seen == ["lifespan"] * 2 + ["websocket"] * 2


def test_documented_refusals_of_one_status_share_it() -> None:
    class Other(Conflict):
        """Another reason."""

    responses = refusals(OutOfTea, Other, NotFound)
    assert set(responses) == {409, 404}
    examples = responses[409]["content"][problems.MEDIA_TYPE]["examples"]
    assert examples["out_of_tea"]["summary"] == "There is no tea left."
    assert set(examples) == {"out_of_tea", "other"}
    for example in examples.values():
        Problem.model_validate(json.loads(json.dumps(example["value"])))
