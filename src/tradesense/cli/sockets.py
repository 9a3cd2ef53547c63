"""uvicorn's protocol of WebSockets, which lets go of clients that take nothing off the network."""

import asyncio
from typing import Final

from uvicorn._types import ASGISendEvent
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

MOST_BYTES: Final = 16 * 1024
"""Of a client's message; beyond that it is cut off (1009) before the application sees any of it."""
STALLED_S: Final = 20.0
"""How long a client may take nothing while there is something for it."""
GOODBYE_S: Final = 1.0
"""How long it has to take the last of it when the server ends."""


class Sockets(WebSocketsSansIOProtocol):
    """A connection that can be closed whatever its client does: one that never reads would else be kept for ever."""

    _stalled: asyncio.TimerHandle | None = None

    def pause_writing(self) -> None:
        """The client does not keep up."""
        super().pause_writing()
        self._stalled = self.loop.call_later(STALLED_S, self.transport.abort)

    def resume_writing(self) -> None:
        """It does again."""
        super().resume_writing()
        self._forgive()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        self._forgive()
        super().connection_lost(exc)

    def handle_ping(self) -> None:
        """Answer, unless the client takes no answers: they would pile up."""
        if self.writable.is_set():
            super().handle_ping()
        else:
            self.transport.abort()

    def shutdown(self) -> None:
        """Close the connection, and do not wait for a client that takes nothing."""
        super().shutdown()
        self.loop.call_later(GOODBYE_S, self.transport.abort)

    async def send(self, message: ASGISendEvent) -> None:
        """Send what the application says. A handshake that is refused is over, of which uvicorn would complain."""
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body", False):
            self.handshake_complete = True

    def _forgive(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None
