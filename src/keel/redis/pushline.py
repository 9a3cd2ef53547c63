"""The line on which one server sends what it was not asked for: changes of tracked keys, and messages."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol

from hiredis import ReplyError

from keel.redis.line import Line
from keel.redis.link import Link
from keel.redis.observer import Observer
from keel.tasks import Tasks

_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a server is to send: changes of keys under prefixes, messages of channels."""

    prefixes: frozenset[str] = frozenset()
    by_channel: bool = False
    """Changes come as messages on channels named as the prefixes, for want of tracking."""
    channels: frozenset[bytes] = frozenset()
    sharded: bool = False

    def __bool__(self) -> bool:
        return bool(self.prefixes or self.channels)


class Hearer(Protocol):
    """Whoever is told."""

    def heard(self, push: list[Any]) -> None:
        """A push, as it came."""

    def subscribed(self, channel: bytes) -> None:
        """The server has begun to send a channel's messages."""

    def tracking_changed(self) -> None:
        """A server tracks more prefixes than before, or none any more."""

    def doubt(self) -> None:
        """A channel is served elsewhere now."""


class PushLine:
    """A connection of its own, opened when there is a first wish and kept from then on.

    `tracked` are the prefixes whose changes are heard for certain, `heard_channels` the channels whose messages are.
    Its heartbeat asks the server what it tracks, so that one which silently tracks no more is noticed within a beat;
    `confirms` says whether the server tells.
    """

    def __init__(self, make: Callable[[], Awaitable[Link]], hearer: Hearer, observer: Observer, server: str) -> None:
        self.tracked: set[str] = set()
        self.heard_channels: set[bytes] = set()
        self.confirms = False
        self._line = Line(make, made=self._made, missed=self._missed)
        self._hearer = hearer
        self._observer = observer
        self._server = server
        self._tasks: Tasks | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._link: Link | None = None
        self._wishes = Wishes()
        self._asked: set[str] = set()
        self._subscribed: dict[bytes, asyncio.Future[Any]] = {}
        """Channels that were asked for, and the answer to that."""
        self._complaint = ""

    def start(self, tasks: Tasks) -> None:
        """From now on a wish opens the connection."""
        self._tasks = tasks
        self.wish(self._wishes)

    def wish(self, wishes: Wishes) -> None:
        """Ask for what is wished for and is not sent yet, and no more for what is not."""
        if self._link is not None and wishes.by_channel is not self._wishes.by_channel:
            self._link.cut("changes are heard of in another way now")
        self._wishes = wishes
        if self._keeping is None and self._tasks is not None and wishes:
            self._keeping = self._tasks.start(f"redis: pushes from {self._server}", self._line.keep())
        elif self._link is not None:
            self._ask(self._link)

    def heard(self, push: list[Any]) -> None:
        """Pass a push on; one says that a channel has moved away."""
        if push[0] == b"sunsubscribe":
            self._forget(push[1])
            self._hearer.doubt()
        else:
            self._hearer.heard(push)

    def cut(self, reason: str) -> None:
        """Drop the connection; it is made again."""
        if self._link is not None:
            self._link.cut(reason)

    def close(self) -> None:
        """Be done with it."""
        if self._keeping is not None:
            self._keeping.cancel()
        self.cut("closed")

    def _made(self, link: Link) -> None:
        self._link = link
        self._observer.connected(self._server, "pushes")
        link.watch_over(("CLIENT", "TRACKINGINFO"), self._judge, self._gone)
        self._ask(link)

    def _missed(self, reason: str) -> None:
        self._observer.failed(self._server, reason)

    def _judge(self, told: object) -> str | None:
        """What is wrong with what the server says it tracks; one that may not be asked, or is too old, says nothing."""
        self.confirms = isinstance(told, dict) and not self._wishes.by_channel
        if not isinstance(told, dict) or self._wishes.by_channel:
            return None
        missing = {prefix.encode() for prefix in self.tracked}.difference(told[b"prefixes"])
        return "it tracks no more" if missing else None

    def _gone(self, reason: str) -> None:
        self._link = None
        self.confirms = False
        self._asked.clear()
        self._subscribed.clear()
        self.heard_channels.clear()
        self.tracked.clear()
        self._observer.failed(self._server, reason)
        self._hearer.tracking_changed()

    def _ask(self, link: Link) -> None:
        wishes = self._wishes
        if new := wishes.prefixes - self._asked:
            self._asked |= new
            self._track(link, new)
        for channel in wishes.channels - self._subscribed.keys():
            answer = link.ask_for_channel("SSUBSCRIBE" if wishes.sharded else "SUBSCRIBE", channel)
            self._subscribed[channel] = answer
            answer.add_done_callback(partial(self._subscribed_to, channel))
        for channel in self._subscribed.keys() - wishes.channels:
            self._forget(channel)
            answer = link.ask_for_channel("SUNSUBSCRIBE" if wishes.sharded else "UNSUBSCRIBE", channel)
            answer.add_done_callback(partial(self._subscribed_to, channel))

    def _track(self, link: Link, prefixes: frozenset[str]) -> None:
        if self._wishes.by_channel:
            for prefix in prefixes:
                answer = link.ask_for_channel("SUBSCRIBE", prefix)
                answer.add_done_callback(partial(self._tracks, link, {prefix}))
            return
        words = [word for prefix in sorted(prefixes) for word in ("PREFIX", prefix)]
        answer = link.ask("CLIENT", "TRACKING", "ON", "BCAST", *words)
        answer.add_done_callback(partial(self._tracks, link, prefixes))

    def _tracks(self, link: Link, prefixes: set[str] | frozenset[str], answer: "asyncio.Future[Any]") -> None:
        if answer.exception() is not None or link is not self._link:
            return
        if isinstance(answer.result(), ReplyError):
            self._complain(f"does not tell of changes: {answer.result()}")
            link.cut("tracking was refused")
            return
        self.tracked |= prefixes
        self._hearer.tracking_changed()

    def _forget(self, channel: bytes) -> None:
        self._subscribed.pop(channel, None)
        self.heard_channels.discard(channel)

    def _subscribed_to(self, channel: bytes, answer: "asyncio.Future[Any]") -> None:
        if answer.exception() is not None:
            return
        if not isinstance(answer.result(), ReplyError):
            if self._subscribed.get(channel) is answer:
                self.heard_channels.add(channel)
                self._hearer.subscribed(channel)
            return
        self._forget(channel)
        if str(answer.result()).startswith("MOVED"):
            self._hearer.doubt()
        else:
            self._complain(f"refuses a channel: {answer.result()}")

    def _complain(self, complaint: str) -> None:
        if complaint != self._complaint:
            self._complaint = complaint
            _LOG.warning("redis %s %s", self._server, complaint)
