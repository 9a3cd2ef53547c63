"""The live tail: requests and log lines of all instances as server-sent events (HTML Standard, 9.2)."""

import asyncio
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final, NamedTuple

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from keel.context import budget
from keel.logs.contract import LEVELS
from keel.logs.rendering import ACCESS
from keel.store.following import Following
from keel.store.observations import Observations
from keel.tasks import Tasks
from tradesense.events.live.lines import Ending, Line, Lines
from tradesense.http.authentication import Principal

MEDIA_TYPE: Final = "text/event-stream"
LOOK_EVERY_S: Final = 0.5
HEARTBEAT_S: Final = 15.0
"""Proxies cut what is silent for 30 or 60 s."""
GOODBYE_S: Final = 1.0
MOST_AT_ONCE: Final = 500
_HEADERS: Final = {"Cache-Control": "no-store, no-transform", "X-Accel-Buffering": "no"}


class Filter(NamedTuple):
    """Which lines somebody wants to see."""

    level: str = "info"
    route: str | None = None
    status: int | None = None
    min_ms: float = 0
    text: str = ""

    def told(self, lines: Iterable[bytes]) -> Iterator[bytes]:
        """Those among them, as events."""
        for line in lines:
            said = json.loads(line)
            if self.has(said) and (not self.text or self.text in line.decode("utf-8", "replace")):
                yield b"event: %s\ndata: %s\n\n" % (b"request" if said["logger"] == ACCESS else b"log", line)

    def has(self, said: Mapping[str, Any]) -> bool:
        """Whether a line is one of them, but for its text."""
        if LEVELS[said["level"]] < LEVELS[self.level]:
            return False
        if self.route is None and self.status is None and not self.min_ms:
            return True
        return (
            said["logger"] == ACCESS
            and self.route in {None, said.get("route"), said.get("name"), f"{said.get('method')} {said.get('route')}"}
            and self.status in {None, said.get("status")}
            and said.get("duration_ms", 0) >= self.min_ms
        )


class Tail(Response):
    """The answer. It ends with the administrator's session, and where the instance is about to end."""

    media_type = MEDIA_TYPE

    def __init__(self, seen: Observations, lines: Lines, admin: Principal, wanted: Filter) -> None:
        super().__init__(None, 200, _HEADERS)
        del self.headers["content-length"]
        self._seen = seen
        self._lines = lines
        self._admin = admin
        self._wanted = wanted

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Send what comes until the client is gone or the connection is to end."""
        with budget(None):  # each wait for Redis is bounded by itself: this outlives a request
            async with self._lines.admit(self._admin) as line, Tasks() as tasks:
                following = self._seen.following()
                await following.more(1)
                await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
                tasks.start("a client that leaves", _left(line, receive))
                tasks.start("following the logs", self._pass_on(line, following, send))
                await line.over.wait()
        if line.ending is not Ending.GONE:
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(GOODBYE_S):
                    goodbye = b'event: end\ndata: {"reason":"%s"}\n\n' % line.ending.reason.encode()
                    await send({"type": "http.response.body", "body": goodbye, "more_body": False})

    async def _pass_on(self, line: Line, following: Following, send: Send) -> None:
        silent_s, scope = HEARTBEAT_S, following.scope
        try:
            await _send(send, _scope(scope))
            while True:
                if silent_s >= HEARTBEAT_S:
                    await _send(send, b":\n\n")
                    silent_s = 0.0
                told = b"".join(self._wanted.told(await following.more(MOST_AT_ONCE)))
                if following.scope != scope:
                    scope = following.scope
                    told = _scope(scope) + told
                if told:
                    await _send(send, told)
                    silent_s = 0.0
                await asyncio.sleep(LOOK_EVERY_S)
                silent_s += LOOK_EVERY_S
        except OSError:  # it has been cut
            line.end(Ending.GONE)


def _scope(scope: str) -> bytes:
    """Whose lines are seen from here on."""
    return b'event: scope\ndata: {"scope":"%s"}\n\n' % scope.encode()


async def _left(line: Line, receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    line.end(Ending.GONE)


async def _send(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})
