"""Server-sent events (HTML Standard, 9.2): one channel over an answer that does not end."""

import asyncio
from contextlib import AbstractAsyncContextManager, suppress
from typing import Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from keel.context import budget
from keel.events.contract import Item, Message, Place, Position, Stream
from keel.tasks import Tasks
from tradesense.events import schemas
from tradesense.events.live.lines import Ending, Line, Lines
from tradesense.events.live.socket import AT_ONCE, GOODBYE_S, QUEUE_BYTES
from tradesense.http.authentication import Principal

MEDIA_TYPE: Final = "text/event-stream"
HEARTBEAT_S: Final = 15.0
"""Proxies cut what is silent for 30 or 60 s."""
RETRY_MS: Final = 2000
"""When a browser is to come back after the end."""
HEADERS: Final = {
    "Cache-Control": "no-store, no-transform",
    "X-Accel-Buffering": "no",  # nginx would wait until there is more
}


class EventStream(Response):
    """The answer; whoever may not have it is refused before it begins."""

    media_type = MEDIA_TYPE

    def __init__(self, lines: Lines, principal: Principal, channel: str, since: Place | None) -> None:
        super().__init__(None, 200, HEADERS)
        del self.headers["content-length"]
        self._lines = lines
        self._principal = principal
        self._channel = channel
        self._since = since

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Send what is published until the client is gone or the connection is to end."""
        with budget(None):  # each wait for Redis is bounded by itself: this outlives a request
            async with self._lines.admit(self._principal) as line, self._subscribed() as stream, Tasks() as tasks:
                await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
                tasks.start("a client that leaves", _left(line, receive))
                tasks.start("a slow client", line.end_with(stream))
                tasks.start(f"hearing {self._channel}", _pass_on(line, stream, send))
                await line.over.wait()
        if line.ending is not Ending.GONE:
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(GOODBYE_S):
                    goodbye = schemas.sent_event(schemas.encoded("end", reason=line.ending.reason))
                    await send({"type": "http.response.body", "body": goodbye, "more_body": False})

    def _subscribed(self) -> AbstractAsyncContextManager[Stream]:
        return self._lines.events.subscribe(
            self._channel,
            since=self._since,
            member=self._principal.subject,
            heartbeat_s=HEARTBEAT_S,
            queue_bytes=QUEUE_BYTES,
        )


async def _left(line: Line, receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    line.end(Ending.GONE)


async def _pass_on(line: Line, stream: Stream, send: Send) -> None:
    sent = 0
    try:
        with line.ending_with():
            await _send(send, b"retry: %d\n\n" % RETRY_MS)
            async for item in stream:
                await _send(send, _told(item, is_first=sent == 0))
                sent += 1
                if sent % AT_ONCE == 0:
                    await asyncio.sleep(0)
    except OSError:  # it has been cut
        line.end(Ending.GONE)


async def _send(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})


def _told(item: Item, *, is_first: bool) -> bytes:
    if isinstance(item, Message):
        return item.encoded(schemas.event)
    if isinstance(item, Position):
        return schemas.sent_event(schemas.position(item, is_first=is_first), Place(item.epoch, item.offset))
    return b":\n\n"
