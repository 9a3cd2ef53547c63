"""Clients that take nothing of what there is for them: their connections would else be kept until the server ends."""

import asyncio
import socket
import sys
from struct import Struct, error
from typing import Final

STALLED_S: Final = 60.0
"""How long a client may take nothing."""
ENDING_S: Final = 2.0
"""The same when the server ends."""
_BYTES_ACKED: Final = Struct("=120xQ")
"""Where Linux has `tcpi_bytes_acked` in what `getsockopt(TCP_INFO)` tells (`linux/tcp.h`)."""


class Unread:
    """What has been written to one connection and not been taken off it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._is_ending = False
        self._left = self._taken = 0
        self._look: asyncio.TimerHandle | None = None

    def watch(self, transport: asyncio.WriteTransport) -> None:
        """Cut the connection as soon as its client has taken nothing for too long, unless it has taken everything."""
        self.forget()
        self._left = transport.get_write_buffer_size()
        if self._left:
            self._taken = taken(transport)
            self._look = self._loop.call_later(ENDING_S if self._is_ending else STALLED_S, self._judge, transport)

    def end(self, transport: asyncio.WriteTransport) -> None:
        """Be less patient from now on."""
        self._is_ending = True
        self.watch(transport)

    def forget(self) -> None:
        """There is nothing to watch any more."""
        if self._look is not None:
            self._look.cancel()
            self._look = None

    def _judge(self, transport: asyncio.WriteTransport) -> None:
        if transport.get_write_buffer_size() >= self._left and taken(transport) <= self._taken:
            transport.abort()
        else:
            self.watch(transport)


def taken(transport: asyncio.WriteTransport) -> int:
    """The bytes that the client's system has acknowledged; always 0 where that is not told.

    What is left in the process says too little: the system takes megabytes of it at a time, and then nothing for as
    long as a slow client needs for a part of those.
    """
    connected = transport.get_extra_info("socket")
    if connected is None or sys.platform != "linux":
        return 0
    try:
        info = connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _BYTES_ACKED.size)
        return int(_BYTES_ACKED.unpack(info)[0])
    except (OSError, ValueError, error):  # none of TCP; closed, which uvloop says by a ValueError; a system too old
        return 0
