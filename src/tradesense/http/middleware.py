"""The outer layers of the application, pure ASGI: headers that browsers obey, and what nobody foresaw."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from keel.context import current_segment
from tradesense.db.postgresql import DatabaseAway
from tradesense.http import problems

Headers = list[tuple[bytes, bytes]]
API_POLICY: Final = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
"""What an answer of the API may load or be shown in, should a browser take it for a page: nothing."""


_SECURITY: Final[Mapping[str, str]] = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": API_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def security_headers(*, https: bool) -> Mapping[str, str]:
    """What every answer says, unless it says something else by that name."""
    return {**_SECURITY, "Strict-Transport-Security": "max-age=31536000"} if https else _SECURITY


class Decorations:
    """What layers add to the headers of an answer to a GET, found by sending one through them.

    For layers that wait for nothing, and go by nothing of the request but its `Origin`.
    """

    def __init__(self, *layers: Middleware) -> None:
        self._app: ASGIApp = _answer
        for layer in reversed(layers):
            self._app = layer.cls(self._app, *layer.args, **layer.kwargs)

    def __call__(self, headers: Headers, origin: bytes | None) -> Headers:
        """The headers of an answer with theirs, for a request from this origin, if from any."""
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        asked = [] if origin is None else [(b"origin", origin)]
        scope = {"type": "http", "method": "GET", "headers": asked, "answered": list(headers)}
        with suppress(StopIteration):
            self._app(scope, _nothing, send).__await__().send(None)
        told: Headers = sent[0]["headers"]
        return told


async def _answer(scope: Scope, _receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": scope["answered"]})


async def _nothing() -> Message:
    return {"type": "http.request"}


class SecurityHeaders:
    """Adds to every answer what makes browsers careful, unless the answer has a header of its own by that name."""

    def __init__(self, app: ASGIApp, *, https: bool) -> None:
        self.app = app
        self.headers = security_headers(https=https)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on with headers added."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self.headers.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, send_with_headers)


class Heads:
    """Answers HEAD wherever there is a GET: with the same headers, and no body (RFC 9110, section 9.3.2).

    To what stands within it is a GET, which need not know that nobody reads on.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and send no more than how the answer begins."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return

        async def send_head(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send(message)
                await send({"type": "http.response.body"})

        await self.app({**scope, "method": "GET"}, receive, send_head)


class UnexpectedErrors:
    """Answers what nobody foresaw with a problem, inside of CORS and the like so that it has their headers.

    It is noted for who observes the request: its line in the log has the error. Once an answer has begun nothing can be
    said any more: the error then goes on, and the server cuts the connection. So it does where nobody observes.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and watch."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun = False

        async def watched_send(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self.app(scope, receive, watched_send)
        except Exception as error:
            segment = current_segment()
            if begun or segment is None:
                raise
            segment.error = error
            answer = problems.away if isinstance(error, DatabaseAway) else problems.unexpected
            await answer(HTTPConnection(scope))(scope, receive, send)
