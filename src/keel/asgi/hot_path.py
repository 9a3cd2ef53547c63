"""Answers that are in memory, sent before routing, validation and dependencies run.

Only for GET on an exact path whose endpoint was declared `hot` (see `keel.cache.response`). Which path that is, the
endpoint tells when it was reached by it the first time; key and answer are made by the same code in both places.

It stands innermost, next to the router: what stands outside of it (limits, logs, spans, headers) is applied to its
answers as to any other; what would stand within is not. An application that takes the Host header into account when it
routes has no hot endpoints.
"""

from collections.abc import Awaitable, Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from keel.cache.endpoints import HOT, Access, Known
from keel.cache.signatures import user_name
from keel.cache.stored import Answer
from keel.context import Principal
from keel.current import current

Identify = Callable[[Scope], Awaitable[Principal | None]]
"""Who asks, where that can be told for certain from the scope; None leaves it to the application, which may refuse."""
VersionOf = Callable[[Scope, Principal | None], int | None]
"""The version of the data that an answer must be made of; None where it is not known."""


class HotPath:
    """The middleware. Without `identify` only public answers are sent, without `version` only those that need none.

    What it learns is written into `known`, for `keel.asgi.express`.
    """

    def __init__(
        self,
        app: ASGIApp,
        identify: Identify | None = None,
        version: VersionOf | None = None,
        known: dict[str, Known] | None = None,
    ) -> None:
        self._app = app
        self._identify = identify
        self._version = version
        self._known = {} if known is None else known

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, or leave it to the application."""
        if scope["type"] == "http" and scope["method"] == "GET":
            known = self._known.get(scope["path"])
            sent = None if known is None else await self._find(scope, known)
            if sent is not None:
                await sent(scope, receive, send)
                return
            scope[HOT] = self._learner(scope["path"])
        await self._app(scope, receive, send)

    def _learner(self, asked: str) -> Callable[[str, Known], None]:
        def learn(path: str, known: Known) -> None:
            if path == asked:  # else something in between has changed the path, and it means another thing out here
                self._known[path] = known

        return learn

    async def _find(self, scope: Scope, known: Known) -> Answer | None:
        asking = None
        if known.access is not Access.PUBLIC:
            asking = None if self._identify is None else await self._identify(scope)
            if asking is None:
                return None
        version = None
        if known.versioned:
            version = None if self._version is None else self._version(scope, asking)
            if version is None:
                return None
        user = user_name(asking) if known.user_aware and asking is not None else None
        entry = current().cache.peek(known.key(scope, user), version)
        return None if entry is None else known.hit(entry, scope)
