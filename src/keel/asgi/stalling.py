"""Clients that take nothing of what there is for them: their connections would else be kept until the server ends."""

import asyncio
from typing import Final

STALLED_S: Final = 60.0
"""How long a client may take nothing."""
ENDING_S: Final = 2.0
"""The same when the server ends."""


class Unread:
    """What has been written to one connection and not been taken off it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._is_ending = False
        self._left = 0
        self._look: asyncio.TimerHandle | None = None

    def watch(self, transport: asyncio.WriteTransport) -> None:
        """Cut the connection as soon as its client has taken nothing for too long, unless it has taken everything."""
        self.forget()
        self._left = transport.get_write_buffer_size()
        if self._left:
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
        if transport.get_write_buffer_size() >= self._left:
            transport.abort()
        else:
            self.watch(transport)
