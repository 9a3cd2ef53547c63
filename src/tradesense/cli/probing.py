"""A port of each process's own, for probes and collectors: behind one that is shared nobody knows who answers."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from socket import socket

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn import Config, Server

from keel.asgi.running import Running
from keel.tasks import Tasks
from tradesense.app import PREFIX as API
from tradesense.cli.ports import metrics_listener
from tradesense.http import problems
from tradesense.http.middleware import UnexpectedErrors
from tradesense.monitoring.endpoints import PREFIX
from tradesense.monitoring.endpoints.standing import probes
from tradesense.settings import Settings
from tradesense.wiring import Opening, State


def probed(opening: Opening) -> Opening:
    """What opens the same, and answers probes and collectors where the settings say so."""

    @asynccontextmanager
    async def opened(settings: Settings) -> AsyncIterator[State]:
        async with opening(settings) as state:
            listener = metrics_listener(settings)
            if listener is None:
                yield state
                return
            async with answering(listener, state):
                yield state

    return opened


@asynccontextmanager
async def answering(listener: socket, state: State) -> AsyncIterator[None]:
    """Answer who comes to a socket, and close it in the end."""
    with closing(listener):
        config = Config(
            _WithState(_application(), state),
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=1,
        )
        server = _Server(config)
        async with Tasks() as tasks:
            serving = tasks.start("answering probes", server.serve([listener]))
            try:
                yield
            finally:
                server.should_exit = True
                await serving


class _Server(Server):
    """Ends when it is told to: signals are for the process."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave them as they are."""
        yield


class _WithState:
    """The middleware that gives requests the state of a process whose lifespan is another application's."""

    def __init__(self, app: ASGIApp, state: State) -> None:
        self._app = app
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on."""
        await self._app({**scope, "state": dict(self._state)}, receive, send)


def _application() -> FastAPI:
    app = FastAPI(
        openapi_url=None, redirect_slashes=False, middleware=[Middleware(Running), Middleware(UnexpectedErrors)]
    )
    problems.install(app)
    app.include_router(probes, prefix=f"{API}{PREFIX}")
    return app
