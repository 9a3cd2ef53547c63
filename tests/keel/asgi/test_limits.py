"""Requests held to rules, before anything is done for them."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import Message, Scope

from keel.asgi.limits import QUOTA_EXCEEDED, RateLimiting
from keel.asgi.routes import RouteTemplates
from keel.opening import Keel
from keel.ratelimit.asking import Asker
from keel.ratelimit.contract import Outage
from keel.ratelimit.rules import Per, Rule

TEMPLATES = RouteTemplates(["/trades", "/trades/{trade_id}", "/trades/export", "/a/{b}/c/{d}"])


async def endpoint(request: Request) -> PlainTextResponse:
    request.app.state.calls.append(request.url.path)
    return PlainTextResponse("here you are")


async def login(request: Request) -> PlainTextResponse:
    await request.app.state.keel.limits.enforce((f"account:{request.query_params['who']}", "1/hour"))
    return PlainTextResponse("welcome")


async def identify(scope: Scope) -> Asker | None:
    user = dict(scope["headers"]).get(b"x-user")
    return None if user is None else Asker(f"user:{user.decode()}", "admin" if user == b"root" else "user")


def exempt(scope: Scope) -> bool:
    return bool(scope["path"] == "/internal")


@pytest.fixture
async def keel() -> AsyncIterator[Keel]:
    async with Keel.open() as opened:
        yield opened


@pytest.fixture
def app(keel: Keel) -> Starlette:
    limits = Middleware(RateLimiting, identify=identify, template=TEMPLATES.find, exempt=exempt)
    routes = [Route("/login", login), Route("/{path:path}", endpoint, methods=["GET", "POST"])]
    app = Starlette(routes=routes, middleware=[limits])
    app.state.calls, app.state.keel = [], keel
    return app


@pytest.fixture
async def client(app: Starlette) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, client=("192.0.2.1", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


async def test_an_answer_says_where_its_asker_stands(keel: Keel, client: httpx.AsyncClient) -> None:
    keel.limits.rules.replace(
        [
            Rule("api", ["100/min burst 50", "5000/day"], routes=["*"]),
            Rule("here", ["20/250ms"], per=Per.IP, routes=["/trades"]),
            Rule("held", ["3 at once"], routes=["/trades"]),
            Rule("trial", ["1/day"], routes=["*"], shadow=True),
        ]
    )
    answer = await client.get("/trades", headers={"X-User": "ann"})
    assert answer.headers["RateLimit-Policy"] == (
        '"api";q=100;w=60, "api-86400";q=5000;w=86400, "held";q=3;qu="concurrent-requests", "here";q=80;w=1'
    )
    assert answer.headers["RateLimit"] == '"api";r=49;t=1, "api-86400";r=4999;t=18, "held";r=2, "here";r=19;t=1'
    assert (await client.get("/trades", headers={"X-User": "ann"})).status_code == 200
    assert keel.limits.tallies()["trial"].would_refuse == 1


async def test_what_is_refused_reaches_nobody_and_says_why_and_until_when(
    keel: Keel, client: httpx.AsyncClient, app: Starlette
) -> None:
    keel.limits.rules.replace([Rule("api", ["2/hour sliding window"], routes=["*"])])
    answers = [await client.get("/trades") for _ in range(4)]
    assert [each.status_code for each in answers] == [200, 200, 429, 429]
    refused = answers[-1]
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert 0 < int(refused.headers["Retry-After"]) <= 7200
    assert refused.headers["RateLimit"].startswith('"api";r=0;t=')
    assert refused.json()["type"] == QUOTA_EXCEEDED
    assert refused.json()["violated-policies"] == ["api"]
    assert app.state.calls == ["/trades"] * 2


async def test_users_are_counted_apart_and_by_their_tier_and_strangers_by_address(
    keel: Keel, client: httpx.AsyncClient
) -> None:
    keel.limits.rules.replace([Rule("api", ["1/hour"], routes=["*"], tiers={"admin": ["2/hour"]})])
    statuses = {
        user: [(await client.get("/", headers={"X-User": user} if user else {})).status_code for _ in range(3)]
        for user in ("ann", "bob", "root", "")
    }
    assert statuses == {
        "ann": [200, 429, 429],
        "bob": [200, 429, 429],
        "root": [200, 200, 429],
        "": [200, 429, 429],
    }


async def test_rules_go_by_the_template_of_the_route(keel: Keel, client: httpx.AsyncClient) -> None:
    keel.limits.rules.replace([Rule("trade", ["1/hour"], routes=["GET /trades/{trade_id}"])])
    assert [(await client.get(f"/trades/{number}")).status_code for number in range(2)] == [200, 429]
    assert (await client.get("/trades/export")).status_code == 200
    assert (await client.get("/trades")).status_code == 200
    assert (await client.post("/trades/1")).status_code == 200
    assert "RateLimit" not in (await client.get("/trades")).headers


async def test_the_programs_own_requests_are_not_counted(keel: Keel, client: httpx.AsyncClient) -> None:
    keel.limits.rules.replace([Rule("api", ["1/hour"], routes=["*"])])
    assert [(await client.get("/internal")).status_code for _ in range(3)] == [200] * 3


async def test_what_an_endpoint_enforces_itself_is_told_as_well(keel: Keel, client: httpx.AsyncClient) -> None:
    keel.limits.rules.replace([Rule("api", ["10/hour"], routes=["*"])])
    answer = await client.get("/login?who=ann")
    assert answer.headers["RateLimit"] == '"api";r=9;t=360, "default";r=0;t=3600'


async def test_a_place_that_a_request_held_is_free_when_it_is_answered(keel: Keel, client: httpx.AsyncClient) -> None:
    keel.limits.rules.replace([Rule("api", ["1 at once"], routes=["*"])])
    assert [(await client.get("/")).status_code for _ in range(3)] == [200] * 3


async def test_where_nobody_can_tell_and_it_must_be_known_the_answer_is_503(unused_tcp_port: int) -> None:
    async with Keel.open(f"redis://127.0.0.1:{unused_tcp_port}") as keel:
        keel.limits.rules.replace([Rule("api", ["1/hour"], routes=["*"], outage=Outage.CLOSED)])
        sent = await asked(keel, {"type": "http"})
    assert sent[0]["status"] == 503
    assert (b"retry-after", b"1") in sent[0]["headers"]


@pytest.mark.parametrize("says_why", [True, False])
async def test_a_websocket_is_refused_before_it_is_opened(keel: Keel, *, says_why: bool) -> None:
    keel.limits.rules.replace([Rule("api", ["1/hour"], routes=["*"])])
    scope: dict[str, Any] = {"type": "websocket", "extensions": {"websocket.http.response": {}} if says_why else {}}
    assert await asked(keel, scope) == []
    sent = await asked(keel, scope)
    if says_why:
        assert [each["type"] for each in sent] == ["websocket.http.response.start", "websocket.http.response.body"]
        assert sent[0]["status"] == 429
        assert json.loads(sent[1]["body"])["status"] == 429
    else:
        assert [(each["type"], each["code"]) for each in sent] == [("websocket.close", 1013)]


async def asked(keel: Keel, scope: dict[str, Any]) -> list[Message]:
    """What is sent for a request to an application that says nothing."""
    sent: list[Message] = []

    async def app(_scope: object, _receive: object, _send: object) -> None:
        """Say nothing."""

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    with keel.running():
        whole = {"method": "GET", "path": "/", "headers": [], "client": None, **scope}
        await RateLimiting(app)(whole, receive, send)
    return sent


@pytest.mark.parametrize(
    ("path", "template"),
    [
        ("/trades", "/trades"),
        ("/trades/export", "/trades/export"),
        ("/trades/7", "/trades/{trade_id}"),
        ("/a/1/c/2", "/a/{b}/c/{d}"),
        ("/a/1/d/2", None),
        ("/trades/", None),
        ("/trades/7/8", None),
    ],
)
def test_a_template_is_found_by_path(path: str, template: str | None) -> None:
    assert TEMPLATES.find({"path": path}) == template
