"""One connection that carries the commands of many callers at once, in order.

Replies come in the order of the commands (RESP has no other key), so the link keeps a queue of who waits. A caller who
gives up stays in the queue as a request that is done, and its reply is thrown away: the link is never out of step.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from hiredis import HiredisError, PushNotification, Reader, ReplyError, pack_command

from keel.redis.contract import Argument, CommandRefused, RedisUnavailable, Waiter

BEAT_S: Final = 0.5
"""How often a heartbeat goes out."""
SILENCE_S: Final = 0.9
"""How long one may be unanswered, with nothing else heard either: noticed 1.4 s after a server falls silent."""
MOST_WAITING: Final = 10_000
MOST_UNSENT: Final = 16 * 1024 * 1024
_INCOMPLETE: Final = object()
_READ_PASS_S: Final = 0.02
"""Time for the loop to read what came in while something else held it."""


def packed(*command: Argument) -> bytes:
    """A command as it travels."""
    whole: bytes = pack_command(command)  # type: ignore[arg-type]  # the stub knows commands of one word alone
    return whole


class Request:
    """One command on its way, and whoever asked, mostly a future.

    `deadline` is by the monotonic clock; `patient` says whether it leaves time enough to blame the server when it has
    passed. `confirmation` is the kind and channel of the push that answers a SUBSCRIBE, which has no other reply.
    """

    __slots__ = ("confirmation", "deadline", "future", "packed", "patient")

    def __init__(self, future: Waiter, packed: bytes, deadline: float) -> None:
        self.future = future
        self.packed = packed
        self.deadline = deadline
        self.patient = True
        self.confirmation: tuple[bytes, bytes] | None = None

    def refuse(self, error: ReplyError) -> None:
        """The server answered with an error."""
        if not self.future.done():
            self.future.set_exception(CommandRefused(str(error)))

    def fail(self, reason: str) -> None:
        """It will not be answered."""
        if not self.future.done():
            self.future.set_exception(RedisUnavailable(reason))


class Link(asyncio.Protocol):
    """The protocol of a connection that has been opened, authenticated and switched to RESP3 already.

    `pushed` is handed what the server sends unasked; `cut` is told once, with the reason, when the link is no more.
    """

    def __init__(self, pushed: Callable[[list[Any]], None]) -> None:
        self.waiting: deque[Request] = deque()
        self.failures = 0
        self.is_cut = False
        self.cut_because = ""
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._loop = asyncio.get_running_loop()
        self._pushed = pushed
        self._on_cut: Callable[[str], None] = _ignore
        self._transport: asyncio.WriteTransport
        self._reader = Reader(notEnoughData=_INCOMPLETE)
        self._out: list[bytes] = []
        self._unsent = 0
        self._choked = False
        self._heard = time.monotonic()
        self._beats: asyncio.TimerHandle | None = None

    def attach(self, transport: asyncio.WriteTransport) -> None:
        """Take the connection over."""
        self._transport = transport
        transport.set_write_buffer_limits(high=MOST_UNSENT)
        transport.set_protocol(self)

    def send(self, request: Request) -> None:
        """Send with whatever else is sent in this tick; fails where too much is under way already."""
        if self.is_cut:
            request.fail(self.cut_because)
        elif self._choked or self._unsent > MOST_UNSENT or len(self.waiting) >= MOST_WAITING:
            request.fail("too many commands are under way")
        else:
            self._put(request)

    def ask(self, *command: Argument) -> "asyncio.Future[Any]":
        """Send a command of the connection's own; it has no deadline, and an error is its result."""
        request = _Own(self._loop.create_future(), packed(*command), float("inf"))
        return self._ask(request)

    def ask_for_channel(self, verb: str, channel: str | bytes) -> "asyncio.Future[Any]":
        """Send SUBSCRIBE or one of its kin, which is answered by a push."""
        name = channel.encode() if isinstance(channel, str) else channel
        request = _Own(self._loop.create_future(), packed(verb, name), float("inf"))
        request.confirmation = (verb.lower().encode(), name)
        return self._ask(request)

    def watch_over(
        self, command: tuple[str, ...], judge: Callable[[Any], str | None], cut: Callable[[str], None]
    ) -> None:
        """Tell `cut` when the link is no more, and send `command` as a heartbeat.

        `judge` says what is wrong with an answer to it.
        """
        self._on_cut = cut
        self._beat(command, judge)

    def cut(self, reason: str) -> None:
        """End it now; whoever waits is told that Redis is away."""
        if self.is_cut:
            return
        self.is_cut = True
        self.cut_because = reason
        self._transport.abort()
        if self._beats is not None:
            self._beats.cancel()
        self._out.clear()
        waiting, self.waiting = self.waiting, deque()
        for request in waiting:
            request.fail(reason)
        self._on_cut(reason)

    def data_received(self, data: bytes) -> None:
        """Hand out what has come."""
        self._heard = time.monotonic()
        self.failures = 0
        reader = self._reader
        try:
            reader.feed(data)
            while (reply := reader.gets()) is not _INCOMPLETE and not self.is_cut:
                if type(reply) is PushNotification:
                    self._push(reply)
                    continue
                request = self.waiting.popleft()
                if type(reply) is ReplyError:
                    request.refuse(reply)
                elif not request.future.done():
                    request.future.set_result(reply)
        except (HiredisError, IndexError) as error:
            self.cut(f"it does not speak RESP3: {error!r}")

    def connection_lost(self, exc: Exception | None) -> None:
        """The transport is closed."""
        self.cut(f"the connection was cut ({exc})" if exc else "the connection was cut")
        if not self.lost.done():
            self.lost.set_result(self.cut_because)

    def pause_writing(self) -> None:
        """So much is unsent that the server must have stopped reading."""
        self._choked = True

    def resume_writing(self) -> None:
        """It reads again."""
        self._choked = False

    def _ask(self, request: "_Own") -> "asyncio.Future[Any]":
        if self.is_cut:
            request.fail(self.cut_because)
        else:
            self._put(request)
        return request.future

    def flush(self) -> None:
        """Write what is to be sent, which is done at the end of the tick unless it is done earlier."""
        if self._out:
            self._transport.write(b"".join(self._out))
            self._out.clear()
        self._unsent = 0

    def _put(self, request: Request) -> None:
        if not self._out:
            self._loop.call_soon(self.flush)
        self._out.append(request.packed)
        self._unsent += len(request.packed)
        self.waiting.append(request)

    def _push(self, push: list[Any]) -> None:
        head = self.waiting[0] if self.waiting else None
        if head is not None and head.confirmation == (push[0], push[1]):
            self.waiting.popleft()
            if not head.future.done():
                head.future.set_result(push)
        else:
            self._pushed(push)

    def _beat(self, command: tuple[str, ...], judge: Callable[[Any], str | None]) -> None:
        sent = time.monotonic()
        answer = self.ask(*command)

        def heard(answer: "asyncio.Future[Any]") -> None:
            wrong = None if answer.cancelled() or answer.exception() else judge(answer.result())
            if wrong:
                self.cut(wrong)

        def listen(*, again: bool) -> None:
            silent = time.monotonic() - max(sent, self._heard)
            if answer.done():
                self._beat(command, judge)
            elif silent < SILENCE_S:
                later(SILENCE_S - silent, again=False)
            elif not again:
                later(_READ_PASS_S, again=True)  # the loop may have been held: look again once it has read
            else:
                self.cut(f"no heartbeat for {silent:.1f} s")

        def later(delay: float, *, again: bool) -> None:
            if not self.is_cut:
                self._beats = self._loop.call_later(delay, lambda: listen(again=again))

        answer.add_done_callback(heard)
        later(BEAT_S, again=False)


class Unheard(Request):
    """A request whose answer nobody waits for."""

    __slots__ = ()

    def __init__(self, *command: Argument) -> None:
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        future.cancel()
        super().__init__(future, packed(*command), float("inf"))


class _Own(Request):
    """A request of the connection's own, to which an error is an answer like any other."""

    __slots__ = ()
    future: "asyncio.Future[Any]"

    def refuse(self, error: ReplyError) -> None:
        if not self.future.done():
            self.future.set_result(error)


def _ignore(_reason: str) -> None:
    """Before anybody watches, whoever opens the link sees for himself."""
