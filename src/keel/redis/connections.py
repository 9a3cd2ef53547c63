"""Opening connections: redis-py resolves, connects, speaks TLS, authenticates and selects; then the link takes over."""

import asyncio
import ssl
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from redis.asyncio.connection import AbstractConnection, Connection, SSLConnection, UnixDomainSocketConnection
from redis.exceptions import RedisError

from keel.redis.contract import RedisUnavailable
from keel.redis.link import Link
from keel.redis.urls import Address, Target


class _HandsOver(AbstractConnection):
    """A connection of redis-py's that gives its transport away once it is made."""

    def hand_over(self, link: Link) -> None:
        """Let `link` speak on the transport; the stream stays referenced, and unused, until the transport is closed."""
        if self._writer is None:
            raise RedisUnavailable("the connection was cut")
        link.attach(self._writer.transport)

    def let_go(self, _reason: object) -> None:
        """Forget the streams of a transport that is closed."""
        self._reader = self._writer = None

    async def give_up(self) -> None:
        """Close a connection that was not made, without waiting for the other side."""
        if self._writer is not None:
            self._writer.transport.abort()
        self.let_go("given up")
        await asyncio.sleep(0)


class _Tcp(_HandsOver, Connection):
    pass


class _Tls(_HandsOver, SSLConnection):
    pass


class _Unix(_HandsOver, UnixDomainSocketConnection):
    pass


class Opener:
    """Opens links to the servers of one URL, no more than `most` at a time, each within `timeout`."""

    def __init__(self, target: Target, timeout: timedelta, most: int) -> None:
        self._target = target
        self.timeout_s = timeout.total_seconds()
        self.most = most
        self._open: set[asyncio.Future[str]] = set()

    async def open(self, address: Address, pushed: Callable[[list[Any]], None], *, sentinel: bool = False) -> Link:
        """A link to the server at `address`; raises RedisUnavailable."""
        if len(self._open) >= self.most:
            raise RedisUnavailable(f"all {self.most} connections are in use")
        link = Link(pushed)
        self._open.add(link.lost)
        connection: _HandsOver | None = None
        try:
            connection = self._connection(address, sentinel=sentinel)
            async with asyncio.timeout(self.timeout_s):
                await _connected(connection)
            connection.hand_over(link)
        except BaseException as error:
            self._open.discard(link.lost)
            if connection is not None:
                await connection.give_up()
            if isinstance(error, (RedisError, OSError, ssl.SSLError)):
                raise RedisUnavailable(str(error) or type(error).__name__) from error
            raise
        link.lost.add_done_callback(connection.let_go)
        link.lost.add_done_callback(self._open.discard)
        return link

    async def closed(self) -> None:
        """Wait until every link that was cut has let its transport go."""
        if self._open:
            await asyncio.wait(set(self._open), timeout=1)

    def _connection(self, address: Address, *, sentinel: bool) -> _HandsOver:
        options: dict[str, Any] = {
            **(self._target.sentinel_options if sentinel else self._target.options),
            "protocol": 3,
            "socket_connect_timeout": self.timeout_s,
            "socket_timeout": self.timeout_s,
            "health_check_interval": 0,
            "maint_notifications_config": None,
            "driver_info": None,
        }
        if address.path:
            return _Unix(path=address.path, **options)
        kind = _Tls if self._target.tls else _Tcp
        return kind(host=address.host, port=address.port, **options)


async def _connected(connection: _HandsOver) -> None:
    """Connect; a cancellation that redis-py has swallowed while it read is raised again."""
    task = asyncio.current_task()
    before = task.cancelling() if task else 0
    await connection.connect()  # type: ignore[no-untyped-call]  # redis-py's
    if task is not None and task.cancelling() > before:
        raise asyncio.CancelledError
