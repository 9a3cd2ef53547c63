"""uvicorn's protocol of HTTP/1.1, which asks `keel.asgi.express` first: what memory has is sent as soon as it is asked.

Use it as `Config(http=ExpressProtocol)`. An application that has answers ready says so by an attribute, `express`.
Who keeps a connection asks the same again and again, to the byte: such a request is not even parsed.
"""

import asyncio
import logging
from typing import Any, Final, cast

from starlette.types import Scope
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from keel.asgi.express import ATTRIBUTE, Asked, Express
from keel.asgi.stalling import Unread
from keel.cache.stored import Headers

MOST_REMEMBERED: Final = 8
"""Requests of one connection that are known when they come again."""
LONGEST_REMEMBERED: Final = 2048
_END: Final = b"\r\n\r\n"
_LOG: Final = logging.getLogger(__name__)


class _Answered:
    """Stands for the request that was answered last."""

    response_complete = True

    class message_event:  # noqa: N801 - uvicorn's name
        """Nobody waits."""

        @staticmethod
        def set() -> None:
            """Tell nobody."""


_ANSWERED: Final = cast("RequestResponseCycle", _Answered)


class ExpressProtocol(HttpToolsProtocol):
    """A connection. Requests that are not answered at once go the way they always go."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.app = self._run
        self._express: Express[Any] | None = getattr(config.loaded_app, ATTRIBUTE, None)
        self._defaults = _lines(server_state.default_headers)
        self._answered_at = 0.0
        self._remembered: dict[bytes, Asked[Any]] = {}
        self._begun = 0
        """Requests that have begun since the last look."""
        self._is_between = True
        """Whether the last request that has begun is complete: what comes next is the beginning of one."""
        self._latest: Asked[Any] | None = None
        """What was answered at once since the last look."""
        self._unread = Unread(self.loop)

    # What comes in

    def data_received(self, data: bytes) -> None:
        """Answer at once what was asked before in the very same words; else let it be parsed."""
        was_between = self._is_between
        if was_between:
            asked = self._remembered.get(data)
            if asked is not None and self._is_free() and self._answer(asked):
                return
        self._begun, self._latest = 0, None
        super().data_received(data)
        if self._latest is not None and was_between and self._is_between and self._begun == 1:
            self._remember(data, self._latest)

    def _remember(self, data: bytes, asked: "Asked[Any]") -> None:
        """Remember what `data`, which is one whole request, has asked."""
        if len(data) <= LONGEST_REMEMBERED and data.endswith(_END):
            if len(self._remembered) >= MOST_REMEMBERED:
                self._remembered.clear()
            self._remembered[data] = asked

    def on_message_begin(self) -> None:
        """Note that a request begins."""
        self._begun += 1
        self._is_between = False
        super().on_message_begin()

    def on_message_complete(self) -> None:
        """Note that it is complete."""
        self._is_between = True
        super().on_message_complete()

    def on_headers_complete(self) -> None:
        """Answer at once, or begin a task that does."""
        if self._express is not None and self._is_plain():
            asked = self._read()
            if asked is not None and self._answer(asked):
                self._latest = asked
                return
        self._unset_keepalive_if_required()  # one that was sent at once in the same packet may have begun to wait
        super().on_headers_complete()

    # What goes out

    def _is_free(self) -> bool:
        """Whether nothing stands between a request and its answer on this connection."""
        before = cast("RequestResponseCycle | None", self.cycle)
        return (
            (before is None or before.response_complete)
            and not self.pipeline
            and not self.flow.write_paused
            and not self.transport.is_closing()
        )

    def _is_plain(self) -> bool:
        """Whether that is so, and the request is none but a plain one."""
        parser = self.parser
        return (
            parser.get_method() == b"GET"
            and self._is_free()
            and self.limit_concurrency is None
            and parser.get_http_version() == "1.1"
            and parser.should_keep_alive()
            and b"%" not in self.url
        )

    def _read(self) -> "Asked[Any] | None":
        path, _, query = self.url.partition(b"?")
        scope = cast("Scope", self.scope)
        scope["method"], scope["query_string"] = "GET", query.partition(b"#")[0]
        try:
            scope["path"] = self.root_path + path.decode("ascii")
            return None if self._express is None else self._express.read(scope)
        except Exception:  # noqa: BLE001 - whatever it is, the application answers
            _LOG.exception("a request could not be read at once")
            return None

    def _answer(self, asked: "Asked[Any]") -> bool:
        """Send the answer, if it is there."""
        state, defaults = self.server_state, self._defaults
        if defaults[0] is not state.default_headers:  # which are others each second
            defaults = self._defaults = _lines(state.default_headers)
        try:
            answer = None if self._express is None else self._express.answer(asked, defaults[1])
        except Exception:  # noqa: BLE001 - the same
            _LOG.exception("a request could not be answered at once")
            return False
        if answer is None:
            return False
        self.cycle = _ANSWERED
        self.transport.write(answer)  # now: uvloop sends what is written here before it calls what waits for its turn
        state.total_requests += 1
        self._answered_at = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._wait(self.timeout_keep_alive)
        return True

    # What does not come any more

    def _wait(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def timeout_keep_alive_handler(self) -> None:
        """Close the connection, or wait for the rest of the time since what was answered at once.

        One timer does for many of those; what is answered otherwise has each its own.
        """
        left = self._answered_at + self.timeout_keep_alive - self.loop.time()
        if left > 0 and not self.transport.is_closing():
            self._wait(left)
        else:
            super().timeout_keep_alive_handler()
            self._unread.watch(self.transport)

    # What is not taken

    def pause_writing(self) -> None:
        """The client does not keep up."""
        super().pause_writing()
        self._unread.watch(self.transport)

    def resume_writing(self) -> None:
        """It does again, at least until here."""
        super().resume_writing()
        self._unread.watch(self.transport)

    def on_response_complete(self) -> None:
        """Go on, unless this was the last: what is left of that may be too little for a pause."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._unread.watch(self.transport)

    async def _run(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - uvicorn's, none of Starlette's
        """The application. Where it fails amid an answer, uvicorn closes the connection and tells nobody."""
        try:
            await self.config.loaded_app(scope, receive, send)
        except BaseException:
            self.loop.call_soon(self._unread.watch, self.transport)
            raise

    def send_400_response(self, msg: str) -> None:
        """Refuse, and close the connection."""
        super().send_400_response(msg)
        self._unread.watch(self.transport)

    def shutdown(self) -> None:
        """Let the answer that is under way be the last, and do not wait for a client that takes nothing of it."""
        super().shutdown()
        self._unread.end(self.transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        self._unread.forget()
        super().connection_lost(exc)


def _lines(headers: Headers) -> tuple[Headers, bytes]:
    """Headers as they are, and as they are sent, with the end of the head."""
    return headers, b"".join([b"%s: %s\r\n" % pair for pair in headers]) + b"\r\n"
