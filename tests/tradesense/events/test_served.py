"""Live events over the network, by the server that `tradesense serve` runs; the clients are those of docs/events.md."""

import asyncio
import json
import re
import shutil
import socket as sockets
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from uvicorn import Config, Server
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin, Subprotocol

from keel.asgi.serving import ExpressProtocol
from keel.tasks import Tasks
from tests.application import Person, Served
from tests.conftest import CHECKOUT
from tests.keel.redis.telling import soon
from tests.tradesense.events.talking import own, token_of
from tradesense.cli.sockets import MOST_BYTES, Sockets
from tradesense.events.live.lines import Ending
from tradesense.events.live.socket import QUEUE_BYTES

EXAMPLES = (CHECKOUT / "docs" / "events.md").read_text()
NODE = shutil.which("node")


def example(language: str, containing: str) -> str:
    """A block of code of the documentation."""
    blocks = re.findall(rf"```{language}\n(.*?)```", EXAMPLES, re.DOTALL)
    (found,) = [each for each in blocks if containing in each]
    code: str = found
    return code


@asynccontextmanager
async def listening(app: Served) -> AsyncIterator[tuple[Server, str]]:
    """The application behind a server of its own, and its URL."""
    config = Config(
        app,
        lifespan="off",
        http=ExpressProtocol,
        ws=Sockets,
        ws_max_size=MOST_BYTES,
        ws_per_message_deflate=False,
        log_config=None,
    )
    server = Server(config)
    with sockets.create_server(("127.0.0.1", 0)) as listener:
        async with Tasks() as tasks:
            serving = tasks.start("a server", server._serve([listener]))
            await soon(lambda: server.started, 30)
            yield server, f"ws://127.0.0.1:{listener.getsockname()[1]}/api/v1/events"
            server.should_exit = True
            await serving


async def test_the_python_client_of_the_documentation_misses_nothing(app: Served, user: Person) -> None:
    heard: asyncio.Queue[Any] = asyncio.Queue()
    fetched: list[None] = []
    names: dict[str, Any] = {}
    exec(example("python", "async def follow("), names)  # noqa: S102 - it is ours
    names["random"] = type("Dice", (), {"uniform": staticmethod(lambda *_: 0.0)})
    follow: Callable[..., Coroutine[Any, Any, None]] = names["follow"]

    async def fetch() -> None:
        fetched.append(None)
        heard.put_nowait("fetched")

    async def hear(data: object) -> None:
        heard.put_nowait(data)

    events, lines = app.state["keel"].events, app.state["lines"]
    async with listening(app) as (_, url), Tasks() as tasks:
        following = tasks.start("a client", follow(url, token_of(user), own(user), hear, fetch))
        assert await heard.get() == "fetched"
        for number in range(6):
            await events.publish(own(user), number)
            if number % 2:
                for line in list(lines._lines):
                    line.end(Ending.UNAVAILABLE)
        assert [await heard.get() for _ in range(6)] == [*range(6)]
        assert len(fetched) == 1
        await user.delete("/sessions")
        with pytest.raises((ConnectionClosed, InvalidStatus)):
            await following


@pytest.mark.skipif(NODE is None, reason="there is no node")
async def test_the_javascript_client_of_the_documentation_misses_nothing(
    app: Served, user: Person, tmp_path: Path
) -> None:
    (tmp_path / "follow.mjs").write_text(example("javascript", "function follow("))
    (tmp_path / "main.mjs").write_text(
        "import { follow } from './follow.mjs';\n"
        "const [url, token, channel] = process.argv.slice(2);\n"
        "Math.random = () => 0;\n"
        "const say = (...what) => console.log(JSON.stringify(what));\n"
        "follow(url, token, channel, { hear: (data) => say('heard', data), fetchAll: () => say('fetched'),\n"
        "  loggedOut: () => { say('logged out'); process.exit(); } });\n"
    )
    events, lines = app.state["keel"].events, app.state["lines"]
    async with listening(app) as (_, url):
        command = [str(NODE), "--experimental-websocket", "--no-warnings", str(tmp_path / "main.mjs")]
        process = await asyncio.create_subprocess_exec(
            *command, url, token_of(user), own(user), stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        said = (json.loads(line) async for line in process.stdout)
        try:
            async with asyncio.timeout(30):
                assert await anext(said) == ["fetched"]
                await events.publish(own(user), 1)
                assert await anext(said) == ["heard", 1]
                for line in list(lines._lines):
                    line.end(Ending.UNAVAILABLE)
                await soon(lambda: not lines._lines, 30)
                await events.publish(own(user), 2)
                assert await anext(said) == ["heard", 2]
                await user.post("/auth/logout")
                while await anext(said) != ["logged out"]:
                    continue
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


async def test_a_handshake_is_refused_by_a_problem_document(
    app: Served, user: Person, caplog: pytest.LogCaptureFixture
) -> None:
    async with listening(app) as (_, url):
        with pytest.raises(InvalidStatus) as refused:
            await connect(url)
        response = refused.value.response
        assert (response.status_code, response.headers["Content-Type"]) == (401, "application/problem+json")
        assert json.loads(response.body or b"")["code"] == "login_required"
        assert not [each for each in caplog.records if each.levelname == "ERROR"]
        cookie = {"Cookie": f"tradesense={token_of(user)}"}
        with pytest.raises(InvalidStatus) as refused:
            await connect(url, origin=Origin("https://evil.example"), additional_headers=cookie)
        assert refused.value.response.status_code == 403


async def test_a_message_that_is_too_large_is_not_even_read(app: Served, user: Person) -> None:
    offered = [Subprotocol("bearer"), Subprotocol(token_of(user))]
    async with listening(app) as (_, url), connect(url, subprotocols=offered) as client:
        assert client.subprotocol == "bearer"
        await client.send("x" * (MOST_BYTES + 1))
        with pytest.raises(ConnectionClosed) as closed:
            await client.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009


@pytest.mark.parametrize("does", ["nothing", "pings"])
async def test_a_client_that_never_reads_is_let_go_and_does_not_hold_up_the_end(
    app: Served, user: Person, monkeypatch: pytest.MonkeyPatch, does: str
) -> None:
    monkeypatch.setattr("tradesense.cli.sockets.STALLED_S", 0.3)
    events, lines = app.state["keel"].events, app.state["lines"]
    bearer = {"Authorization": f"Bearer {token_of(user)}"}
    async with listening(app) as (server, url), connect(url, additional_headers=bearer) as client:
        await client.send(json.dumps({"type": "subscribe", "channel": own(user)}))
        await client.recv()
        transport = client.transport
        transport.pause_reading()
        (connection,) = [each for each in server.server_state.connections if isinstance(each, Sockets)]
        while connection.writable.is_set():
            await events.publish(own(user), "x" * 60_000)
            await asyncio.sleep(0)
        if does == "pings":
            transport.write(b"\x89\x80\0\0\0\0" * 10)
        else:
            for _ in range(QUEUE_BYTES // 60_000 + 2):
                await events.publish(own(user), "x" * 60_000)
        await soon(lambda: not lines._lines and not server.server_state.connections, 30)
        transport.abort()


@pytest.mark.parametrize("when", ["running", "ending"])
async def test_a_stream_that_is_never_read_is_closed_and_does_not_hold_up_the_end(
    app: Served, user: Person, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    monkeypatch.setattr("keel.asgi.stalling.STALLED_S", 0.3)
    monkeypatch.setattr("keel.asgi.stalling.ENDING_S", 0.3)
    events, lines = app.state["keel"].events, app.state["lines"]
    asked = f"GET /api/v1/events/stream?channel={own(user)} HTTP/1.1\r\nHost: localhost\r\n"
    async with listening(app) as (server, url):
        reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(url).port, limit=4096)
        writer.write(f"{asked}Authorization: Bearer {token_of(user)}\r\n\r\n".encode())
        await reader.readuntil(b"subscribed")  # what is not read beyond the limit is left to the network
        (connection,) = [each for each in server.server_state.connections if isinstance(each, ExpressProtocol)]
        while not connection.flow.write_paused:
            await events.publish(own(user), "x" * 60_000)
            await asyncio.sleep(0)
        if when == "running":
            for _ in range(QUEUE_BYTES // 60_000 + 2):
                await events.publish(own(user), "x" * 60_000)
        else:
            lines.drain()
            server.should_exit = True
        await soon(lambda: not lines._lines and not server.server_state.connections, 30)
        writer.transport.abort()


async def test_the_server_ends_at_once_although_clients_are_connected(app: Served, user: Person) -> None:
    bearer = {"Authorization": f"Bearer {token_of(user)}"}
    async with listening(app) as (server, url), connect(url, additional_headers=bearer) as client:
        await client.send(json.dumps({"type": "subscribe", "channel": own(user)}))
        await client.recv()
        server.should_exit = True
        with pytest.raises(ConnectionClosed) as closed:
            await client.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012
        await soon(lambda: not server.server_state.tasks, 30)
