"""Redis as the other parts know it, over the servers behind one URL."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, Literal

from keel.context import current_budget
from keel.redis.audience import Audience, told
from keel.redis.contract import Argument, RedisUnavailable, Reply, Script, Tracker, Waiter, Watcher
from keel.redis.link import packed
from keel.redis.node import FULL_WAIT_S
from keel.redis.observer import State
from keel.redis.router import Call, Router, slot_of

CALL_S: Final = FULL_WAIT_S
"""How long a call waits unless it says otherwise."""


class Client:
    """Implements `keel.redis.contract.Redis`."""

    def __init__(self, *, is_cluster: bool) -> None:
        self.is_cluster = is_cluster
        self.router: Router
        self._loop = asyncio.get_running_loop()
        self._audience = Audience(self._wishes_changed)
        self._watchers: list[Watcher] = []
        self._up = False
        self._identity = ""

    @property
    def available(self) -> bool:
        """Whether every master can be reached."""
        return self._up

    @property
    def tracking_mode(self) -> Literal["tracking", "channel"]:
        """How trackers hear."""
        return "tracking" if self.router.tracks else "channel"

    @property
    def confirms_tracking(self) -> bool:
        """Whether trackers are told of a server that tracks no more."""
        return self.router.confirms_tracking

    def call(
        self, *command: Argument, key: str | bytes | None = None, timeout_s: float | None = None
    ) -> Awaitable[Reply]:
        """Send one command to the master of `key`."""
        if key is None and len(command) > 1:
            return self._call(command, command[1], timeout_s)
        return self._call(command, key, timeout_s)

    def run(
        self,
        script: Script,
        keys: Sequence[str | bytes],
        args: Sequence[Argument] = (),
        *,
        timeout_s: float | None = None,
    ) -> Awaitable[Reply]:
        """Run a script, by its digest first."""
        rest = (len(keys), *keys, *args)
        return self._call(
            ("EVALSHA", script.sha1, *rest), keys[0] if keys else None, timeout_s, instead=("EVAL", script.text, *rest)
        )

    def read_many(
        self, keys: Sequence[str | bytes], *, timeout_s: float | None = None
    ) -> Awaitable[list[bytes | None]]:
        """The values of `keys`, in their order."""
        if not keys:
            nothing: asyncio.Future[list[bytes | None]] = self._loop.create_future()
            nothing.set_result([])
            return nothing
        if not self.is_cluster:
            return self._call(("MGET", *keys), keys[0], timeout_s)
        return self._read_slots(keys, timeout_s)

    def read_at_once(self, keys: Sequence[str | bytes], waiter: Waiter) -> None:
        """Hand the values of `keys` to `waiter`; there must be keys, and no cluster."""
        self._send(waiter, packed("MGET", *keys), keys[0], CALL_S)
        self.router.flush(keys[0])

    def watch(self, watcher: Watcher) -> Callable[[], None]:
        """Tell `watcher` when Redis comes and goes."""
        self._watchers.append(watcher)
        if self._up:
            told(watcher.went_up, self._identity)

        def stop() -> None:
            if watcher in self._watchers:
                self._watchers.remove(watcher)

        return stop

    def track(self, prefix: str, tracker: Tracker) -> Callable[[], None]:
        """Tell `tracker` of changes under `prefix`."""
        stop = self._audience.track(prefix, tracker)
        self._loop.call_soon(self.tracking_changed)
        return stop

    def subscribe(
        self, channel: str, receive: Callable[[bytes], None], live: Callable[[], None] | None = None
    ) -> Callable[[], None]:
        """Hand the messages of `channel` to `receive`."""
        stop = self._audience.subscribe(channel, receive, live)
        if live is not None and self.router.hears(channel.encode()):
            self._loop.call_soon(told, live)
        return stop

    def servers_changed(self, *, anew: bool) -> None:
        """A server came or went: ask it for pushes, and tell the watchers what it means."""
        self._wishes_changed()
        state = self.router.state
        if state is State.UP:
            identity = self.router.identity
            if anew or not self._up or identity != self._identity:
                self._up, self._identity = True, identity
                for watcher in list(self._watchers):
                    told(watcher.went_up, identity)
        elif state is State.DOWN and self._up:
            self._up = False
            for watcher in list(self._watchers):
                told(watcher.went_down)
        self.tracking_changed()

    def heard(self, push: list[Any]) -> None:
        """A push of a server's."""
        self._audience.heard(push)

    def subscribed(self, channel: bytes) -> None:
        """A server has begun to send a channel's messages."""
        self._audience.subscribed(channel)

    def tracking_changed(self) -> None:
        """Servers track more or less."""
        self._audience.reckon(self.router.is_tracked)

    def doubt(self) -> None:
        """The router looks for itself."""

    def close(self) -> None:
        """Be done with all servers; whoever waits is told that Redis is away."""
        self._up = False
        self.router.close()

    def _wishes_changed(self) -> None:
        self.router.wish(self._audience.prefixes, self._audience.channels)

    def _call(
        self,
        command: tuple[Argument, ...],
        key: Argument | None,
        timeout_s: float | None,
        instead: tuple[Argument, ...] | None = None,
    ) -> "asyncio.Future[Any]":
        future: asyncio.Future[Any] = self._loop.create_future()
        written = packed(*command)
        allowed_s = CALL_S if timeout_s is None else timeout_s
        budget = current_budget()
        if budget is not None:
            allowed_s = min(allowed_s, budget.left_s)
            if allowed_s <= 0:
                future.set_exception(RedisUnavailable("the request has waited for it long enough"))
                return future
            budget.begin()
            future.add_done_callback(budget.end)
        self._send(future, written, key, allowed_s, instead)
        return future

    def _send(
        self,
        waiter: Waiter,
        written: bytes,
        key: Argument | None,
        allowed_s: float,
        instead: tuple[Argument, ...] | None = None,
    ) -> None:
        call = Call(waiter, written, time.monotonic() + allowed_s)
        call.patient = allowed_s >= FULL_WAIT_S
        call.router = self.router
        call.key = key
        call.hops = 0
        call.instead = instead
        self.router.send(call)

    async def _read_slots(self, keys: Sequence[str | bytes], timeout_s: float | None) -> list[bytes | None]:
        places: defaultdict[int, list[int]] = defaultdict(list)
        for place, key in enumerate(keys):
            places[slot_of(key)].append(place)
        found: list[bytes | None] = [None] * len(keys)
        calls = [self._call(("MGET", *[keys[i] for i in its]), keys[its[0]], timeout_s) for its in places.values()]
        for its, values in zip(places.values(), await asyncio.gather(*calls), strict=True):
            for place, value in zip(its, values, strict=True):
                found[place] = value
        return found
