"""Computes answers before they are asked for: this process asks itself, in the name of their users."""

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final

from starlette.types import ASGIApp, Message, Scope

from keel.errors import Refusal
from tradesense.http.authentication import Principal, UserId, remember

WARMED: Final = (
    "/api/v1/portfolio/summary",
    "/api/v1/portfolio/positions",
    "/api/v1/analytics/summary",
    "/api/v1/analytics/equity",
    "/api/v1/analytics/calendar",
)
"""What everybody looks at first."""
_LOG: Final = logging.getLogger(__name__)


class Warming:
    """Asks for `paths`, one after the other, in the name of a user. It does nothing before it has `begun`."""

    def __init__(self, acting_for: Callable[[UserId], Awaitable[Principal]], paths: Iterable[str]) -> None:
        self._acting_for = acting_for
        self._paths = tuple(paths)
        self._asked: tuple[ASGIApp, Mapping[str, Any]] | None = None

    def begin(self, app: ASGIApp, state: Mapping[str, Any]) -> None:
        """From now on, ask `app`, which lives with `state`."""
        self._asked = (app, state)

    async def warm(self, *users: UserId) -> None:
        """Compute these users' answers."""
        for user in users:
            if self._asked is not None:
                await self._warm(*self._asked, user)

    async def _warm(self, app: ASGIApp, state: Mapping[str, Any], user: UserId) -> None:
        for path in self._paths:
            try:
                await _ask(app, state, await self._acting_for(user), path)
            except Refusal:
                return  # they are disabled, or gone
            except Exception:  # noqa: BLE001 - logged; it will be computed when it is asked for
                _LOG.warning("%s could not be computed ahead of its use", path, exc_info=True)


async def _ask(app: ASGIApp, state: Mapping[str, Any], principal: Principal, path: str) -> None:
    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [],
        "client": None,
        "server": None,
        "state": dict(state),
    }

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_message: Message) -> None:
        """The answer is kept by whoever makes it."""

    remember(scope, principal)
    await app(scope, receive, send)
