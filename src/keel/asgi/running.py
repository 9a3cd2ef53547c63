"""Lets a request use the Keel that its application has opened, and wait for its Redis 150 ms in all."""

from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from keel.context import budget
from keel.current import choosing

STATE: Final = "keel"
"""The name in the lifespan's state under which the application has put it."""


class Running:
    """The middleware; it stands outside of all that use a handle of keel's."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on with the application's Keel chosen."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        with choosing(scope["state"][STATE]), budget():
            await self._app(scope, receive, send)
