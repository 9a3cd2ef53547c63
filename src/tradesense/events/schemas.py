"""What travels: messages of clients, messages to clients, and the administrator's list of who is connected."""

from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from pydantic import Field

from keel.events.contract import Message, Place, Position
from tradesense.http.types import View

LONGEST_CHANNEL: Final = 100
LONGEST_PLACE: Final = 200
LONGEST_ID: Final = 64

Channel = Annotated[str, msgspec.Meta(max_length=LONGEST_CHANNEL)]
Id = Annotated[str, msgspec.Meta(max_length=LONGEST_ID)] | int | None
"""What a client calls its request; the answer to it has the same."""


class Since(msgspec.Struct, frozen=True):
    """Where a client has come to in a channel."""

    epoch: Annotated[str, msgspec.Meta(max_length=LONGEST_PLACE)]
    offset: Annotated[int, msgspec.Meta(ge=0, le=(1 << 53) - 1)]


class Subscribe(msgspec.Struct, frozen=True, tag="subscribe"):
    """Hear what is published on a channel, from now on or since a place (as an object, or as `epoch:offset`)."""

    channel: Channel
    since: Since | Annotated[str, msgspec.Meta(max_length=LONGEST_PLACE)] | None = None
    id: Id = None

    @property
    def place(self) -> Place | None:
        """The place to go on from."""
        if self.since is None:
            return None
        return place(self.since) if isinstance(self.since, str) else Place(self.since.epoch, self.since.offset)


class Unsubscribe(msgspec.Struct, frozen=True, tag="unsubscribe"):
    """Hear no more of a channel."""

    channel: Channel
    id: Id = None


class Ping(msgspec.Struct, frozen=True, tag="ping"):
    """Show that somebody is there."""

    id: Id = None


Asked = Subscribe | Unsubscribe | Ping
ASKED: Final = msgspec.json.Decoder(Asked)
_PLACE_OF_NOTHING: Final = Place("", 0)


def place(text: str) -> Place:
    """A place as `epoch:offset`. What is none is a place that nobody knows, and nothing follows from it."""
    epoch, _, offset = text.rpartition(":")
    known = epoch and offset.isascii() and offset.isdecimal()
    return Place(epoch, int(offset)) if known else _PLACE_OF_NOTHING


def message(item: Message) -> bytes:
    """A message as clients get it, encoded once for all of them."""
    return msgspec.json.encode(
        {
            "type": "message",
            "channel": item.channel,
            "epoch": item.epoch,
            "offset": item.offset,
            "data": msgspec.Raw(item.data),
        }
    )


def position(item: Position, *, is_first: bool, id_: str | int | None = None) -> bytes:
    """Where messages go on, and whether some were missed: `subscribed` answers, `position` comes after a break."""
    kind = "subscribed" if is_first else "position"
    return encoded(
        kind, id_ if is_first else None, channel=item.channel, epoch=item.epoch, offset=item.offset,
        recovered=item.recovered,
    )  # fmt: skip


def encoded(kind: str, id_: str | int | None = None, **members: Any) -> bytes:  # noqa: ANN401 - whatever JSON has
    """A message of the connection itself."""
    named = {} if id_ is None else {"id": id_}
    return msgspec.json.encode({"type": kind, **named, **members})


def event(item: Message) -> bytes:
    """A message as a server-sent event, encoded once for all."""
    return sent_event(item.encoded(message), Place(item.epoch, item.offset))


def sent_event(data: bytes, at: Place | None = None) -> bytes:
    """A server-sent event (HTML Standard, 9.2); with a place, it is the one to come back with."""
    named = b"" if at is None else f"id: {at.epoch}:{at.offset}\n".encode()
    return b"%sdata: %s\n\n" % (named, data)


class ConnectedView(View):
    """A user who has live connections open, over all instances."""

    user_id: UUID
    email: str | None = Field(description="Null where there is no such user any more.")
    connections: int = Field(ge=1, examples=[2])
