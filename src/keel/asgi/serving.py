"""uvicorn's protocol of HTTP/1.1, which asks `keel.asgi.express` first: what memory has is sent as soon as it is asked.

Use it as `Config(http=ExpressProtocol)`. An application that has answers ready says so by an attribute, `express`.
"""

import asyncio
import logging
from typing import Any, Final, cast

from starlette.types import Scope
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from keel.asgi.express import ATTRIBUTE, Express, Ready
from keel.cache.stored import Headers

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
        self._express: Express[Any] | None = getattr(config.loaded_app, ATTRIBUTE, None)
        self._defaults = _lines(server_state.default_headers)

    def on_headers_complete(self) -> None:
        """Answer at once, or begin a task that does."""
        ready = self._ready() if self._express is not None and self._is_plain() else None
        if ready is None:
            super().on_headers_complete()
            return
        if self._defaults[0] is not self.server_state.default_headers:  # which are others each second
            self._defaults = _lines(self.server_state.default_headers)
        self.cycle = _ANSWERED
        self.transport.write(b"".join((ready.head, self._defaults[1], b"\r\n", ready.body)))
        self.on_response_complete()

    def _is_plain(self) -> bool:
        """Whether nothing stands between this request and its answer, on this connection or in general."""
        parser, before = self.parser, cast("RequestResponseCycle | None", self.cycle)
        return (
            parser.get_method() == b"GET"
            and (before is None or before.response_complete)
            and not self.pipeline
            and self.limit_concurrency is None
            and parser.get_http_version() == "1.1"
            and parser.should_keep_alive()
            and not self.flow.write_paused
            and not self.transport.is_closing()
            and b"%" not in self.url
        )

    def _ready(self) -> Ready | None:
        path, _, query = self.url.partition(b"?")
        scope = cast("Scope", self.scope)
        scope["method"], scope["query_string"] = "GET", query.partition(b"#")[0]
        try:
            scope["path"] = self.root_path + path.decode("ascii")
            return None if self._express is None else self._express.answer(scope)
        except Exception:  # noqa: BLE001 - whatever it is, the application answers
            _LOG.exception("a request could not be answered at once")
            return None


def _lines(headers: Headers) -> tuple[Headers, bytes]:
    """Headers as they are, and as they are sent."""
    return headers, b"".join([b"%s: %s\r\n" % pair for pair in headers])
