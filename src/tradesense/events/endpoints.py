"""Live events over HTTP: the WebSocket, the stream of server-sent events, and who is connected."""

from collections.abc import Generator
from contextlib import suppress
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Header, Query
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.routing import WebSocketRoute
from starlette.types import Receive, Scope, Send

from keel.errors import Refusal
from tradesense.events.live.lines import Ending, Lines, ShuttingDown, TooManyConnections
from tradesense.events.live.socket import Conversation
from tradesense.events.live.stream import MEDIA_TYPE, EventStream
from tradesense.events.schemas import LONGEST_CHANNEL, LONGEST_PLACE, ConnectedView, place
from tradesense.events.service.channels import ChannelNotFound, Channels
from tradesense.events.service.presence import Presence
from tradesense.http import problems
from tradesense.http.authentication import BEARER, Administrator, AdminRequired, CurrentUser, authenticate
from tradesense.http.paging import Page, Paged
from tradesense.http.problems import refusals
from tradesense.http.state import part, provided

_PREFIX: Final = "/events"
_DENIAL: Final = "websocket.http.response"

router = APIRouter(prefix=_PREFIX)

TheLines = Annotated[Lines, Depends(provided("lines", Lines))]
TheChannels = Annotated[Channels, Depends(provided("channels", Channels))]
ThePresence = Annotated[Presence, Depends(provided("presence", Presence))]


class Talk:
    """Live events of the channels that a client subscribes to, over a WebSocket; docs/events.md has the protocol.

    It speaks ASGI by itself: several tasks send, and all of them are to hear at any time that the client is gone.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send

    def __await__(self) -> Generator[Any, None, None]:
        return self._talk().__await__()

    async def _talk(self) -> None:
        connection = HTTPConnection(self._scope)
        lines, channels = part(connection, "lines", Lines), part(connection, "channels", Channels)
        try:
            principal = await authenticate(connection)
            async with lines.admit(principal) as line:
                if await self._accepted():
                    await Conversation(lines, channels, line, self._receive, self._send).run()
        except Refusal as refusal:
            await self._deny(problems.refused(connection, refusal))

    async def _accepted(self) -> bool:
        if (await self._receive())["type"] != "websocket.connect":
            return False
        subprotocol = BEARER if BEARER in self._scope.get("subprotocols", []) else None
        with suppress(OSError):  # it has been cut
            await self._send({"type": "websocket.accept", "subprotocol": subprotocol, "headers": []})
            return True
        return False

    async def _deny(self, response: Response) -> None:
        """Answer the handshake by a problem where the server lets us; else it answers 403 by itself."""
        if _DENIAL in self._scope.get("extensions", {}):
            await response(self._scope, self._receive, self._send)
        else:
            await self._send({"type": "websocket.close", "code": Ending.UNAVAILABLE.code, "reason": ""})


router.routes.append(WebSocketRoute(_PREFIX, Talk))


@router.get(
    "/stream",
    tags=["events"],
    status_code=200,
    response_class=EventStream,
    responses={
        **refusals(ChannelNotFound, TooManyConnections, ShuttingDown),
        200: {
            "description": "Events as they happen, without an end; each has its place (`epoch:offset`) as its id.",
            "content": {MEDIA_TYPE: {"schema": {"type": "string"}}},
        },
    },
)
async def stream_events(
    user: CurrentUser,
    lines: TheLines,
    channels: TheChannels,
    channel: Annotated[
        str,
        Query(
            description="`user:{id}` of my own, or `import:{id}` of an import of mine.",
            max_length=LONGEST_CHANNEL,
            examples=["user:0199b7a3-5c1e-7c55-9a3e-8f1de2a45c0b"],
        ),
    ],
    since: Annotated[
        str | None, Query(description="The place after which to begin, `epoch:offset`.", max_length=LONGEST_PLACE)
    ] = None,
    last_event_id: Annotated[
        str | None, Header(description="The same, as browsers send it when they come back.", max_length=LONGEST_PLACE)
    ] = None,
) -> Response:
    """Hear one channel as server-sent events, for clients that cannot do WebSockets."""
    await channels.check(user.user_id, channel)
    began = last_event_id or since
    return EventStream(lines, user, channel, place(began) if began else None)


@router.get("/connections", tags=["admin"], responses=refusals(AdminRequired))
async def list_connections(_: Administrator, presence: ThePresence, paging: Paged) -> Page[ConnectedView]:
    """Who has live connections open, and how many, over all instances; by id."""
    after = paging.after(str, "connections")
    found = await presence.connected(None if after is None else after.id, paging.limit + 1)
    page = paging.page(found, lambda each: (str(each.user_id), each.user_id), "connections")
    return Page(items=[ConnectedView(**each._asdict()) for each in page.items], next=page.next)
