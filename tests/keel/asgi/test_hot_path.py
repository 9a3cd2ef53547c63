"""Answers sent before routing are those that would be sent within, and so are the refusals."""

# ruff: noqa: ARG001 - endpoints have parameters for their keys; `running` is there for being open

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Annotated

import pytest
from fastapi import APIRouter, Depends, FastAPI, Header, HTTPException
from httpx import ASGITransport, AsyncClient, Response
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from keel import cache_response
from keel.asgi.hot_path import HotPath, Identify, VersionOf
from keel.context import Principal, principal
from keel.opening import Keel

_USERS = {"Bearer one": 1, "Bearer ten": 10}


@pytest.fixture(params=["memory", "valkey"])
async def running(request: pytest.FixtureRequest, redis_namespace: str) -> AsyncIterator[Keel]:
    """A Keel in this process alone, and one over a server."""
    url = None if request.param == "memory" else request.getfixturevalue("redis_url")
    async with Keel.open(url, redis_namespace) as opened:
        for _ in range(500):
            if url is None or opened.cache.stats().mode == "live":
                break
            await asyncio.sleep(0.01)
        yield opened


async def identified(scope: Scope) -> Principal | None:
    """Who sends a token that is known."""
    tokens = [value.decode() for name, value in scope["headers"] if name == b"authorization"]
    return _USERS.get(tokens[0]) if len(tokens) == 1 else None


async def signed_in(request: Request) -> AsyncIterator[None]:
    user = await identified(request.scope)
    if user is None:
        raise HTTPException(401, "who are you?", {"www-authenticate": "Bearer"})
    with principal(user):
        yield


class Inside:
    """Counts what gets as far as the router, and can change the path on the way."""

    def __init__(self, app: ASGIApp, rewritten: dict[str, str]) -> None:
        self._app = app
        self._rewritten = rewritten
        self.reached = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.reached += 1
        if scope["path"] in self._rewritten:
            scope = {**scope, "path": self._rewritten[scope["path"]]}
        await self._app(scope, receive, send)


def application() -> tuple[FastAPI, list[int]]:
    app, numbers = FastAPI(), [0]
    router = APIRouter(prefix="/api")

    def following() -> int:
        numbers[0] += 1
        return numbers[0]

    @router.get("/mine", dependencies=[Depends(signed_in)])
    @cache_response(ttl=300, user_aware=True, hot="authenticated", tags=("all",), vary=("x-zone",))
    async def mine(limit: int = 50, zone: Annotated[str, Header(alias="X-Zone")] = "UTC") -> dict[str, object]:
        return {"number": following(), "limit": limit, "zone": zone}

    @router.get("/ours", dependencies=[Depends(signed_in)])
    @cache_response(ttl=300, hot="authenticated")
    async def ours() -> int:
        return following()

    @router.get("/public")
    @cache_response(ttl=300, hot="public")
    async def public(q: str = "") -> list[object]:
        return [following(), q]

    @router.get("/versioned")
    @cache_response(ttl=300, hot="public", version=lambda: 7)
    async def versioned() -> int:
        return following()

    @router.get("/of/{account}")
    @cache_response(ttl=300, hot="public")
    async def of(account: int) -> int:
        return following()

    @router.get("/cold")
    @cache_response(ttl=300)
    async def cold() -> int:
        return following()

    app.include_router(router)
    return app, numbers


@asynccontextmanager
async def clients(
    rewritten: dict[str, str] | None = None, identify: Identify | None = None, version: VersionOf | None = None
) -> AsyncIterator[tuple[AsyncClient, AsyncClient, Inside]]:
    """One that goes through the hot path, one that does not, and what the first one has to get past."""
    inside = Inside(application()[0], rewritten or {})
    hot = HotPath(inside, identify, version)
    async with (
        AsyncClient(transport=ASGITransport(hot), base_url="http://test") as through,
        AsyncClient(transport=ASGITransport(inside), base_url="http://test") as within,
    ):
        yield through, within, inside


def told(response: Response) -> tuple[int, bytes, list[tuple[str, str]]]:
    """All of an answer, but for the second in which it was given."""
    headers = sorted(response.headers.multi_items())
    return (
        response.status_code,
        response.content,
        [(name, re.sub(r"max-age=2\d\d", "", value)) for name, value in headers],
    )


async def _reaches(
    inside: Inside, client: AsyncClient, path: str, headers: dict[str, str] | None = None
) -> tuple[bool, Response]:
    before = inside.reached
    response = await client.get(path, headers=headers)
    return inside.reached > before, response


async def test_both_ways_give_the_same_bytes_and_the_same_refusals(running: Keel) -> None:
    asked = [
        (path, headers)
        for path in (
            "/api/mine",
            "/api/mine?limit=3&x=1",
            "/api/ours",
            "/api/public?q=a%20b",
            "/api/public",
            "/api/cold",
        )
        for headers in (
            {"authorization": "Bearer one"},
            {"authorization": "Bearer ten", "x-zone": "Europe/Berlin"},
            {"authorization": "Bearer forged"},
            {"cookie": "a=b"},
            {},
        )
    ]
    async with clients(identify=identified) as (through, within, inside):
        for path, headers in asked:
            await within.get(path, headers=headers)  # first without the hot path: it makes the entries of both
            await through.get(path, headers=headers)
        sent_hot = 0
        for path, headers in asked:
            got_inside, hot = await _reaches(inside, through, path, headers=headers)
            sent_hot += not got_inside
            assert told(hot) == told(await within.get(path, headers=headers))
            etag = hot.headers.get("etag", '"none"')
            again = {**headers, "if-none-match": etag}
            assert told(await through.get(path, headers=again)) == told(await within.get(path, headers=again))
    assert sent_hot == 4 + 2 + 10  # who is known to /mine (twice) and /ours, and everybody to /public (twice)


async def test_a_user_is_never_sent_anothers_answer(running: Keel) -> None:
    async with clients(identify=identified) as (through, _, inside):
        numbers = dict[str, set[object]]()
        for _ in range(3):
            for token in _USERS:
                answered = await through.get("/api/mine", headers={"authorization": token})
                numbers.setdefault(token, set()).add(answered.json()["number"])
    assert [len(each) for each in numbers.values()] == [1, 1]
    assert len(set.union(*numbers.values())) == 2
    assert inside.reached == 2


async def test_without_knowing_who_asks_only_public_answers_are_hot(running: Keel) -> None:
    async with clients() as (through, _, inside):
        for path, is_hot in (("/api/mine", False), ("/api/ours", False), ("/api/public", True), ("/api/cold", False)):
            await through.get(path, headers={"authorization": "Bearer one"})
            got_inside, answered = await _reaches(inside, through, path, headers={"authorization": "Bearer one"})
            assert (got_inside, answered.headers["x-cache"]) == (not is_hot, "hit")


async def test_an_invalidated_answer_is_not_sent(running: Keel) -> None:
    headers = {"authorization": "Bearer one"}
    async with clients(identify=identified) as (through, _, inside):
        assert [(await through.get("/api/mine", headers=headers)).json()["number"] for _ in range(2)] == [1, 1]
        await running.cache.invalidate_tags("all")
        got_inside, answered = await _reaches(inside, through, "/api/mine", headers=headers)
        assert (got_inside, answered.json()["number"]) == (True, 2)
        assert not (await _reaches(inside, through, "/api/mine", headers=headers))[0]


async def test_a_path_with_parameters_is_left_to_the_router(running: Keel) -> None:
    async with clients() as (through, _, inside):
        await through.get("/api/of/1")
        assert (await _reaches(inside, through, "/api/of/1"))[0]


@pytest.mark.parametrize("method", ["HEAD", "POST", "OPTIONS"])
async def test_other_methods_are_left_to_the_router(running: Keel, method: str) -> None:
    async with clients() as (through, within, inside):
        await through.get("/api/public")
        before = inside.reached
        assert told(await through.request(method, "/api/public")) == told(await within.request(method, "/api/public"))
        assert inside.reached == before + 2


@pytest.mark.parametrize(("version", "times_inside"), [(None, 1), (6, 0), (7, 0), (8, 1)])
async def test_an_endpoint_that_asks_for_a_version_gets_it_out_here_too(
    running: Keel, version: int | None, times_inside: int
) -> None:
    async with clients(version=lambda _scope, _principal: version) as (through, _, inside):
        await through.get("/api/versioned")
        assert (await _reaches(inside, through, "/api/versioned"))[0] == times_inside
    async with clients() as (through, _, inside):
        await through.get("/api/versioned")
        assert (await _reaches(inside, through, "/api/versioned"))[0]


async def test_a_path_that_is_changed_further_in_is_not_learned(running: Keel) -> None:
    async with clients({"/elsewhere": "/api/public", "/api/public": "/api/cold"}) as (through, _, inside):
        for _ in range(2):
            assert (await _reaches(inside, through, "/elsewhere"))[0]
            assert (await _reaches(inside, through, "/api/public"))[0]


async def test_what_is_no_request_passes(running: Keel) -> None:
    seen = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])

    await HotPath(app)({"type": "lifespan"}, None, None)  # type: ignore[arg-type] # neither is called
    assert seen == ["lifespan"]


async def test_an_answer_of_ones_own_cannot_be_declared_public() -> None:
    with pytest.raises(ValueError, match="is not public"):

        @cache_response(ttl=300, user_aware=True, hot="public")
        async def mine() -> int:
            return 1

    with pytest.raises(ValueError, match="'sometimes'"):
        cache_response(ttl=300, hot="sometimes")


_QUERIES = st.lists(
    st.tuples(
        st.sampled_from(["limit", "x", "limit ", "LIMIT", "l%69mit"]), st.sampled_from(["1", "2", "01", "", "é", "%31"])
    ),
    max_size=4,
)


@pytest.fixture
def loop() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


def test_no_query_is_answered_otherwise_out_here_than_within(loop: asyncio.Runner) -> None:
    """What is sent hot is what the endpoint itself says of its parameters, or what it refuses."""

    async def both(pairs: list[tuple[str, str]]) -> None:
        path = "/api/mine?" + "&".join(f"{name}={value}" for name, value in pairs)
        headers = {"authorization": "Bearer one"}
        async with Keel.open(), clients(identify=identified) as (through, within, _):
            for _ in range(2):
                assert (
                    told(await within.get(path, headers=headers))[:2]
                    == told(await through.get(path, headers=headers))[:2]
                )
            hot = await through.get(path, headers=headers)
            if hot.status_code == 200:
                given_limits = hot.request.url.params.get_list("limit") or ["50"]
                assert hot.json()["limit"] == int(given_limits[-1])

    @given(_QUERIES)
    def each(pairs: list[tuple[str, str]]) -> None:
        loop.run(both(pairs))

    each()
