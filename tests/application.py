"""The application as tests meet it: opened in process on each database, with hands on its clock and cheap passwords."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Final, cast

import httpx
import pytest
from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from tests.watchdog import watched_loop
from tradesense import wiring
from tradesense.app import create_app
from tradesense.db.invalidation import Invalidator
from tradesense.security.service.passwords import Passwords
from tradesense.settings import Settings

Around = Callable[[Invalidator], Invalidator]

ORIGIN: Final = "http://localhost:8000"
PASSWORD: Final = "correct horse battery staple"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--schemathesis-examples",
        type=int,
        help="how many requests of each kind each operation gets from schemathesis, drawn anew",
    )


class Hands:
    """A clock that goes only when it is told to."""

    def __init__(self, at: datetime = datetime(2026, 3, 2, 12, tzinfo=UTC)) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()

    def forward(self, by: timedelta) -> None:
        self.at += by


class Person(httpx.AsyncClient):
    """Somebody's HTTP client: anonymous, or with the token of a session."""

    user_id: str = ""
    email: str = ""

    async def log_in(self, email: str, password: str = PASSWORD) -> httpx.Response:
        """Log in, and send the token with every request from now on."""
        answer = await self.post("/auth/login", json={"email": email, "password": password})
        if answer.is_success:
            self.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
            self.cookies.clear()
            self.user_id, self.email = answer.json()["user"]["id"], email
        return answer


@dataclass
class Served:
    """The application, running; `state` is what its lifespan yielded."""

    app: FastAPI
    state: wiring.State
    clock: Hands
    stack: AsyncExitStack
    numbers: Iterator[int] = field(default_factory=count)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request as a server does that has run the lifespan: in a turn of the event loop of its own."""
        await asyncio.sleep(0)
        await self.app({**scope, "state": dict(self.state)}, receive, send)

    async def person(self) -> Person:
        """An anonymous client, closed with the application."""
        transport = httpx.ASGITransport(self, raise_app_exceptions=False)
        return await self.stack.enter_async_context(Person(transport=transport, base_url=f"{ORIGIN}/api/v1"))

    async def user(self, email: str = "") -> Person:
        """The client of a new user, logged in."""
        email = email or f"user{next(self.numbers)}@example.com"
        person = await self.person()
        registered = await person.post("/auth/register", json={"email": email, "password": PASSWORD})
        assert registered.status_code == 201, registered.text
        logged_in = await person.log_in(email)
        assert logged_in.status_code == 200, logged_in.text
        return person


@asynccontextmanager
async def served(settings: Settings, around: Around = lambda copies: copies) -> AsyncIterator[Served]:
    """The application on these settings, from its start to its end; `around` is as of `wiring.opened`."""
    clock = Hands()

    def opening(opened_with: Settings) -> AbstractAsyncContextManager[wiring.State]:
        cheap = Passwords(time_cost=1, memory_kib=8)
        return wiring.opened(opened_with, clock=clock, passwords=cheap, around=around)

    app = create_app(settings, opening)
    async with AsyncExitStack() as stack, app.router.lifespan_context(app) as state:
        yield Served(app, cast("wiring.State", state), clock, stack)


Serve = Callable[..., Awaitable[Served]]


@pytest.fixture
def settings(migrated_url: str, tmp_path: Path) -> Settings:
    """Settings on a migrated database of the test's own."""
    return Settings.load({}, database_url=migrated_url, data_dir=tmp_path, rate_limits="off")


@pytest.fixture
async def serve(settings: Settings) -> AsyncIterator[Serve]:
    """Start the application with some settings of the test's choice."""
    async with AsyncExitStack() as stack:

        async def start(**changes: object) -> Served:
            return await stack.enter_async_context(served(Settings.model_validate({**dict(settings), **changes})))

        yield start


@pytest.fixture
async def app(serve: Serve) -> AsyncIterator[Served]:
    """The application, running, under the watchdog."""
    running = await serve()
    with watched_loop():
        yield running


@pytest.fixture
async def anyone(app: Served) -> Person:
    """A client that nobody knows."""
    return await app.person()


@pytest.fixture
async def user(app: Served) -> Person:
    """A user's client, logged in."""
    return await app.user()
