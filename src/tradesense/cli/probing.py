"""A port of each process's own, for probes and collectors: behind one that is shared nobody knows who answers."""

import errno
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from ipaddress import ip_address
from typing import Final

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn import Config, Server

from keel.asgi.running import Running
from keel.tasks import Tasks
from tradesense.app import PREFIX as API
from tradesense.http import problems
from tradesense.http.middleware import UnexpectedErrors
from tradesense.monitoring.endpoints import PREFIX
from tradesense.monitoring.endpoints.standing import probes
from tradesense.settings import Settings, SettingsInvalid
from tradesense.wiring import Opening, State

MOST_PROCESSES: Final = 100
"""That find ports of their own on one machine."""


def probed(opening: Opening) -> Opening:
    """What opens the same, and answers probes and collectors where the settings say so."""

    @asynccontextmanager
    async def opened(settings: Settings) -> AsyncIterator[State]:
        async with opening(settings) as state:
            if settings.metrics_port is None:
                yield state
                return
            async with answering(settings.metrics_host, settings.metrics_port, state):
                yield state

    return opened


@asynccontextmanager
async def answering(host: str, first: int, state: State) -> AsyncIterator[int]:
    """Answer on the first port that is free, from `first` on; it is what is given."""
    with closing(_listener(host, first)) as listener:
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
                yield listener.getsockname()[1]
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


def _listener(host: str, first: int) -> socket.socket:
    """A socket on the first port that is free; raises SettingsInvalid where there is none."""
    family = socket.AF_INET6 if ip_address(host).version == 6 else socket.AF_INET  # noqa: PLR2004 - IPv6
    for port in range(first, first + MOST_PROCESSES):
        try:
            return socket.create_server((host, port), family=family)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise SettingsInvalid([f"TRADESENSE_METRICS_HOST: {host}: {error.strerror}"]) from None
    raise SettingsInvalid([f"TRADESENSE_METRICS_PORT: no port is free from {first} on"])
