"""Clients of the WebSocket and of the stream, spoken to in process by ASGI."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, Self

from starlette.types import Message, Scope

from keel.tasks import Tasks
from tests.application import Person, Served

PATIENCE_S: Final = 30.0
Json = dict[str, Any]


class Cut(OSError):
    """What a server raises where the client is gone."""


class Connection:
    """One request that lives for long. While `reads` is not set, the client takes nothing off the network."""

    def __init__(self, served: Served, scope: Scope) -> None:
        self.reads = asyncio.Event()
        self.reads.set()
        self.started: Message = {}
        self._served = served
        self._scope: Scope = {
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "root_path": "",
            "query_string": b"",
            "client": ("127.0.0.1", 50000),
            "server": ("localhost", 8000),
            "scheme": "http",
            **scope,
        }
        self._incoming: asyncio.Queue[Message] = asyncio.Queue()
        self._outgoing: asyncio.Queue[Message] = asyncio.Queue()
        self._is_cut = False
        self._tasks = Tasks()

    async def __aenter__(self) -> Self:
        self._running = self._tasks.start("a connection", self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.cut()
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.wait([self._running])
        await self._tasks.close()

    def tell(self, message: Message) -> None:
        """Let the application receive this."""
        self._incoming.put_nowait(message)

    def cut(self) -> None:
        """Be gone."""
        self._is_cut = True
        self.reads.set()
        gone = {"http": "http.disconnect", "websocket": "websocket.disconnect"}[self._scope["type"]]
        self.tell({"type": gone, "code": 1006})

    async def sent(self) -> Message:
        """The next message that the application sends."""
        async with asyncio.timeout(PATIENCE_S):
            return await self._outgoing.get()

    async def finished(self) -> None:
        """Wait until the application is done with it."""
        async with asyncio.timeout(PATIENCE_S):
            await self._running

    async def _run(self) -> None:
        await self._served(self._scope, self._incoming.get, self._send)

    async def _send(self, message: Message) -> None:
        await self.reads.wait()
        if self._is_cut:
            raise Cut
        self._outgoing.put_nowait(message)


@dataclass
class Closed:
    """How a WebSocket was closed, or its handshake refused."""

    code: int
    reason: str = ""
    problem: Json | None = None


class Socket(Connection):
    """A WebSocket. `said` gives what the server says; `closed` how it ended it."""

    async def opened(self) -> Self:
        """Wait until the server accepts."""
        self.tell({"type": "websocket.connect"})
        self.started = await self.sent()
        assert self.started["type"] == "websocket.accept", self.started
        return self

    async def refused(self) -> Closed:
        """How the server refuses the handshake: with a status, or by closing."""
        self.tell({"type": "websocket.connect"})
        self.started = await self.sent()
        if self.started["type"] == "websocket.close":
            return Closed(self.started["code"])
        body = await self.sent()
        return Closed(self.started["status"], problem=json.loads(body["body"]))

    def say(self, **message: object) -> None:
        """Send a message."""
        self.tell({"type": "websocket.receive", "text": json.dumps(message)})

    async def said(self) -> Json:
        """What the server says next."""
        message = await self.sent()
        assert message["type"] == "websocket.send", message
        heard: Json = json.loads(message["text"])
        return heard

    async def subscribed(self, channel: str, **more: object) -> Json:
        """Subscribe, and give the answer."""
        self.say(type="subscribe", channel=channel, **more)
        return await self.said()

    async def heard(self, kind: str) -> Json:
        """The next message on a channel whose data is of this type; what comes before it is not looked at."""
        while True:
            said = await self.said()
            if said["type"] == "message" and said["data"]["type"] == kind:
                data: Json = said["data"]
                return data

    async def closed(self) -> Closed:
        """How the server closes it; what it says before is not looked at."""
        while True:
            message = await self.sent()
            if message["type"] == "websocket.close":
                return Closed(message["code"], message["reason"])


class Listener(Connection):
    """A stream of server-sent events."""

    async def opened(self) -> Self:
        """Wait for the head of the answer."""
        self.tell({"type": "http.request", "body": b"", "more_body": False})
        self.started = await self.sent()
        return self

    @property
    def headers(self) -> dict[str, str]:
        """Of the answer."""
        return {name.decode(): value.decode() for name, value in self.started["headers"]}

    async def event(self) -> tuple[str, Json]:
        """The id and the data of the next event."""
        while True:
            lines = (await self.sent())["body"].decode().splitlines()
            fields = dict(line.split(": ", 1) for line in lines if line and not line.startswith(":"))
            if "data" in fields:
                return fields.get("id", ""), json.loads(fields["data"])

    async def ended(self) -> str:
        """Why the server ends it; what it says before is not looked at."""
        while (said := (await self.event())[1])["type"] != "end":
            continue
        reason: str = said["reason"]
        return reason

    async def body(self) -> Json:
        """The document of an answer that is none of events."""
        found: Json = json.loads((await self.sent())["body"])
        return found


def socket(
    served: Served,
    token: str = "",
    *,
    subprotocols: Iterable[str] = (),
    headers: dict[str, str] | None = None,
    can_deny: bool = True,
) -> Socket:
    """A WebSocket of whoever has this token."""
    given = {**({"authorization": f"Bearer {token}"} if token else {}), **(headers or {})}
    extensions: Json = {"websocket.http.response": {}} if can_deny else {}
    scope = {
        "type": "websocket",
        "path": "/api/v1/events",
        "headers": _raw({"host": "localhost:8000", **given}),
        "subprotocols": [*subprotocols],
        "extensions": extensions,
    }
    return Socket(served, scope)


def listener(served: Served, token: str, query: str, **headers: str) -> Listener:
    """A stream of events."""
    given = {"authorization": f"Bearer {token}", **{name.replace("_", "-"): value for name, value in headers.items()}}
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/api/v1/events/stream",
        "query_string": query.encode(),
        "headers": _raw({"host": "localhost:8000", **given}),
    }
    return Listener(served, scope)


def token_of(person: Person) -> str:
    """The bearer token that somebody sends."""
    return person.headers["Authorization"].removeprefix("Bearer ")


def own(person: Person) -> str:
    """The channel of a user."""
    return f"user:{person.user_id}"


@asynccontextmanager
async def talking(served: Served, person: Person) -> AsyncIterator[Socket]:
    """A WebSocket of a user's that is open."""
    async with socket(served, token_of(person)) as opened:
        yield await opened.opened()


def _raw(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]
