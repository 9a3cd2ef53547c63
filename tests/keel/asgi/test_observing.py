"""What is known of a request when it is over, however it ends."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, BackgroundTasks, FastAPI, WebSocket
from fastapi.responses import StreamingResponse
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import ClientDisconnect
from starlette.routing import Mount, WebSocketRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from keel import span
from keel.asgi.hot_path import HotPath
from keel.asgi.observing import Observing, route_of
from keel.asgi.routes import RouteTemplates, templates
from keel.asgi.running import Running
from keel.cache.response import cache_response
from keel.context import Segment, act_as, current_segment, doing
from keel.opening import Keel
from keel.traces.contract import TraceOptions
from keel.traces.propagation import outgoing
from keel.traces.recorder import Traces

ID = "4bf92f3577b34da6a3ce929d0e0e4736"
Observed = tuple[Observing, list[Segment]]


def observing(app: ASGIApp, template: str | None = None) -> Observed:
    """The application, observed; and what is known in the end."""
    traces, known = Traces(TraceOptions(rate=1)), list[Segment]()

    class Heard:
        def observed(self, request: Segment) -> None:
            known.append(request)

    traces.observers.append(Heard())
    return Observing(app, traces=lambda _: traces, template=lambda _: template), known


def http(path: str = "/", *headers: tuple[bytes, bytes], method: str = "GET") -> Scope:
    return {"type": "http", "method": method, "path": path, "headers": list(headers), "client": ("10.0.0.1", 4)}


async def exchange(app: ASGIApp, scope: Scope, *incoming: Message) -> list[Message]:
    """What is sent to who says this, and then goes."""
    sent: list[Message] = []
    waiting = list(incoming or [{"type": "http.request", "body": b""}])

    async def receive() -> Message:
        gone = "http" if scope["type"] == "http" else "websocket"
        return waiting.pop(0) if waiting else {"type": f"{gone}.disconnect", "code": 1006}

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent


async def answer(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-cache", b"hit")]})
    await send({"type": "http.response.body", "body": b"123", "more_body": True})
    await send({"type": "http.response.body", "body": b"45"})


async def test_a_request_is_known_with_its_ids_route_and_answer() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        segment = current_segment()
        assert segment is not None
        assert (segment.route, route_of(scope), scope["state"]) == (
            "/items/{id}",
            "/items/{id}",
            {"request_id": "tea-1"},
        )
        act_as("u7")
        await receive()
        await answer(scope, receive, send)

    app_, known = observing(app, "/items/{id}")
    scope = http("/items/7", (b"x-request-id", b"tea-1"), (b"user-agent", b"curl"), method="POST")
    sent = await exchange(app_, scope, {"type": "http.request", "body": b"1234567"})
    assert sent[0]["headers"] == [(b"x-cache", b"hit"), (b"x-request-id", b"tea-1"), (b"x-correlation-id", b"tea-1")]
    (segment,) = known
    assert (segment.kind, segment.title, segment.status, segment.path) == ("http", "POST /items/{id}", 200, "/items/7")
    assert (segment.user_id, segment.address, segment.user_agent) == ("u7", "10.0.0.1", b"curl")
    assert (segment.request_bytes, segment.response_bytes, segment.cache) == (7, 5, "hit")
    assert segment.began_ns < segment.body_began_ns < segment.ended_ns
    assert (segment.failed, segment.disconnected, segment.rate_limited) == (False, False, False)
    assert (current_segment(), route_of({})) == (None, None)


@given(
    st.one_of(st.binary(max_size=20), st.text(st.characters(codec="ascii"), max_size=140).map(str.encode)),
    st.binary(max_size=60),
)
def test_ids_that_are_not_well_formed_are_replaced(request_id: bytes, traceparent: bytes) -> None:
    app, known = observing(answer)
    scope = http("/", (b"x-request-id", request_id), (b"x-correlation-id", request_id), (b"traceparent", traceparent))
    sent = asyncio.run(exchange(app, scope))
    (segment,) = known
    is_well_formed = 0 < len(request_id) <= 128 and all(chr(each).isalnum() or each in b"._-" for each in request_id)
    is_well_formed = is_well_formed and request_id.isascii()
    assert segment.request_id == (request_id.decode() if is_well_formed else segment.trace_id)
    assert segment.correlation_id == segment.request_id
    assert dict(sent[0]["headers"])[b"x-request-id"] == segment.request_id.encode()
    assert segment.parent_id == 0


async def test_a_trace_goes_on_with_its_state_and_its_correlation_id() -> None:
    told: list[dict[str, str]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        with span("calling") as calling:
            told.append(outgoing())
        assert told[-1]["traceparent"].split("-")[2] == f"{calling.span_id:016x}"
        await answer(scope, receive, send)

    app_, known = observing(app)
    parent = f"00-{ID}-00f067aa0ba902b7-00".encode()
    for _ in range(2):
        headers = (b"traceparent", parent), (b"tracestate", b"a=b"), (b"x-correlation-id", b"order-7")
        await exchange(app_, http("/", *headers))
    assert [(each.trace_id, each.parent_id, each.correlation_id) for each in known] == [
        (ID, 0x00F067AA0BA902B7, "order-7")
    ] * 2
    assert known[0].request_id != known[1].request_id
    version, trace_id, _, flags = told[0].pop("traceparent").split("-")
    assert (version, trace_id, flags) == ("00", ID, "01")
    assert told[0] == {"tracestate": "a=b", "X-Request-ID": known[0].request_id, "X-Correlation-ID": "order-7"}
    assert outgoing() == {}


async def test_two_parents_are_none() -> None:
    app, known = observing(answer)
    headers = (b"traceparent", f"00-{ID}-00f067aa0ba902b7-01".encode())
    await exchange(app, http("/", headers, headers))
    assert known[0].trace_id != ID


async def test_hostile_requests_are_bounded() -> None:
    app, known = observing(answer)
    await exchange(app, http("/" + "a" * 100_000, method="BREW"))
    assert (known[0].method, known[0].title, len(known[0].path)) == ("_OTHER", "_OTHER", 1024)


async def test_what_is_remembered_of_many_hostile_requests_is_bounded() -> None:
    traces = Traces(TraceOptions(rate=0.5))

    async def app(scope: Scope, _receive: Receive, send: Send) -> None:
        for number in range(20):
            with span(f"{scope['path']} {number}"):
                pass
        await send({"type": "http.response.start", "status": 200, "headers": []})

    observed = Observing(app, traces=lambda _: traces)
    for number in range(2000):
        headers = (b"x-request-id", b"a" * (number % 200)), (b"traceparent", f"00-{number:032x}-{1:016x}-01".encode())
        await exchange(observed, http(f"/{number}", *headers, method=f"M{number}"))
    assert traces.under_way == set()
    assert sum(len(each.spans) for each in traces.ring.newest()) <= 32_768
    assert len(list(traces.ring.newest())) <= 1024
    assert len(traces._regrets) <= 16_384 / 20


async def test_an_exception_is_known_and_goes_on() -> None:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        with span("part"):
            raise ValueError("no")

    app_, known = observing(app)
    with pytest.raises(ValueError, match="no"):
        await exchange(app_, http())
    (segment,) = known
    assert segment.failed
    assert segment.exception is not None
    assert segment.exception["type"] == "ValueError"
    assert segment.exception["frames"][-1]["function"].endswith("app")
    assert [each.error for each in segment.spans] == ["ValueError"]
    assert doing.get() is None


async def test_a_client_that_goes_before_the_answer_is_complete_is_known() -> None:
    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"1", "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            pass

    async def late(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(scope, receive, send)
        while (await receive())["type"] != "http.disconnect":
            pass

    for app_, is_gone in ((app, True), (late, False)):
        observed, known = observing(app_)
        await exchange(observed, http())
        assert (known[0].disconnected, known[0].failed) == (is_gone, False)


async def test_a_client_that_goes_while_it_is_sent_to_or_read_from_is_no_error() -> None:
    async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise ClientDisconnect

    observed, known = observing(app)
    with pytest.raises(ClientDisconnect):
        await exchange(observed, http())
    assert (known[0].disconnected, known[0].failed, known[0].exception) == (True, False, None)


async def test_a_request_that_is_cancelled_is_known() -> None:
    began = asyncio.Event()

    async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
        with span("waiting"):
            began.set()
            await asyncio.Event().wait()

    observed, known = observing(app)
    task = asyncio.get_running_loop().create_task(exchange(observed, http()))
    await began.wait()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    (segment,) = known
    assert (segment.status, segment.disconnected, segment.failed, len(segment.spans)) == (0, True, False, 1)


async def test_what_the_program_asks_itself_is_part_of_what_asks() -> None:
    traces = Traces(TraceOptions(rate=1))
    job = traces.begin("job", "warming")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert current_segment() is job
        await answer(scope, receive, send)

    before = doing.set(job)
    sent = await exchange(
        Observing(app, traces=lambda _: traces, exempt=lambda scope: "ours" in scope), {**http(), "ours": 1}
    )
    doing.reset(before)
    assert sent[0]["headers"] == [(b"x-cache", b"hit")]
    assert list(traces.ring.newest()) == []


async def test_what_is_no_request_passes_through() -> None:
    seen: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append((scope, receive, send))

    observed, known = observing(app)
    lifespan: Scope = {"type": "lifespan"}
    await exchange(observed, lifespan)
    assert seen[0][0] is lifespan
    assert known == []


# Applications


@pytest.fixture
def application() -> FastAPI:  # noqa: C901 - one of each kind
    app, inner, outer, mounted = FastAPI(), APIRouter(prefix="/inner"), APIRouter(prefix="/outer"), FastAPI()

    @inner.get("/items/{item:int}")
    async def item(item: int) -> int:
        return item

    @mounted.get("/things/{thing}")
    async def thing(thing: str) -> str:
        return thing

    @app.get("/files/{path:path}")
    async def file(path: str) -> str:
        return path

    @app.get("/exact")
    async def exact(tasks: BackgroundTasks) -> int:
        tasks.add_task(background)
        return 1

    async def background() -> None:
        with span("in the background"):
            await asyncio.sleep(0.01)

    async def parts() -> AsyncIterator[bytes]:
        for number in range(3):
            with span(f"part {number}"):
                await asyncio.sleep(0)
                yield b"12"

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        return StreamingResponse(parts())

    @app.websocket("/live/{channel}")
    async def live(socket: WebSocket, channel: str) -> None:
        if channel == "closed":
            await socket.close(4001)
            return
        await socket.accept()
        with span("hello"):
            await socket.send_text("hello")
        if channel == "failing":
            raise ValueError("no")
        async for _ in socket.iter_text():
            pass

    outer.include_router(inner)
    app.include_router(outer, prefix="/v1")
    app.mount("/tenants/{tenant}", mounted)
    app.mount("/static", answer)
    return app


@pytest.mark.parametrize(
    ("path", "template"),
    [
        ("/v1/outer/inner/items/7", "/v1/outer/inner/items/{item}"),
        ("/v1/outer/inner/items/x", None),
        ("/tenants/acme/things/7", "/tenants/{tenant}/things/{thing}"),
        ("/files/a/b/c", "/files/{path}"),
        ("/static/app.js", "/static/{path}"),
        ("/exact", "/exact"),
        ("/nowhere", None),
    ],
)
async def test_the_route_is_the_whole_template(application: FastAPI, path: str, template: str | None) -> None:
    find = RouteTemplates(templates(application.routes)).find
    traces = Traces(TraceOptions(rate=1))
    observed = Observing(application, traces=lambda _: traces, template=find)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(observed), base_url="http://test") as client:
        answered = await client.get(path)
    assert answered.status_code == (200 if template else 404)
    (segment,) = traces.ring.newest()
    assert segment.route == template


@pytest.mark.parametrize("place", ["around", "within"])
async def test_where_no_templates_are_given_they_are_those_of_the_application(place: str) -> None:
    app, traces = FastAPI(), Traces(TraceOptions(rate=1))
    app.add_api_route("/items/{item}", lambda item: item)
    if place == "within":
        app.add_middleware(Observing, traces=lambda _: traces)
    around = Observing(app, traces=lambda _: traces) if place == "around" else app
    async with httpx.AsyncClient(transport=httpx.ASGITransport(around), base_url="http://test") as client:
        for path in ("/items/7", "/nowhere"):
            await client.get(path)
    assert [each.route for each in traces.ring.newest()] == [None, "/items/{item}"]


def test_templates_of_mounts_begin_with_theirs() -> None:
    assert list(templates([Mount("/a", routes=[Mount("/{b}", app=answer)])])) == ["/a/{b}/{path:path}"]


def test_a_websocket_in_an_included_router_has_a_template() -> None:
    app, router = FastAPI(openapi_url=None), APIRouter()
    router.routes.append(WebSocketRoute("/talk", answer))
    app.include_router(router, prefix="/v1")
    assert "/v1/talk" in set(templates(app.routes))


async def test_streams_and_background_tasks_are_part_of_the_request(application: FastAPI) -> None:
    observed, known = observing(application)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(observed), base_url="http://test") as client:
        assert (await client.get("/stream")).content == b"121212"
        await client.get("/exact")
    stream, background = known
    assert [each.name for each in stream.spans] == ["part 0", "part 1", "part 2"]
    assert (stream.response_bytes, stream.disconnected) == (6, False)
    assert [each.name for each in background.spans] == ["in the background"]
    assert background.duration_s >= 0.01


async def test_a_websocket_is_known_when_it_is_over(application: FastAPI) -> None:
    def socket(channel: str) -> Scope:
        return {"type": "websocket", "path": f"/live/{channel}", "headers": [], "query_string": b"", "subprotocols": []}

    observed, known = observing(application, "/live/{channel}")
    connected = {"type": "websocket.connect"}
    said = {"type": "websocket.receive", "text": "abc"}
    sent = await exchange(observed, socket("open"), connected, said)
    assert b"x-request-id" in dict(sent[0]["headers"])
    await exchange(observed, socket("closed"), connected)
    with pytest.raises(ValueError, match="no"):
        await exchange(observed, socket("failing"), connected)
    opened, closed, failing = known
    assert (opened.kind, opened.status, opened.close_code, opened.failed) == ("websocket", 101, 1006, False)
    assert (opened.request_bytes, opened.response_bytes, [each.name for each in opened.spans]) == (3, 5, ["hello"])
    assert (closed.status, closed.close_code, closed.title) == (403, 4001, "GET /live/{channel}")
    assert failing.failed


async def test_a_websocket_that_is_denied_with_an_answer_has_its_status() -> None:
    async def deny(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "websocket.http.response.start", "status": 401, "headers": []})
        await send({"type": "websocket.http.response.body", "body": b""})

    observed, known = observing(deny)
    await exchange(observed, {"type": "websocket", "path": "/", "headers": []})
    assert (known[0].status, known[0].close_code) == (401, 0)


async def test_an_answer_of_the_hot_path_is_known_as_any_other() -> None:
    app = FastAPI()

    @app.get("/kept")
    @cache_response(ttl=300, hot="public")
    async def kept() -> int:
        return 7

    observed = Observing(Running(HotPath(app)), template=lambda scope: scope["path"])
    async with Keel.open(trace_options=TraceOptions(rate=1)) as keel:

        async def served(scope: Scope, receive: Receive, send: Send) -> None:
            await observed({**scope, "state": {"keel": keel}}, receive, send)

        async with httpx.AsyncClient(transport=httpx.ASGITransport(served), base_url="http://test") as client:
            answers = [await client.get("/kept", headers={"X-Request-ID": "tea-1"}) for _ in range(3)]
        found = list(keel.traces.ring.newest())[::-1]
    assert [each.headers["x-request-id"] for each in answers] == ["tea-1"] * 3
    assert [(each.cache, each.status, each.route) for each in found] == [
        ("miss", 200, "/kept"),
        ("hit", 200, "/kept"),
        ("hit", 200, "/kept"),
    ]


async def test_requests_at_once_never_mix_their_spans() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        name = scope["path"]

        async def part(number: int) -> None:
            with span(f"{name} {number}"):
                await asyncio.sleep(0)

        with span(name):
            await asyncio.gather(*(part(number) for number in range(3)))
            await asyncio.to_thread(_noted, name)
        await answer(scope, receive, send)

    observed, known = observing(app)
    await asyncio.gather(*(exchange(observed, http(f"/{number}")) for number in range(20)))
    assert len(known) == 20
    for segment in known:
        assert len(segment.spans) == 5
        assert {each.name.split(" ")[0] for each in segment.spans} == {segment.path}


def _noted(name: str) -> None:
    with span(f"{name} in a thread"):
        pass
