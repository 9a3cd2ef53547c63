"""What the other parts know of Redis: calls, scripts, and being told when it comes, goes and changes.

Keys, channels and replies are bytes; nothing is ever decoded.
"""

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Literal, Protocol, Self, TypeAlias

from keel.errors import Unavailable

Argument = bytes | str | int
"""What a command is made of; text is sent as UTF-8."""

Reply: TypeAlias = "bytes | int | float | list[Reply] | dict[bytes, Reply] | None"
"""What a server answers, by RESP3: text of any kind is bytes, a map a dict, a truth value a bool."""


class RedisUnavailable(Unavailable):
    """Redis is away: breaker open, timeout, connection cut, budget spent, a replica where a master was.

    Whether the command was carried out is not known. `reason` is for a log: it may name a host, never a secret.
    """

    def __init__(self, reason: str = "") -> None:
        super().__init__("Redis is away.")
        self.reason = reason

    def __str__(self) -> str:
        return f"Redis is away: {self.reason}" if self.reason else self.detail


class CommandRefused(Exception):
    """The server answered with an error. `code` is its first word: `OOM`, `WRONGTYPE`, `NOPERM`, `ERR`."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.code = message.partition(" ")[0]


@dataclass(frozen=True, slots=True)
class Script:
    """A Lua script and the digest that the server knows it by."""

    text: str
    sha1: str

    @classmethod
    def load(cls, package: str, name: str) -> Self:
        """The script in the file `name`, which lies in `package` beside the code that runs it."""
        text = files(package).joinpath(name).read_text("utf-8")
        return cls(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


class Watcher(Protocol):
    """Is told, in the loop, when Redis comes and goes. It must not wait, nor raise."""

    def went_up(self, identity: str) -> None:
        """Every master can be reached: for the first time, again, or anew after a cut that was mended at once.

        The latter comes without a `went_down` before it, and what was under way at the cut has failed. `identity` is a
        fingerprint of the masters' run ids (and of who serves which slots): the same again means that the same
        incarnations of the same servers are there.
        """

    def went_down(self) -> None:
        """A master is away; told once, until it `went_up` again."""


class Tracker(Protocol):
    """Is told, in the loop, which keys under a prefix change. It must not wait, nor raise.

    It begins in a gap: nothing may be relied upon before the first `live`.
    """

    def changed(self, keys: list[bytes] | None) -> None:
        """These keys were written, deleted, expired or evicted, by whomever. None: everything (`FLUSHALL`)."""

    def lost(self) -> None:
        """A gap begins: nothing heard from here on may be relied upon. Told once, until it is `live` again."""

    def live(self) -> None:
        """Every master is tracked: what is read from now on is told of when it changes."""


class Waiter(Protocol):
    """Whoever waits for a reply: a future, or whoever has reasons to be none.

    Told as soon as the reply is read, before anything else the loop does; it must not raise.
    """

    def done(self) -> bool:
        """Whether it has been told, or waits no more."""

    def set_result(self, result: Any, /) -> None:  # noqa: ANN401 - a reply is anything
        """Here is the reply."""

    def set_exception(self, exception: Exception, /) -> None:
        """There is none."""


class Redis(Protocol):
    """A server, or several, behind one URL.

    Calls made in one tick of the loop travel together, in one write per server. A call waits at most `timeout_s`
    seconds (0.15 unless given), and at most what the request's `keel.context.Budget` has left. Whoever gives up on a
    call, by timeout or cancellation, disturbs no other; the command may be carried out all the same. Awaiting a call
    raises `RedisUnavailable`, at once where Redis is known to be away, or `CommandRefused`.
    """

    @property
    def is_cluster(self) -> bool:
        """Whether keys of one call must share a slot."""

    @property
    def tracking_mode(self) -> Literal["tracking", "channel"]:
        """How trackers hear: `channel` where the server refuses `CLIENT TRACKING`.

        Then whoever changes a key under a tracked prefix must PUBLISH its name on the channel named as the prefix (an
        empty message: everything), and a `FLUSHALL` is not heard. Known before Redis is first available.
        """

    @property
    def confirms_tracking(self) -> bool:
        """Whether every master is asked again and again what it tracks, so that one that stops is a gap at once."""

    @property
    def available(self) -> bool:
        """Whether every master can be reached. Where not, calls to one that cannot fail at once."""

    def call(
        self, *command: Argument, key: str | bytes | None = None, timeout_s: float | None = None
    ) -> Awaitable[Reply]:
        """Send one command to the master of `key`, on a cluster; by default that is the command's first argument.

        Neither a command that blocks (BLPOP) nor one that changes the connection (MULTI, SUBSCRIBE) may be sent.
        """

    def run(
        self,
        script: Script,
        keys: Sequence[str | bytes],
        args: Sequence[Argument] = (),
        *,
        timeout_s: float | None = None,
    ) -> Awaitable[Reply]:
        """Run a script; one that the server has forgotten is loaded again unseen. All keys are of one slot."""

    def read_many(
        self, keys: Sequence[str | bytes], *, timeout_s: float | None = None
    ) -> Awaitable[list[bytes | None]]:
        """The values of `keys`, in their order, None where absent: one MGET, or one per slot, travelling together."""

    def read_at_once(self, keys: Sequence[str | bytes], waiter: Waiter) -> None:
        """`read_many` for who has gathered what many ask for, where all keys may be asked for in one MGET.

        It is sent now, with whatever else this tick has asked for, and is nobody's in particular: no budget counts.
        """

    def watch(self, watcher: Watcher) -> Callable[[], None]:
        """Tell `watcher` when Redis comes and goes, and at once where it is there already; returns how to stop."""

    def track(self, prefix: str, tracker: Tracker) -> Callable[[], None]:
        """Tell `tracker` of changes to keys under `prefix` on every master; returns how to stop.

        Raises ValueError where `prefix` overlaps another one that is tracked, without being the same.
        """

    def subscribe(
        self, channel: str, receive: Callable[[bytes], None], live: Callable[[], None] | None = None
    ) -> Callable[[], None]:
        """Hand the messages of `channel` to `receive` as they come; returns how to stop.

        On a cluster the channel is sharded (`SPUBLISH`). Messages sent while the connection is away are lost: `live` is
        called when the server has begun to send, the first time and after every gap, and what is sent later is heard.
        """
