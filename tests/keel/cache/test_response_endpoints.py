"""`cache_response` on endpoints of FastAPI and Starlette."""

# ruff: noqa: ARG001 - endpoints have parameters for their keys; `running` is there for being open

import asyncio
import dataclasses
import gc
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Annotated, Any

import msgspec
import pytest
from fastapi import APIRouter, BackgroundTasks, Cookie, Depends, FastAPI, Header, HTTPException, Query
from httpx import ASGITransport, AsyncClient
from pydantic import BaseModel, ConfigDict, Field
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route

from keel import cache_response
from keel.cache.contract import OtherPrincipal
from keel.context import principal
from keel.opening import Keel


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


class Counted:
    """A source that counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def next(self) -> int:
        self.asked += 1
        return self.asked


@asynccontextmanager
async def client_of(app: Any) -> AsyncIterator[AsyncClient]:  # noqa: ANN401 - any ASGI application
    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        yield client


class Position(BaseModel):
    model_config = ConfigDict(populate_by_name=True)

    symbol: str
    net: Decimal = Field(alias="netPnl")
    note: str | None = None


@dataclasses.dataclass
class Row:
    symbol: str
    net: Decimal


class _Secret(Position):
    password: str = "hidden"


def _position() -> Position:
    return _Secret(symbol="ES – é", net=Decimal("1.50"))


async def test_an_answer_is_made_once_and_sent_again(running: Keel) -> None:
    app, source = FastAPI(), Counted()

    @app.get("/summary")
    @cache_response(ttl=300)
    async def summary() -> dict[str, int]:
        return {"asked": source.next()}

    async with client_of(app) as client:
        first, second = await client.get("/summary"), await client.get("/summary")
    assert (first.headers["x-cache"], second.headers["x-cache"]) == ("miss", "hit")
    assert first.content == second.content == b'{"asked":1}'
    assert first.headers["etag"] == second.headers["etag"]
    assert second.headers["content-type"] == "application/json"
    assert second.headers["content-length"] == "11"


async def test_what_memory_has_lost_comes_from_the_server_as_a_hit(running: Keel) -> None:
    app, source = FastAPI(), Counted()

    @app.get("/summary")
    @cache_response(ttl=300)
    async def summary() -> int:
        return source.next()

    async with client_of(app) as client:
        await client.get("/summary")
        running.cache._tiers.memory.drop_all()
        again = await client.get("/summary")
    expected = ("1", "hit") if running.redis is not None else ("2", "miss")
    assert (again.text, again.headers["x-cache"]) == expected


def _routes(decorate: Callable[[Any], Any]) -> FastAPI:
    """The same endpoints, decorated or not."""
    app = FastAPI()
    nested = APIRouter(prefix="/nested", default_response_class=PlainTextResponse)

    @app.get("/model")
    @decorate
    async def model() -> Position:
        return _position()

    @app.get(
        "/response_model", response_model=Position, response_model_exclude_none=True, response_model_by_alias=False
    )
    @decorate
    async def response_model() -> Any:  # noqa: ANN401 - the response model says what it is
        return {"symbol": "NQ", "netPnl": "3", "more": 1}

    @app.get("/dataclass")
    @decorate
    async def of_dataclass() -> list[Row]:
        return [Row("ES", Decimal("2.5"))]

    @app.get("/dictionary")
    @decorate
    async def dictionary():  # type: ignore[no-untyped-def] # noqa: ANN202 - an endpoint that says nothing
        return {"b": 1, "a": [Decimal("1.1"), None, "é"]}

    @app.get("/plain", response_class=PlainTextResponse)
    @decorate
    async def plain(response: Response) -> str:
        response.headers["x-own"] = "1"
        return "text"

    @app.get("/ready")
    @decorate
    async def ready() -> Response:
        return JSONResponse({"z": 1}, headers={"content-language": "de"})

    @nested.get("/text", response_model=None)
    @decorate
    async def text() -> str:
        return "nested"

    @app.get("/null")
    @decorate
    async def null() -> None:
        return None

    app.include_router(nested)
    return app


_ADDED = {"x-cache", "etag", "cache-control"}


async def test_the_bytes_are_those_of_the_endpoint_without_a_cache(running: Keel) -> None:
    bare, kept = _routes(lambda function: function), _routes(cache_response(ttl=300))
    paths = ["/model", "/response_model", "/dataclass", "/dictionary", "/plain", "/ready", "/nested/text", "/null"]
    assert bare.openapi() == kept.openapi()
    async with client_of(bare) as undecorated, client_of(kept) as decorated:
        for path in paths:
            expected = await undecorated.get(path)
            assert expected.status_code == 200
            for outcome in ("miss", "hit"):
                got = await decorated.get(path)
                assert (path, got.content, got.headers["x-cache"]) == (path, expected.content, outcome)
                assert {k: v for k, v in got.headers.items() if k not in _ADDED} == dict(expected.headers)


async def test_what_is_not_modified_is_not_sent_again(running: Keel) -> None:
    app = FastAPI()

    @app.get("/summary")
    @cache_response(ttl=300, vary=("accept-language",))
    async def summary() -> dict[str, int]:
        return {"a": 1}

    async with client_of(app) as client:
        etag = (await client.get("/summary")).headers["etag"]
        assert etag.startswith('"')
        for known in (etag, f"W/{etag}", f'"other", {etag}', "*", f'W/"x",W/{etag}'):
            answered = await client.get("/summary", headers={"if-none-match": known})
            assert (answered.status_code, answered.content) == (304, b"")
            assert answered.headers["etag"] == etag
            assert answered.headers["vary"] == "accept-language"
            assert answered.headers["x-cache"] == "hit"
            assert answered.headers["cache-control"].startswith("public, max-age=")
            assert "content-length" not in answered.headers
            assert "content-type" not in answered.headers
        for unknown in ('"other"', etag.strip('"'), ""):
            assert (await client.get("/summary", headers={"if-none-match": unknown})).status_code == 200


async def test_a_client_that_has_it_is_told_so_even_on_a_miss(running: Keel) -> None:
    app = FastAPI()

    @app.get("/summary")
    @cache_response(ttl=300)
    async def summary() -> int:
        return 1

    async with client_of(app) as client:
        etag = (await client.get("/summary")).headers["etag"]
        await running.cache.clear()
        again = await client.get("/summary", headers={"if-none-match": etag})
    assert (again.status_code, again.headers["x-cache"]) == (304, "miss")


async def test_query_order_and_unknown_parameters_make_no_new_keys(running: Keel) -> None:
    app, source = FastAPI(), Counted()

    @app.get("/trades")
    @cache_response(ttl=300)
    async def trades(request: Request, symbol: str = "", limit: int = 50) -> int:
        return source.next()

    async with client_of(app) as client:
        for query in ("symbol=ES&limit=5", "limit=5&symbol=ES", "limit=5&utm_source=x&symbol=ES&symbol_=1"):
            assert (await client.get(f"/trades?{query}")).text == "1"
        assert (await client.get("/trades?symbol=ES&limit=6")).text == "2"
        assert (await client.get("/trades?symbol=ES%26limit%3D6")).text == "3"
        assert (await client.get("/trades?symbol=")).text == "4"
        assert (await client.get("/trades")).text == "5"


class Page(BaseModel):
    limit: int = 10
    cursor: str = Field("", alias="after")


def _paging(
    offset: int = 0, zone: Annotated[str, Header(alias="X-Zone")] = "UTC", theme: Annotated[str, Cookie()] = ""
) -> str:
    return f"{offset}{zone}{theme}"


async def test_what_dependencies_read_of_the_request_makes_keys(running: Keel) -> None:
    app, source = FastAPI(), Counted()

    @app.get("/trades/{account}")
    @cache_response(ttl=300)
    async def trades(account: int, page: Annotated[Page, Query()], offset: Annotated[str, Depends(_paging)]) -> int:
        return source.next()

    asked: list[tuple[str, dict[str, str]]] = [
        ("/trades/1", {}),
        ("/trades/2", {}),
        ("/trades/1?offset=3", {}),
        ("/trades/1?limit=3", {}),
        ("/trades/1?after=3", {}),
        ("/trades/1", {"x-zone": "Europe/Berlin"}),
        ("/trades/1", {"cookie": "theme=dark"}),
    ]
    async with client_of(app) as client:
        answers = [(await client.get(path, headers=headers)).text for path, headers in asked * 2]
        answered = await client.get("/trades/1", headers={"cookie": "session=1; theme=dark"})
    assert answers == ["1", "2", "3", "4", "5", "6", "7"] * 2
    assert (answered.text, answered.headers["vary"]) == ("7", "x-zone, cookie")


async def test_parameters_may_be_named_and_open_models_take_all(running: Keel) -> None:
    app, source = FastAPI(), Counted()

    class Open(BaseModel):
        model_config = ConfigDict(extra="allow")

    @app.get("/open")
    @cache_response(ttl=300)
    async def open_(page: Annotated[Open, Query()]) -> int:
        return source.next()

    @app.get("/named")
    @cache_response(ttl=300, query=["a"])
    async def named(request: Request) -> int:
        return source.next()

    async with client_of(app) as client:
        paths = ["/open?x=1", "/open?x=2", "/named?a=1&b=1", "/named?a=1&b=2", "/named?a=2"]
        assert [(await client.get(path)).text for path in paths] == ["1", "2", "3", "3", "4"]


async def test_declared_headers_vary_the_answer(running: Keel) -> None:
    app = FastAPI()

    @app.get("/hello")
    @cache_response(ttl=300, vary=("Accept-Language",))
    async def hello(request: Request) -> str:
        return request.headers.get("accept-language", "")

    async with client_of(app) as client:
        for language in ("de", "en", "de"):
            answered = await client.get("/hello", headers={"accept-language": language})
            assert answered.json() == language
            assert answered.headers["vary"] == "accept-language"


async def test_what_an_endpoint_can_tell_apart_in_headers_and_cookies_makes_keys_of_its_own(running: Keel) -> None:
    app = FastAPI()

    @app.get("/hello")
    @cache_response(ttl=300)
    async def hello(
        mode: Annotated[str | None, Header()] = None, a: Annotated[str | None, Cookie()] = None
    ) -> list[str | None]:
        return [mode, a]

    asked: dict[str, list[tuple[str, str]]] = {
        "[null,null]": [],
        '["",null]': [("mode", "")],
        '["a",null]': [("mode", "a"), ("mode", "b")],
        '["a,b",null]': [("mode", "a,b")],
        '[null,"2"]': [("cookie", "b=1"), ("cookie", "a=2")],
        '[null,"3"]': [("cookie", "a=2"), ("cookie", "a=3")],
        '[null,"2,a=3"]': [("cookie", "a=2,a=3")],
    }
    async with client_of(app) as client:
        for _ in range(2):
            assert [(await client.get("/hello", headers=each)).text for each in asked.values()] == [*asked]


async def test_a_declared_header_that_changes_nothing_can_be_left_out(running: Keel) -> None:
    app, source = FastAPI(), Counted()

    @app.get("/summary")
    @cache_response(ttl=300, unkeyed=("X-Request",))
    async def summary(x_request: Annotated[str, Header()] = "") -> int:
        return source.next()

    async with client_of(app) as client:
        answers = [await client.get("/summary", headers={"x-request": each}) for each in ("a", "b")]
    assert [each.text for each in answers] == ["1", "1"]
    assert "vary" not in answers[1].headers


# Who asks


def _with_users(app: FastAPI) -> None:
    """The header `user` is who asks."""

    @app.middleware("http")
    async def entered(request: Request, call_next: Any) -> Any:  # noqa: ANN401 - Starlette's
        if "user" not in request.headers:
            return await call_next(request)
        with principal(request.headers["user"]):
            return await call_next(request)


async def test_each_user_has_an_answer_of_his_own(running: Keel) -> None:
    app, source = FastAPI(), Counted()
    _with_users(app)

    @app.get("/mine")
    @cache_response(ttl=300, key_prefix="mine", user_aware=True)
    async def mine() -> int:
        return source.next()

    async with client_of(app) as client:
        for user, expected in (("1", "1"), ("10", "2"), ("1", "1"), ("10", "2")):
            answered = await client.get("/mine", headers={"user": user})
            assert answered.text == expected
            assert answered.headers["cache-control"] == "private, max-age=0, must-revalidate"
            assert answered.headers["vary"] == "authorization, cookie"
        await running.cache.invalidate_tags("user:1")
        assert (await client.get("/mine", headers={"user": "1"})).text == "3"
        assert (await client.get("/mine", headers={"user": "10"})).text == "2"
        for expected in ("4", "5"):
            anonymous = await client.get("/mine")
            assert anonymous.text == expected
            assert "x-cache" not in anonymous.headers


async def test_a_path_that_names_another_user_raises(running: Keel) -> None:
    app = FastAPI()
    _with_users(app)

    @app.get("/users/{user_id}")
    @cache_response(ttl=300, user_aware=True)
    async def of_user(user_id: int) -> int:
        return user_id

    async with client_of(app) as client:
        assert (await client.get("/users/1", headers={"user": "1"})).text == "1"
        with pytest.raises(OtherPrincipal):
            await client.get("/users/1", headers={"user": "2"})


# What is not kept


async def _twice(app: Any, path: str, **options: Any) -> list[tuple[str, str | None]]:  # noqa: ANN401 - any application
    async with client_of(app) as client:
        answers = [await client.get(path, **options) for _ in range(2)]
    return [(each.text, each.headers.get("x-cache")) for each in answers]


@pytest.mark.parametrize(
    "made",
    [
        lambda n: PlainTextResponse(str(n), 201),
        lambda n: PlainTextResponse(str(n), 500),
        lambda n: PlainTextResponse(str(n), headers={"set-cookie": "a=b"}),
        lambda n: PlainTextResponse(str(n), headers={"cache-control": "no-store"}),
        lambda n: PlainTextResponse(str(n), headers={"cache-control": "max-age=3, Private"}),
        lambda n: PlainTextResponse(str(n), headers={"vary": "accept-encoding"}),
        lambda n: StreamingResponse(iter([str(n)])),
    ],
    ids=["201", "500", "cookie", "no-store", "private", "vary", "stream"],
)
async def test_such_an_answer_is_sent_and_not_kept(running: Keel, made: Callable[[int], Response]) -> None:
    app, source = FastAPI(), Counted()

    @app.get("/answer")
    @cache_response(ttl=300)
    async def answer() -> Response:
        return made(source.next())

    assert await _twice(app, "/answer") == [("1", None), ("2", None)]
    assert running.cache.stats().entries == 0


async def test_cookies_and_statuses_that_are_set_on_fastapis_response_are_not_kept(running: Keel) -> None:
    app, source = FastAPI(), Counted()

    @app.get("/cookie")
    @cache_response(ttl=300)
    async def cookie(response: Response) -> int:
        response.set_cookie("a", "b")
        return source.next()

    @app.get("/status")
    @cache_response(ttl=300)
    async def status(response: Response) -> int:
        response.status_code = 202
        return source.next()

    async with client_of(app) as client:
        cookies = [await client.get("/cookie") for _ in range(2)]
        statuses = [await client.get("/status") for _ in range(2)]
    assert [(each.text, each.headers.get("set-cookie")) for each in cookies] == [
        ("1", "a=b; Path=/; SameSite=lax"),
        ("2", "a=b; Path=/; SameSite=lax"),
    ]
    assert [(each.text, each.status_code) for each in statuses] == [("3", 202), ("4", 202)]


async def test_concurrent_requests_never_share_a_cookie(running: Keel) -> None:
    app, source = FastAPI(), Counted()

    @app.get("/login")
    @cache_response(ttl=300)
    async def login(response: Response) -> int:
        number = source.next()
        await asyncio.sleep(0.01)
        response.set_cookie("session", str(number))
        return number

    async with client_of(app) as client:
        answers = await asyncio.gather(*(client.get("/login") for _ in range(5)))
    assert {each.text for each in answers} == {"1", "2", "3", "4", "5"}
    assert all(f"session={each.text};" in each.headers["set-cookie"] for each in answers)


async def test_exceptions_are_answered_and_not_kept(running: Keel) -> None:
    app, source = FastAPI(), Counted()

    @app.get("/missing")
    @cache_response(ttl=300, stale_ttl=60)
    async def missing() -> int:
        if source.next() == 1:
            raise HTTPException(404, "not yet")
        return source.asked

    async with client_of(app) as client:
        assert (await client.get("/missing")).status_code == 404
        assert (await client.get("/missing")).text == "2"


async def test_only_get_is_kept(running: Keel) -> None:
    app, source = FastAPI(), Counted()

    @app.post("/search")
    @cache_response(ttl=300)
    async def search() -> int:
        return source.next()

    async with client_of(app) as client:
        assert [(await client.post("/search")).text for _ in range(2)] == ["1", "2"]


async def test_head_is_answered_from_what_get_has_kept(running: Keel) -> None:
    app, source = FastAPI(), Counted()

    @app.api_route("/summary", methods=["GET", "HEAD"])
    @cache_response(ttl=300)
    async def summary(request: Request) -> Response:
        source.next()
        return PlainTextResponse("" if request.method == "HEAD" else "body")

    async with client_of(app) as client:
        assert "x-cache" not in (await client.head("/summary")).headers
        assert (await client.get("/summary")).text == "body"
        head = await client.head("/summary")
    assert (head.headers["x-cache"], head.headers["content-length"], head.content) == ("hit", "4", b"")
    assert source.asked == 2


async def test_a_client_cannot_have_the_source_asked_at_will(running: Keel) -> None:
    app, source = FastAPI(), Counted()

    @app.get("/summary")
    @cache_response(ttl=300)
    async def summary() -> int:
        return source.next()

    async with client_of(app) as client:
        for said in ("no-cache", "no-store", "max-age=0"):
            assert (await client.get("/summary", headers={"cache-control": said, "pragma": "no-cache"})).text == "1"


# What is said about the answer


async def test_max_age_is_what_is_left_and_credentials_make_it_private(running: Keel) -> None:
    app = FastAPI()

    @app.get("/summary")
    @cache_response(ttl=300)
    async def summary() -> int:
        return 1

    async with client_of(app) as client:
        first = await client.get("/summary")
        with_token = await client.get("/summary", headers={"authorization": "Bearer x"})
    assert first.headers["cache-control"] in {"public, max-age=300", "public, max-age=299"}
    assert with_token.headers["cache-control"].startswith("private, max-age=2")
    assert "age" not in first.headers


async def test_a_cache_control_of_ones_own_comes_with_an_age(running: Keel) -> None:
    app = FastAPI()

    @app.get("/declared")
    @cache_response(ttl=300, cache_control="public, max-age=60")
    async def declared() -> int:
        return 1

    @app.get("/written")
    @cache_response(ttl=300)
    async def written(response: Response) -> int:
        response.headers["cache-control"] = "max-age=9"
        return 1

    async with client_of(app) as client:
        one, other = await client.get("/declared"), await client.get("/written")
    assert (one.headers["cache-control"], one.headers["age"]) == ("public, max-age=60", "0")
    assert (other.headers["cache-control"], other.headers["age"]) == ("max-age=9", "0")


async def test_a_stale_answer_says_so(running: Keel) -> None:
    app, source = FastAPI(), Counted()

    @app.get("/summary")
    @cache_response(ttl=0.02, stale_ttl=60)
    async def summary() -> int:
        return source.next()

    async with client_of(app) as client:
        await client.get("/summary")
        await asyncio.sleep(0.03)
        stale = await client.get("/summary")
    assert (stale.text, stale.headers["x-cache"]) == ("1", "stale")
    assert stale.headers["cache-control"] == "public, max-age=0"


# What happens beside


def _session(log: list[str]) -> Callable[[], AsyncIterator[list[str]]]:
    async def opened() -> AsyncIterator[list[str]]:
        log.append("opened")
        try:
            yield log
        finally:
            log.append("closed")

    return opened


async def test_what_was_injected_lives_until_the_computation_ends(running: Keel) -> None:
    app, log = FastAPI(), list[str]()

    @app.get("/summary")
    @cache_response(ttl=0.02, stale_ttl=60)
    async def summary(session: Annotated[list[str], Depends(_session(log))]) -> int:
        await asyncio.sleep(0.02)
        session.append("used")
        return 1

    async with client_of(app) as client:
        await client.get("/summary")
        await asyncio.sleep(0.03)
        assert (await client.get("/summary")).headers["x-cache"] == "stale"
    assert log == ["opened", "used", "closed"] * 2


async def test_a_request_that_is_cancelled_outlasts_what_others_wait_for(running: Keel) -> None:
    app, log = FastAPI(), list[str]()

    @app.get("/summary")
    @cache_response(ttl=300)
    async def summary(session: Annotated[list[str], Depends(_session(log))]) -> int:
        await asyncio.sleep(0.05)
        session.append("used")
        return 1

    async with client_of(app) as client:
        first = asyncio.get_running_loop().create_task(client.get("/summary"))
        await asyncio.sleep(0.02)
        second = asyncio.get_running_loop().create_task(client.get("/summary"))
        await asyncio.sleep(0.01)
        first.cancel()
        assert (await second).text == "1"
        with pytest.raises(asyncio.CancelledError):
            await first
    assert log.index("used") < log.index("closed")


async def test_headers_of_dependencies_belong_to_each_request(running: Keel) -> None:
    app, source = FastAPI(), Counted()

    def touched(response: Response) -> None:
        response.set_cookie("touched", str(source.next()))

    @app.get("/summary", dependencies=[Depends(touched)])
    @cache_response(ttl=300)
    async def summary(response: Response) -> int:
        response.headers["x-own"] = "1"
        return 1

    async with client_of(app) as client:
        answers = [await client.get("/summary") for _ in range(2)]
    assert [each.headers["x-cache"] for each in answers] == ["miss", "hit"]
    assert ["touched=1" in answers[0].headers["set-cookie"], "touched=2" in answers[1].headers["set-cookie"]] == [
        True
    ] * 2
    assert [each.headers["x-own"] for each in answers] == ["1", "1"]


async def test_a_status_that_a_dependency_has_set_is_left_alone(running: Keel) -> None:
    app, source = FastAPI(), Counted()

    def accepted(response: Response) -> None:
        response.status_code = 202

    @app.get("/summary", dependencies=[Depends(accepted)])
    @cache_response(ttl=300)
    async def summary() -> int:
        return source.next()

    async with client_of(app) as client:
        assert [(await client.get("/summary")).status_code for _ in range(2)] == [202, 202]
    assert source.asked == 2


async def test_background_tasks_run_for_the_request_that_was_computed(running: Keel) -> None:
    app, log = FastAPI(), list[str]()

    @app.get("/summary")
    @cache_response(ttl=300)
    async def summary(tasks: BackgroundTasks) -> int:
        tasks.add_task(log.append, "ran")
        return 1

    async with client_of(app) as client:
        for _ in range(2):
            await client.get("/summary")
    assert log == ["ran"]


async def test_an_endpoint_is_invalidated_by_its_arguments(running: Keel) -> None:
    app, source = FastAPI(), Counted()

    @app.get("/accounts/{account}")
    @cache_response(ttl=300, tags=("account:{account}",))
    async def summary(account: int, limit: int = 3) -> int:
        return source.next()

    async with client_of(app) as client:
        assert [(await client.get(f"/accounts/{each}")).text for each in (1, 2)] == ["1", "2"]
        await summary.invalidate(1)
        assert [(await client.get(f"/accounts/{each}")).text for each in (1, 2)] == ["3", "2"]
        await running.cache.invalidate_tags("account:2")
        assert [(await client.get(f"/accounts/{each}")).text for each in (1, 2)] == ["3", "4"]


async def test_a_function_that_is_injected_or_called_is_no_endpoint(running: Keel) -> None:
    app, source = FastAPI(), Counted()

    @cache_response(ttl=300)
    async def total(account: int) -> int:
        return source.next()

    @cache_response(ttl=300)
    async def with_request(request: Request, account: int) -> int:
        return source.next()

    @app.get("/summary")
    async def summary(request: Request, injected: Annotated[int, Depends(total)]) -> list[int]:
        return [injected, await total(7), await with_request(request, 7)]

    async with client_of(app) as client:
        answers = [await client.get("/summary?account=7") for _ in range(2)]
    assert [each.json() for each in answers] == [[1, 1, 2]] * 2
    assert "x-cache" not in answers[0].headers


async def test_an_endpoint_may_be_decorated_further_and_called_plainly(running: Keel) -> None:
    app, source = FastAPI(), Counted()

    @cache_response(ttl=300)
    async def inner(account: int = 1) -> int:
        return source.next()

    def outer(function: Any) -> Any:  # noqa: ANN401 - any function
        async def wrapped(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - its arguments
            return await function(*args, **kwargs)

        wrapped.__wrapped__ = function  # type: ignore[attr-defined] # as functools.wraps does
        return wrapped

    app.get("/summary")(outer(inner))
    async with client_of(app) as client:
        assert [(await client.get("/summary")).headers.get("x-cache") for _ in range(2)] == ["miss", "hit"]
    assert await inner(1) == 2


# Starlette alone


async def test_an_endpoint_of_starlette_is_kept_by_its_whole_query(running: Keel) -> None:
    source = Counted()

    @cache_response(ttl=300)
    async def trades(request: Request) -> Response:
        return JSONResponse([source.next(), request.query_params.get("a")])

    app = Starlette(routes=[Mount("/api", routes=[Route("/trades/{account}", trades)])])
    async with client_of(app) as client:
        paths = ["/api/trades/1?a=1&b=2", "/api/trades/1?b=2&a=1", "/api/trades/1?a=2", "/api/trades/2?a=1&b=2"]
        answers = [await client.get(path) for path in paths]
        head = await client.head(paths[0])
    assert [each.json() for each in answers] == [[1, "1"], [1, "1"], [2, "2"], [3, "1"]]
    assert (head.headers["x-cache"], head.content) == ("hit", b"")


async def test_a_model_that_has_changed_reads_no_bytes_of_before(running: Keel) -> None:
    def application(model: type) -> tuple[FastAPI, Any]:
        app = FastAPI()

        @cache_response(ttl=300, key_prefix="models")
        async def position() -> Any:  # noqa: ANN401 - the response model says what it is
            return {"symbol": "ES", "net": 1}

        app.get("/position", response_model=model)(position)
        return app, position

    before = type("Changing", (BaseModel,), {"__annotations__": {"symbol": str}, "__module__": __name__})
    after = type("Changing", (BaseModel,), {"__annotations__": {"symbol": str, "net": int}, "__module__": __name__})
    answers = []
    for model in (before, after):
        app, _ = application(model)
        async with client_of(app) as client:
            answers.append((await client.get("/position")).json())
    assert answers == [{"symbol": "ES"}, {"symbol": "ES", "net": 1}]


async def test_structs_are_left_to_the_function(running: Keel) -> None:
    app = FastAPI()

    class Total(msgspec.Struct):
        net: int

    @app.get("/total")
    @cache_response(ttl=300)
    async def total() -> Response:
        return Response(msgspec.json.encode(Total(3)), media_type="application/json")

    assert await _twice(app, "/total") == [('{"net":3}', "miss"), ('{"net":3}', "hit")]


async def test_an_application_that_is_gone_is_kept_by_none_of_its_functions(running: Keel) -> None:
    @cache_response(ttl=300)
    async def summary() -> int:
        return 1

    app = FastAPI()
    app.get("/summary")(summary)
    assert await _twice(app, "/summary") == [("1", "miss"), ("1", "hit")]
    route = weakref.ref(app.routes[-1])
    assert route() is not None
    del app
    gc.collect()
    assert route() is None
