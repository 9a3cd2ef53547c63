"""A thin HTTP client that must not be what is measured: a few connections, no tasks, one parser each."""

import asyncio
import os
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final, NamedTuple, cast

import httptools

from benchmarks.load.asking import Clients, Request

CONNECTIONS: Final = 32
AT_ONCE: Final = 16
"""Requests that are always under way where the capacity is measured."""
PATIENCE_S: Final = 30.0
"""After its end a phase waits so long for the last answers."""
_OK: Final = 400


class Exchange(NamedTuple):
    """A request and what came of it; seconds on the loop's clock. Without an answer the status is 0."""

    request: Request
    due: float
    sent: float
    done: float
    status: int
    cache: str = ""
    queries: int = 0
    identifying: int = 0
    took_there: float = 0.0
    """Seconds by the server's own clock, from when the application was called to when it began to answer; 0 where it
    was not called, as the answer was ready before."""

    @property
    def took(self) -> float:
        """Seconds from when it was due, not from when there was a connection free to send it."""
        return self.done - self.due

    @property
    def failed(self) -> bool:
        """Whether it was refused, or broke."""
        return not 0 < self.status < _OK


class _Connection(asyncio.Protocol):
    """One connection, with one request under way at most."""

    def __init__(self, load: "Load") -> None:
        self._load = load
        self._request: Request | None = None
        self._due = self._sent = 0.0
        self._clock = asyncio.get_running_loop().time
        self._begin()

    def _begin(self) -> None:
        self._headers: dict[bytes, bytes] = {}
        self._parser = httptools.HttpResponseParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Be ready to send."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none of asyncio's

    def send(self, request: Request, due: float) -> None:
        """Send a request that was due then."""
        self._request, self._due, self._sent = request, due, self._clock()
        self._transport.write(self._load.clients.render(request))

    def data_received(self, data: bytes) -> None:
        """Take a part of an answer."""
        self._parser.feed_data(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep what is asked for afterwards."""
        self._headers[name.lower()] = value

    def on_message_complete(self) -> None:
        """The answer is there."""
        headers, status = self._headers, self._parser.get_status_code()
        self._begin()
        queries, _, identifying = headers.get(b"x-queries", b"0 0").partition(b" ")
        version = int(headers.get(b"x-data-version", b"0"))
        took = int(headers.get(b"x-took", b"0")) / 1e6
        self._end(status, version, headers.get(b"x-cache", b"").decode(), int(queries), int(identifying), took)

    def _end(self, status: int, version: int = 0, *told: Any) -> None:  # noqa: ANN401 - what an Exchange has of it
        request, self._request = self._request, None
        assert request is not None
        ended = Exchange(request, self._due, self._sent, self._clock(), status, *told)
        if version:
            self._load.clients.learn(request.person, version)
        self._load.ended(None if status == 0 else self, ended)

    def connection_lost(self, _error: Exception | None) -> None:
        """What was under way has failed."""
        self._load.lost(self)
        if self._request is not None:
            self._end(0)

    def close(self) -> None:
        """Hang up."""
        self._transport.abort()


@dataclass
class Load:
    """Requests of one phase. `exchanges` are those that have ended."""

    clients: Clients
    requests: Iterator[Request]
    exchanges: list[Exchange] = field(default_factory=list)
    _free: deque[_Connection] = field(default_factory=deque)
    _waiting: deque[tuple[Request, float]] = field(default_factory=deque)
    _under_way: int = 0
    _closes_at: float = 0.0
    _is_over: asyncio.Event = field(default_factory=asyncio.Event)

    async def connect(self, port: int, count: int) -> None:
        """Open the connections."""
        loop = asyncio.get_running_loop()
        for _ in range(count):
            _, connection = await loop.create_connection(lambda: _Connection(self), "127.0.0.1", port)
            self._free.append(connection)

    def disconnect(self) -> None:
        """Close the connections that are free."""
        for connection in tuple(self._free):
            connection.close()

    def lost(self, connection: _Connection) -> None:
        """Do without this one from now on."""
        if connection in self._free:
            self._free.remove(connection)

    def ended(self, connection: _Connection | None, exchange: Exchange) -> None:
        """Note an exchange, and give its connection the next request."""
        self.exchanges.append(exchange)
        self._under_way -= 1
        if connection is not None:
            self._go_on(connection, exchange)
        if not self._under_way:
            self._is_over.set()

    def _go_on(self, connection: _Connection, exchange: Exchange) -> None:
        if self._waiting:
            self._send(connection, *self._waiting.popleft())
        elif exchange.done < self._closes_at and (request := next(self.requests, None)) is not None:
            self._send(connection, request, exchange.done)
        else:
            self._free.append(connection)

    def _send(self, connection: _Connection, request: Request, due: float) -> None:
        self._under_way += 1
        connection.send(request, due)

    async def closed_loop(self, seconds: float) -> None:
        """Keep `AT_ONCE` requests under way for so long, or until there are none left."""
        loop = asyncio.get_running_loop()
        self._closes_at = loop.time() + seconds
        for request, _ in zip(self.requests, range(AT_ONCE), strict=False):
            self._send(self._free.popleft(), request, loop.time())
        await self._ended(seconds)

    async def open_loop(self, seconds: float, rate: float, seed: int) -> None:
        """Let requests come as strangers do, at a mean `rate`, whatever becomes of those before (Poisson arrivals)."""
        random, loop = Random(seed), asyncio.get_running_loop()
        due = begun = loop.time()
        while (due := due + random.expovariate(rate)) < begun + seconds:
            if (pause := due - loop.time()) > 0:
                await asyncio.sleep(pause)
            self._arrive(next(self.requests), due)
        await self._ended(0)

    async def _ended(self, seconds: float) -> None:
        if self._under_way:
            self._is_over.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._is_over.wait(), seconds + PATIENCE_S)

    def _arrive(self, request: Request, due: float) -> None:
        if self._free:
            self._send(self._free.popleft(), request, due)
        else:
            self._waiting.append((request, due))


@contextmanager
def going_first() -> Iterator[bool]:
    """Have this process go before others on its CPU, where that is allowed; whether it is.

    It uses a twentieth of one. As long as it shares that by turns with the server, it is 2 to 4 ms late itself each
    hundredth time, as no client on another machine would be. What it starts goes by turns all the same.
    """
    before = os.sched_getscheduler(0)
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(1))
    except PermissionError:
        yield False
        return
    try:
        yield True
    finally:
        os.sched_setscheduler(0, before, os.sched_param(0))


@asynccontextmanager
async def load(port: int, clients: Clients, requests: Iterator[Request]) -> AsyncIterator[Load]:
    """A phase: connections to the server for as long as the block lasts."""
    opened = Load(clients, requests)
    await opened.connect(port, CONNECTIONS)
    try:
        yield opened
    finally:
        opened.disconnect()
