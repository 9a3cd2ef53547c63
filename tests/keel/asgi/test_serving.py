"""Connections of the server: none is kept for a client that takes nothing, none is cut that is at work."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Final, cast

import pytest
from starlette.types import Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.server import ServerState

from keel.asgi.serving import ExpressProtocol
from keel.asgi.stalling import ENDING_S, STALLED_S, Unread, taken
from tests.keel.redis.telling import soon

QUICK: Final = b"GET /quick HTTP/1.1\r\nhost: x\r\n\r\n"
SLOW: Final = b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n"
LAST: Final = b"GET /slow HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
FAILING: Final = b"GET /failing HTTP/1.1\r\nhost: x\r\n\r\n"


class Wire(asyncio.Transport):
    """A connection whose client takes what the test says."""

    def __init__(self) -> None:
        super().__init__()
        self.left = 0
        self.has_answered = asyncio.Event()
        self.is_over = self.is_cut = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.left += len(data)

    def get_write_buffer_size(self) -> int:
        return self.left

    def is_closing(self) -> bool:
        return self.is_over

    def close(self) -> None:
        self.is_over = True

    def abort(self) -> None:
        self.is_over = self.is_cut = True

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class Hands:
    """The loop, with timers that pass when the test says so."""

    def __init__(self) -> None:
        self._timers: list[tuple[float, asyncio.TimerHandle, Callable[[], object]]] = []
        self._now = 0.0

    def time(self) -> float:
        return self._now

    def call_soon(self, call: Callable[..., object], *of: object) -> asyncio.Handle:
        return asyncio.get_running_loop().call_soon(call, *of)

    def create_task(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        return asyncio.get_running_loop().create_task(work)

    def call_later(self, seconds: float, call: Callable[..., object], *of: object) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(0, list, (), asyncio.get_running_loop())
        self._timers.append((self._now + seconds, handle, lambda: call(*of)))
        return handle

    def forward(self, seconds: float) -> None:
        until = self._now + seconds
        while due := [each for each in self._timers if each[0] <= until and not each[1].cancelled()]:
            first = min(due, key=lambda each: each[0])
            self._timers.remove(first)
            self._now = first[0]
            first[2]()
        self._now = until


class Quick:
    """What has an answer to one path at once."""

    def read(self, scope: Scope) -> str:
        return str(scope["path"])

    def answer(self, asked: str, defaults: bytes) -> bytes | None:
        return b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n" + defaults if asked == "/quick" else None


class Application:
    """Answers when it may."""

    def __init__(self) -> None:
        self.express = Quick()
        self.may_answer = asyncio.Event()
        self.has_begun = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        self.has_begun.set()
        await self.may_answer.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"3")]})
        if scope["path"] == "/failing":
            raise RuntimeError
        await send({"type": "http.response.body", "body": b"tea"})


class Connected:
    """A connection to the application, with all around it."""

    def __init__(self) -> None:
        self.wire, self.hands, self.app = Wire(), Hands(), Application()
        config = Config(self.app, log_config=None, access_log=False, lifespan="off", ws="none")
        config.load()
        config.loaded_app.express = self.app.express
        loop = cast("asyncio.AbstractEventLoop", self.hands)
        self.protocol = ExpressProtocol(config, ServerState(), {}, loop)
        self.protocol.connection_made(self.wire)

    def hears(self, data: bytes) -> None:
        self.protocol.data_received(data)

    async def is_done(self) -> None:
        """Wait for the answers that are under way."""
        self.app.may_answer.set()
        while self.protocol.tasks:
            await asyncio.wait(self.protocol.tasks)


@pytest.fixture
async def connected() -> AsyncIterator[Connected]:
    connected = Connected()
    yield connected
    await connected.is_done()
    connected.protocol.connection_lost(None)


async def test_a_request_behind_one_that_was_sent_at_once_may_take_its_time(connected: Connected) -> None:
    connected.hears(QUICK + SLOW)
    await connected.app.has_begun.wait()
    connected.hands.forward(60)
    assert not connected.wire.is_over
    await connected.is_done()
    connected.wire.left = 0
    connected.hands.forward(60)
    assert connected.wire.is_over  # nothing came any more


async def test_a_client_that_reads_again_and_stops_again_is_cut_off(connected: Connected) -> None:
    wire, hands = connected.wire, connected.hands
    connected.hears(SLOW)
    wire.left = 100_000
    connected.protocol.pause_writing()
    hands.forward(STALLED_S - 1)
    wire.left = 10_000
    connected.protocol.resume_writing()
    hands.forward(STALLED_S - 1)
    assert not wire.is_cut
    hands.forward(2)
    assert wire.is_cut


async def test_a_client_that_has_taken_everything_is_watched_no_more(connected: Connected) -> None:
    connected.hears(SLOW)
    connected.wire.left = 100_000
    connected.protocol.pause_writing()
    connected.wire.left = 0
    connected.protocol.resume_writing()
    connected.hands.forward(10 * STALLED_S)
    assert not connected.wire.is_over


@pytest.mark.parametrize(
    "last", [LAST, b"nonsense\r\n\r\n", FAILING, b""], ids=["close", "nonsense", "failing", "nothing more"]
)
async def test_a_small_answer_that_is_the_last_and_never_read_is_cut_off(connected: Connected, last: bytes) -> None:
    if last:
        connected.hears(last)
        await connected.is_done()
        await asyncio.sleep(0)
    else:
        connected.hears(QUICK)
        connected.protocol.eof_received()
        connected.wire.close()  # as the loop does
    assert connected.wire.is_over
    assert connected.wire.left
    connected.hands.forward(2 * STALLED_S)
    assert connected.wire.is_cut


async def test_the_last_small_answer_before_the_end_is_not_waited_for_either(connected: Connected) -> None:
    connected.hears(SLOW)
    await connected.app.has_begun.wait()
    connected.protocol.shutdown()
    await connected.is_done()
    connected.hands.forward(ENDING_S)
    assert connected.wire.is_cut


async def test_a_client_that_takes_what_the_system_has_for_it_is_not_taken_for_gone() -> None:
    """The system has taken so much of what was written that the process has nothing to send for long."""
    hands, made = Hands(), list[asyncio.Transport]()

    class Server(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            made.append(cast("asyncio.Transport", transport))

    with socket.socket() as listener, socket.socket() as client:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        server = await asyncio.get_running_loop().create_server(Server, sock=listener)
        client.settimeout(0)
        await asyncio.get_running_loop().sock_connect(client, listener.getsockname())
        await soon(lambda: bool(made), 30)
        transport = made[0]
        transport.write(b"x" * (8 << 20))
        told = taken(transport)
        unread = Unread(cast("asyncio.AbstractEventLoop", hands))
        unread.end(transport)
        while taken(transport) == told:
            await asyncio.get_running_loop().sock_recv(client, 1 << 16)
        hands.forward(ENDING_S)
        assert not transport.is_closing()
        transport.abort()
        server.close()
        await server.wait_closed()
