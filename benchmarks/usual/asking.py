"""Asks one thing again and again, over raw connections, which costs so little that the server is what is measured."""

import asyncio
import re
import time
from asyncio import Protocol, Transport
from typing import Final, cast

CONNECTIONS: Final = 16
_LENGTH: Final = re.compile(rb"(?i)\r\ncontent-length: (\d+)").search
_END: Final = b"\r\n\r\n"


class Connection(Protocol):
    """One request under way, always; answers are counted, and any but a whole 200 ends it."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._transport: Transport | None = None
        self._got = b""
        self.answers = 0
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("Transport", transport)
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Ask again once the answer is whole."""
        got = self._got = self._got + data if self._got else data
        head = got.find(_END)
        length = None if head < 0 else _LENGTH(got, 0, head)
        if length is None or len(got) < head + len(_END) + int(length[1]):
            return
        if not got.startswith(b"HTTP/1.1 200") or self._transport is None:
            raise RuntimeError(got[:200])
        self._got = b""
        self.answers += 1
        self._transport.write(self._request)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's
        """Know of it."""
        self.lost = True

    def close(self) -> None:
        """End."""
        if self._transport is not None:
            self._transport.abort()


async def asked(port: int, request: bytes, seconds: float) -> int:
    """How many answers came in that many seconds."""
    loop = asyncio.get_running_loop()
    made = [await loop.create_connection(lambda: Connection(request), "127.0.0.1", port) for _ in range(CONNECTIONS)]
    connections, began = [each for _, each in made], time.perf_counter()
    await asyncio.sleep(seconds)
    answers, took = sum(each.answers for each in connections), time.perf_counter() - began
    assert not any(each.lost for each in connections)
    for each in connections:
        each.close()
    return round(answers * seconds / took)
