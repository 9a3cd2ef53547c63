"""`tradesense serve`, with each answer telling in `X-Queries` what it cost: statements, and those to know who asks.

`X-Took` says how long it took by the server's own clock, from when the application was called to when it began to
answer, in microseconds. `GET /queries` tells of all statements of the process so far; `GET /control` is answered before
anything else, with nothing to do. Run as `python -m benchmarks.load.server`, with the
settings in the environment.
"""

import dataclasses
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final

import pytest
from fastapi import FastAPI
from sqlalchemy import Engine, event
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from benchmarks.load.asking import CONTROL_PATH
from benchmarks.load.bare import bare
from tradesense import app as application
from tradesense import wiring
from tradesense.cli.serve import run
from tradesense.http.authentication import Principal
from tradesense.settings import Settings

PATH: Final = "/queries"


@dataclass(slots=True)
class Tally:
    """Statements: all, and those that find out who asks."""

    every: int = 0
    identifying: int = 0


_tally: Final[ContextVar[Tally | None]] = ContextVar("tally", default=None)
_identifies: Final[ContextVar[bool]] = ContextVar("identifies", default=False)


class Queries:
    """Counts statements, whichever engine carries them out; not what only begins a transaction."""

    def __init__(self) -> None:
        self.every = 0

    def count(self, _connection: object, _cursor: object, statement: str, *_more: object) -> None:
        """Hear of a statement, as SQLAlchemy tells of it."""
        if statement.startswith(("BEGIN", "PRAGMA")):
            return
        self.every += 1
        if (tally := _tally.get()) is not None:
            tally.every += 1
            tally.identifying += _identifies.get()


class Telling:
    """The middleware that puts the header on answers."""

    def __init__(self, app: ASGIApp, queries: Queries) -> None:
        self._app = app
        self._queries = queries

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, and tell what it took so far."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["path"] == PATH:
            await Response(str(self._queries.every))(scope, receive, send)
            return
        if scope["path"] == CONTROL_PATH:
            await bare(scope, receive, send)
            return
        tally, called = Tally(), time.perf_counter()
        _tally.set(tally)

        async def tell(message: Message) -> None:
            if message["type"] == "http.response.start":
                queries = (b"x-queries", b"%d %d" % (tally.every, tally.identifying))
                took = (b"x-took", b"%d" % ((time.perf_counter() - called) * 1e6))
                message = {**message, "headers": [*message["headers"], queries, took]}
            await send(message)

        await self._app(scope, receive, tell)


def _counting(opening: wiring.Opening) -> wiring.Opening:
    """`opening`, with statements counted that find out who asks."""

    @asynccontextmanager
    async def opened(settings: Settings) -> AsyncIterator[wiring.State]:
        async with opening(settings) as state:
            identify = state["authentication"].identify

            async def counted(token: str, at_least: int = 0) -> Principal:
                before = _identifies.set(True)
                try:
                    return await identify(token, at_least)
                finally:
                    _identifies.reset(before)

            state["authentication"] = dataclasses.replace(state["authentication"], identify=counted)
            yield state

    return opened


def main(environment: Mapping[str, Any] | None = None) -> None:
    """Serve until told to stop."""
    queries, create = Queries(), application.create_app
    event.listen(Engine, "before_cursor_execute", queries.count)

    def counted(settings: Settings, opening: wiring.Opening = wiring.opened) -> FastAPI:
        app = create(settings, _counting(opening))
        app.add_middleware(Telling, queries=queries)
        return app

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(application, "create_app", counted)
        run(Settings.load(environment))


if __name__ == "__main__":
    main()
