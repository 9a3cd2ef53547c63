"""Events within this process."""

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from secrets import token_hex
from time import monotonic
from typing import Final

from keel.events.contract import (
    EPOCH_S,
    HISTORY,
    HISTORY_S,
    QUEUE_BYTES,
    REPEATED_S,
    BrokerWatcher,
    Notice,
    Place,
    Resumed,
)

SWEEP_S: Final = 10.0
MOST_RESUMED: Final = QUEUE_BYTES // 2
"""Bytes of a channel that are kept."""


@dataclass(slots=True)
class _Count:
    epoch: str = field(default_factory=lambda: token_hex(8))
    offset: int = 0
    history: deque[bytes] = field(default_factory=deque)
    history_bytes: int = 0
    sent: float = 0.0
    used: float = 0.0

    def keep(self, data: bytes, most: int) -> None:
        self.offset += 1
        self.history.append(data)
        self.history_bytes += len(data)
        while len(self.history) > most or self.history_bytes > MOST_RESUMED:
            self.history_bytes -= len(self.history.popleft())

    def forget(self) -> None:
        self.history.clear()
        self.history_bytes = 0


class MemoryBroker:
    """`Broker` for one process, which is never away."""

    available = True

    def __init__(self, *, history: int = HISTORY, history_s: float = HISTORY_S) -> None:
        self._history = history
        self._history_s = history_s
        self._counts: dict[str, _Count] = {}
        self._repeated: dict[tuple[str, str], tuple[float, Place]] = {}
        self._listeners: dict[str, list[Callable[[Notice], None]]] = {}
        self._present: dict[str, dict[str, str]] = {}
        self._swept = monotonic()

    async def publish(self, channel: str, data: bytes, idempotency_key: str | None) -> Place:
        """Count the message, remember it and send it."""
        now = monotonic()
        self._sweep(now)
        if idempotency_key is not None and (first := self._repeated.get((channel, idempotency_key))):
            return first[1]
        count = self._count(channel)
        if now - count.sent > self._history_s:
            count.forget()
        count.sent = now
        count.keep(data, self._history)
        place = Place(count.epoch, count.offset)
        if idempotency_key is not None:
            self._repeated[channel, idempotency_key] = (now, place)
        self._tell(channel, Notice(place, data))
        return place

    async def resume(self, channel: str, since: Place | None) -> Resumed:
        """Where the channel is, and what was sent since a place."""
        now = monotonic()
        self._sweep(now)
        count = self._count(channel)
        if now - count.sent > self._history_s:
            count.forget()
        place = Place(count.epoch, count.offset)
        if since is None:
            return Resumed(place, recovered=True, missed=[])
        behind = place.offset - since.offset
        if since.epoch != place.epoch or not 0 <= behind <= len(count.history):
            return Resumed(place, recovered=False, missed=[])
        return Resumed(place, recovered=True, missed=list(count.history)[len(count.history) - behind :])

    async def begin(self, channel: str) -> None:
        """Begin a new epoch, and tell everybody."""
        count = self._counts[channel] = _Count(used=monotonic())
        self._tell(channel, Notice(Place(count.epoch, 0), b""))

    def listen(self, channel: str, receive: Callable[[Notice], None], live: Callable[[], None]) -> Callable[[], None]:
        """Hand over what is published."""
        listeners = self._listeners.setdefault(channel, [])
        listeners.append(receive)
        asyncio.get_running_loop().call_soon(live)

        def stop() -> None:
            if receive in listeners:
                listeners.remove(receive)
                if not listeners:
                    del self._listeners[channel]

        return stop

    async def appear(self, channel: str, who: dict[str, str], at_most: int | None = None) -> bool:
        """Note who is there."""
        present = self._present.get(channel, {})
        both = {**present, **who}
        if at_most is not None and len(both) > at_most and len(both) > len(present):
            return False
        self._present[channel] = both
        return True

    async def disappear(self, channel: str, connection: str, member: str) -> None:  # noqa: ARG002 - a server needs it
        """Forget a connection."""
        present = self._present.get(channel, {})
        present.pop(connection, None)
        if not present:
            self._present.pop(channel, None)

    async def present(self, channel: str) -> list[str]:
        """The member of every connection that is there."""
        return list(Counter(self._present.get(channel, {}).values()).elements())

    def watch(self, watcher: BrokerWatcher) -> Callable[[], None]:
        """It is there already, and never goes."""
        watcher.came()
        return lambda: None

    def _count(self, channel: str) -> _Count:
        count = self._counts.get(channel)
        if count is None:
            count = self._counts[channel] = _Count()
        count.used = monotonic()
        return count

    def _tell(self, channel: str, notice: Notice) -> None:
        for receive in list(self._listeners.get(channel, ())):
            receive(notice)

    def _sweep(self, now: float) -> None:
        if now - self._swept < SWEEP_S:
            return
        self._swept = now
        self._counts = {name: each for name, each in self._counts.items() if now - each.used < EPOCH_S}
        self._repeated = {key: each for key, each in self._repeated.items() if now - each[0] < REPEATED_S}
        for count in self._counts.values():
            if now - count.sent > self._history_s:
                count.forget()
