"""Observes every request and WebSocket from outside of all else: its ids, its route, how it went and how long it took.

What is known is a `keel.context.Segment`, current for all that is done within; it is recorded when everything is over,
background tasks included, however it ends. Ids that a client sends are taken where they are well-formed, so that nobody
writes lines of their own into a log.
"""

import re
from collections.abc import Callable
from random import getrandbits
from time import perf_counter_ns
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from keel.clock import wall_ns
from keel.context import Segment, doing
from keel.traces.propagation import parse, well_formed_state
from keel.traces.recorder import Traces

Template = Callable[[Scope], str | None]
"""The whole template of the route that a request is for; None where there is none."""

_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,128}")
_HEADERS: Final = frozenset(
    {b"traceparent", b"tracestate", b"x-request-id", b"x-correlation-id", b"user-agent", b"content-length"}
)
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "QUERY"})
_OURS: Final = frozenset({b"x-request-id", b"x-correlation-id"})


class Observing:
    """The middleware, outermost but for what says who is connected. `template` knows routes before they are taken."""

    def __init__(self, app: ASGIApp, *, traces: Callable[[Scope], Traces], template: Template | None = None) -> None:
        self._app = app
        self._traces = traces
        self._template = template

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and record."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        traces = self._traces(scope)
        segment = _begun(traces, scope)
        if self._template is not None:
            segment.route = self._template(scope)
        watch = _Watch(segment, receive, send)
        token = doing.set(segment)
        try:
            await self._app(scope, watch.receive, watch.send)
        except Exception as error:
            segment.error = error
            raise
        except BaseException:
            segment.disconnected = True
            raise
        finally:
            doing.reset(token)
            segment.name = f"{segment.method} {segment.route or 'unmatched'}"
            traces.end(segment)


def _begun(traces: Traces, scope: Scope) -> Segment:
    given: dict[bytes, bytes] = {name: value for name, value in scope["headers"] if name in _HEADERS}
    parent = parse(given[b"traceparent"].decode("latin-1")) if b"traceparent" in given else None
    segment = traces.begin(scope["type"], "", parent)
    method = scope.get("method", "GET")
    segment.method = method if method in _METHODS else "_OTHER"
    segment.path = scope["path"]
    if given:
        segment.request_id = _well_formed(given.get(b"x-request-id"))
        segment.correlation_id = _well_formed(given.get(b"x-correlation-id"))
        segment.user_agent = given.get(b"user-agent", b"").decode("latin-1")
        if parent is not None:
            segment.tracestate = well_formed_state(given.get(b"tracestate", b"").decode("latin-1"))
    segment.request_id = segment.request_id or _new_id()
    segment.correlation_id = segment.correlation_id or segment.request_id
    state = scope.get("state")
    if state is None:
        state = scope["state"] = {}
    state["request_id"] = segment.request_id
    client = scope.get("client")
    segment.address = client[0] if client else ""
    return segment


def _well_formed(given: bytes | None) -> str:
    if given is None:
        return ""
    text = given.decode("latin-1")
    return text if _ID.fullmatch(text) else ""


def _new_id() -> str:
    """A UUIDv7, as those of `keel.ids`, but no secret: made of the cheaper randomness."""
    ms, random = wall_ns() // 1_000_000, getrandbits(74)
    digits = f"{ms << 80 | 0x7 << 76 | (random >> 62) << 64 | 0b10 << 62 | random & (1 << 62) - 1:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


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
        kind = message["type"]
        if kind == "http.request":
            self._segment.request_bytes += len(message.get("body", b""))
        elif kind == "http.disconnect":
            self._segment.disconnected = not self._is_complete
        elif kind == "websocket.disconnect":
            self._segment.close_code = self._segment.close_code or message.get("code", 1005)
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
        if kind == "websocket.accept":
            segment.status = 101
            message["headers"] = self._with_ids(message.get("headers", ()))
        elif kind == "websocket.http.response.start":
            segment.status = message["status"]
            message["headers"] = self._with_ids(message.get("headers", ()))
        elif kind == "websocket.close":
            segment.status = segment.status or 403
            segment.close_code = segment.close_code or message.get("code", 1000)
        elif kind == "websocket.send":
            data = message.get("bytes")
            segment.response_bytes += len(message.get("text") or "" if data is None else data)

    def _with_ids(self, headers: object) -> list[tuple[bytes, bytes]]:
        segment = self._segment
        kept = []
        for pair in headers:  # type: ignore[attr-defined] # pairs of bytes, by ASGI
            name = pair[0]
            if name == b"x-cache":
                segment.cache = pair[1].decode("latin-1")
            if name not in _OURS:
                kept.append(pair)
        kept.append((b"x-request-id", segment.request_id.encode()))
        kept.append((b"x-correlation-id", segment.correlation_id.encode()))
        return kept
