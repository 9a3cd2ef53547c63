"""Observes every request and WebSocket from outside of all else: its ids, its route, how it went and how long it took.

What is known is a `keel.context.Segment`, current for all that is done within; it is recorded when everything is over,
background tasks included, however it ends. Ids that a client sends are taken where they are well-formed, so that nobody
writes lines of their own into a log.
"""

import re
from collections.abc import Callable, Iterable
from time import perf_counter_ns
from typing import Any, Final, NamedTuple

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from keel.asgi.routes import RouteTemplates, templates
from keel.asgi.running import STATE
from keel.context import Segment, current_segment, doing
from keel.traces.propagation import Parent, new_trace_id, parse, well_formed_state
from keel.traces.recorder import Traces

Template = Callable[[Scope], str | None]
"""The whole template of the route that a request is for; None where there is none (see `keel.asgi.routes`)."""

REQUEST_ID: Final = "request_id"
"""The name in the scope's state under which a request's id is."""
_WELL_FORMED: Final = re.compile(rb"[A-Za-z0-9._-]{1,128}").fullmatch
_PARENT, _STATE, _ID, _CORRELATION, _AGENT = (
    b"traceparent",
    b"tracestate",
    b"x-request-id",
    b"x-correlation-id",
    b"user-agent",
)
_HEADERS: Final = frozenset({_PARENT, _STATE, _ID, _CORRELATION, _AGENT})
_CACHE: Final = b"x-cache"
_IDS: Final = frozenset({_ID, _CORRELATION})
_TOLD: Final = frozenset({_ID, _CORRELATION, _CACHE})
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "QUERY"})
_LONGEST: Final = 1024
"""Of a path, what is kept."""
_SWITCHING: Final = 101
_REFUSED: Final = 403
_CLOSED: Final = 1000
_NO_CODE: Final = 1005


class Observing:
    """The middleware, outermost but for what says who is connected.

    `template` knows routes before they are taken; by default those that the application has when the first request
    comes, where it is one of Starlette's. `traces` record what is seen; those of the application's Keel by
    default. A request that the program makes itself is `exempt`: it is part of what makes it.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        template: Template | None = None,
        traces: Callable[[Scope], Traces] | None = None,
        exempt: Callable[[Scope], bool] | None = None,
    ) -> None:
        self._app = app
        self._exempt = exempt
        self._template_of = template
        self._traces = traces or _of_keel

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and record."""
        if scope["type"] == "lifespan" or (self._exempt is not None and self._exempt(scope)):
            await self._app(scope, receive, send)
            return
        traces = self._traces(scope)
        segment = begun(traces, scope)
        segment.route = self._template(scope)
        watch = _Watch(segment, receive, send)
        before = doing.set(segment)
        try:
            await self._app(scope, watch.receive, watch.send)
        except Exception as error:
            segment.error = error
            raise
        except BaseException:  # cancelled: the server has given up on it
            segment.disconnected = True
            raise
        finally:
            doing.reset(before)
            if isinstance(segment.error, ClientDisconnect):  # no error of ours
                segment.error, segment.disconnected = None, True
            traces.end(segment)

    def _template(self, scope: Scope) -> str | None:
        if self._template_of is None:
            application = scope.get("app", self._app)  # which is around this, or within
            self._template_of = RouteTemplates(templates(getattr(application, "routes", ()))).find
        return self._template_of(scope)


def route_of(_scope: Scope) -> str | None:
    """The template of the request that is under way: for what stands within, and is told the scope."""
    segment = current_segment()
    return None if segment is None else segment.route


def _of_keel(scope: Scope) -> Traces:
    traces: Traces = scope["state"][STATE].traces
    return traces


class Said(NamedTuple):
    """What a request's headers say about what it is part of, and who sends it."""

    parent: Parent | None = None
    request_id: str = ""
    correlation_id: str = ""
    user_agent: bytes = b""
    tracestate: str = ""

    @classmethod
    def by(cls, headers: Iterable[tuple[bytes, bytes]]) -> "Said":
        """What these say, as far as it is well-formed."""
        given: dict[bytes, bytes] = {}
        for pair in headers:
            if pair[0] in _HEADERS:
                name, value = pair
                given[name] = b"" if name == _PARENT and name in given else value  # two of them say nothing
        if not given:
            return _SILENT
        parent = parse(given[_PARENT].decode("latin-1")) if _PARENT in given else None
        state = well_formed_state(given[_STATE].decode("latin-1")) if parent is not None and _STATE in given else ""
        ids = _well_formed(given.get(_ID)), _well_formed(given.get(_CORRELATION))
        return cls(parent, *ids, given.get(_AGENT, b""), state)


_SILENT: Final = Said()


def begun(traces: Traces, scope: Scope) -> Segment:
    """The segment of a request that begins now, with what its head says; whoever begins it ends it."""
    said = Said.by(scope["headers"])
    segment = traces.begin(scope["type"], "", said.parent)
    describe(segment, scope, said)
    name(segment, said)
    state = scope.get("state")
    if state is None:
        scope["state"] = {REQUEST_ID: segment.request_id}
    else:
        state[REQUEST_ID] = segment.request_id
    return segment


def describe(segment: Segment, scope: Scope, said: Said) -> None:
    """Let it be known what is asked, from where: the same each time that somebody asks in the same words."""
    method = scope.get("method", "GET")
    segment.method = method if method in _METHODS else "_OTHER"
    segment.path = scope["path"][:_LONGEST]
    client = scope.get("client")
    if client:
        segment.address = client[0]
    segment.user_agent = said.user_agent
    segment.tracestate = said.tracestate


def name(segment: Segment, said: Said) -> None:
    """Give it the ids that were sent, else its own."""
    request_id = said.request_id or (segment.trace_id if said.parent is None else new_trace_id())
    segment.request_id = request_id
    segment.correlation_id = said.correlation_id or request_id


def _well_formed(given: bytes | None) -> str:
    return given.decode() if given is not None and _WELL_FORMED(given) else ""


class _Watch:
    """What passes between the server and the application, as far as it is to be known."""

    __slots__ = ("_is_complete", "_receive", "_segment", "_send")

    def __init__(self, segment: Segment, receive: Receive, send: Send) -> None:
        self._segment = segment
        self._receive = receive
        self._send = send
        self._is_complete = False

    async def receive(self) -> Message:
        """What comes in: its size, and whether the client goes before the answer is complete."""
        message = await self._receive()
        kind, segment = message["type"], self._segment
        if kind == "http.request":
            segment.request_bytes += len(message.get("body", b""))
        elif kind == "http.disconnect":
            segment.disconnected = not self._is_complete
        elif kind == "websocket.receive":
            segment.request_bytes += _size(message)
        elif kind == "websocket.disconnect":
            segment.close_code = segment.close_code or message.get("code") or _NO_CODE
        return message

    async def send(self, message: Message) -> None:
        """What goes out: its status and size; the ids are added."""
        segment, kind = self._segment, message["type"]
        if kind == "http.response.body":
            segment.response_bytes += len(message.get("body", b""))
            self._is_complete = not message.get("more_body", False)
        elif kind == "http.response.start":
            segment.status = message["status"]
            segment.body_began_ns = perf_counter_ns()
            message["headers"] = self._with_ids(message.get("headers", ()))
        elif kind.startswith("websocket."):
            self._watch_socket(kind, message)
        await self._send(message)

    def _watch_socket(self, kind: str, message: Message) -> None:
        segment = self._segment
        if kind == "websocket.send":
            segment.response_bytes += _size(message)
        elif kind == "websocket.close":
            segment.status = segment.status or _REFUSED
            segment.close_code = segment.close_code or message.get("code") or _CLOSED
        elif kind in {"websocket.accept", "websocket.http.response.start"}:
            segment.status = message.get("status", _SWITCHING)
            message["headers"] = self._with_ids(message.get("headers", ()))

    def _with_ids(self, headers: Any) -> list[tuple[bytes, bytes]]:  # noqa: ANN401 - pairs of bytes, by ASGI
        segment = self._segment
        told = [pair for pair in headers if pair[0] not in _TOLD]
        if len(told) != len(headers):
            segment.cache = dict(headers).get(_CACHE, b"").decode("latin-1")
            told = [pair for pair in headers if pair[0] not in _IDS]
        request_id, correlation_id = segment.request_id, segment.correlation_id
        told.append((_ID, request_id.encode()))
        told.append((_CORRELATION, correlation_id.encode()))
        return told


def _size(message: Message) -> int:
    data = message.get("bytes")
    return len(message.get("text") or "") if data is None else len(data)
