"""What events promise, the words they use, and what carries them.

Every channel counts its messages: the `offset`. The `epoch` names the count; there is a new one whenever it cannot be
known that nothing is missing (the server was emptied or replaced, messages were delivered in an outage, or forgotten).
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from enum import StrEnum
from typing import Final, NamedTuple, Protocol

from keel.errors import TooLarge, Unavailable

HISTORY: Final = 1000
"""Messages of a channel that are kept for those who come back."""
HISTORY_S: Final = 600.0
"""For how long they are kept after the last one."""
EPOCH_S: Final = 24 * 3600.0
"""For how long a channel's count goes on without a message or a subscriber."""
REPEATED_S: Final = 300.0
"""For how long a message is known by its idempotency key."""
QUEUE_BYTES: Final = 1 << 20
"""What a subscriber may have unread."""
MOST_BYTES: Final = 64 * 1024
"""Of one message."""


class MessageTooLarge(TooLarge):
    """A message is for telling that there is something to fetch, not for carrying it."""

    def __init__(self, size: int) -> None:
        super().__init__(f"A message of {size} bytes is too large; the limit is {MOST_BYTES}.")


class TooManyStreams(Unavailable):
    """As many subscribers as are allowed are there already."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"Too many connections are open; the limit is {limit}.")
        self.limit = limit


class Closing(StrEnum):
    """Why a stream was closed by this side."""

    SLOW = "slow"
    REVOKED = "revoked"
    SHUTDOWN = "shutdown"


class StreamClosed(Exception):
    """The stream is over; what had not been read is gone. `reason` says why."""

    def __init__(self, reason: Closing) -> None:
        super().__init__(f"the stream was closed: {reason}")
        self.reason = reason


class Place(NamedTuple):
    """A point in a channel: after the message with this offset."""

    epoch: str
    offset: int


class Position(NamedTuple):
    """Messages follow from `offset` + 1 on, each by one more, until the next position.

    `recovered`: nothing was missed. If it is False, something may have been: fetch the whole, then go on.
    """

    channel: str
    epoch: str
    offset: int
    recovered: bool


class Message:
    """What was published; one object for all subscribers of the process."""

    __slots__ = ("_forms", "channel", "data", "epoch", "offset")

    def __init__(self, channel: str, epoch: str, offset: int, data: bytes) -> None:
        self.channel = channel
        self.epoch = epoch
        self.offset = offset
        self.data = data
        self._forms: dict[Callable[[Message], bytes], bytes] = {}

    def encoded(self, encode: "Callable[[Message], bytes]") -> bytes:
        """What `encode` makes of it, made once for all who ask with the same function."""
        form = self._forms.get(encode)
        if form is None:
            form = self._forms[encode] = encode(self)
        return form

    def __repr__(self) -> str:
        return f"Message({self.channel!r}, {self.epoch!r}, {self.offset}, {self.data!r})"


class Beat(NamedTuple):
    """Nothing has happened for a while; the place is as it was."""

    channel: str
    epoch: str
    offset: int


Item = Position | Message | Beat


class Published(NamedTuple):
    """Where a message is in its channel. `shared` is False where only this process's subscribers got it."""

    epoch: str
    offset: int
    shared: bool = True


class Stream(Protocol):
    """One subscription, read by one reader: a `Position` first, then messages, and a position after every break."""

    @property
    def channel(self) -> str:
        """What is subscribed to."""

    @property
    def place(self) -> Place:
        """The place of what was handed out last: what to come back with."""

    @property
    def ended(self) -> asyncio.Event:
        """Set when this side has closed it: for whoever hands items on to somebody who takes none."""

    def __aiter__(self) -> AsyncIterator[Item]: ...

    async def __anext__(self) -> Item:
        """The next item; raises `StreamClosed`."""

    def close(self, reason: Closing) -> None:
        """End it; the reader gets `StreamClosed`."""


class Events(Protocol):
    """Channels of messages, among all processes that share the server and the namespace."""

    async def publish(
        self, channel: str, data: object, *, idempotency_key: str | None = None, coalesce: str | None = None
    ) -> Published | None:
        """Send `data`, as JSON, to all who subscribe to `channel`, now or later from a place before it.

        A second message with the same `idempotency_key` is not sent; the answer is the first one's. Of messages that
        follow one another within 100 ms in this process with the same `coalesce`, the first and the newest are sent;
        one that is held back, and may yet be replaced, is answered with None. What is published on the channel
        afterwards never overtakes it.

        It waits 150 ms at most, whatever the request's budget. Where the server is away the message reaches the
        subscribers of this process alone, and the others are told that they missed something once it is back. Raises
        `MessageTooLarge`.
        """

    def subscribe(
        self,
        channel: str,
        *,
        since: tuple[str, int] | None = None,
        member: str | None = None,
        at_most: int | None = None,
        heartbeat_s: float | None = None,
        queue_bytes: int = QUEUE_BYTES,
    ) -> AbstractAsyncContextManager[Stream]:
        """Receive what is published on `channel` from now on, or since a place: an epoch and an offset.

        Once it is entered, no message that is published afterwards is missed without a word. The first item is a
        `Position`: if `recovered` is True, messages follow from `since` on. `member` is who is shown as present;
        `at_most` refuses more than so many subscriptions with a member to the channel, in all processes, by
        `TooManyStreams`. With `heartbeat_s` a `Beat` comes whenever there was nothing else for so long. Who leaves more
        than `queue_bytes` unread is closed as `slow`.
        """

    async def presence(self, channel: str) -> Counter[str]:
        """Who is subscribed to `channel` as a member, and how often; where the server is away, in this process."""


class Notice(NamedTuple):
    """What travels to every process that subscribes. An empty `data` says that the epoch has begun."""

    place: Place
    data: bytes


class Resumed(NamedTuple):
    """Where a channel is, and what was published since the place that was asked for, if all of that is known."""

    place: Place
    recovered: bool
    missed: list[bytes]


class BrokerWatcher(Protocol):
    """Is told when the broker comes and goes."""

    def came(self) -> None:
        """It can be reached: for the first time, again, or after a cut that was mended at once."""

    def went(self) -> None:
        """It is away."""


class Broker(Protocol):
    """What carries messages between processes, and remembers them for a while.

    All that waits raises `RedisUnavailable` or `CommandRefused` where that is on a server.
    """

    @property
    def available(self) -> bool:
        """Whether asking is worth it."""

    async def publish(self, channel: str, data: bytes, idempotency_key: str | None) -> Place:
        """Count the message, remember it and send it."""

    async def resume(self, channel: str, since: Place | None) -> Resumed:
        """Where the channel is; begins an epoch where there is none."""

    async def begin(self, channel: str) -> None:
        """Begin a new epoch, and tell everybody."""

    def listen(self, channel: str, receive: Callable[[Notice], None], live: Callable[[], None]) -> Callable[[], None]:
        """Hand over what is published, in order; `live` is called when it begins, and after each gap.

        Returns how to stop.
        """

    async def appear(self, channel: str, who: dict[str, str], at_most: int | None = None) -> bool:
        """Note for a minute who is there, a member per connection; False, and nothing noted, beyond `at_most`."""

    async def disappear(self, channel: str, connection: str, member: str) -> None:
        """Forget a connection."""

    async def present(self, channel: str) -> list[str]:
        """The member of every connection that is there."""

    def watch(self, watcher: BrokerWatcher) -> Callable[[], None]:
        """Tell `watcher` when it comes and goes, at once where it is there; returns how to stop."""
