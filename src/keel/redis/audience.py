"""Who wants to hear of changes and messages, and the passing on of both."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from keel.redis.contract import Tracker

_LOG: Final = logging.getLogger(__name__)
_Name = TypeVar("_Name")
_Member = TypeVar("_Member")


@dataclass(eq=False, slots=True)
class _Listener:
    tracker: Tracker
    is_live: bool = False


@dataclass(eq=False, frozen=True, slots=True)
class _Receiver:
    receive: Callable[[bytes], None]
    live: Callable[[], None] | None


class Audience:
    """The trackers and receivers of one `Redis`. `changed` is called when there is a first or no more of a kind."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._listeners: dict[str, list[_Listener]] = {}
        self._receivers: dict[bytes, list[_Receiver]] = {}

    @property
    def prefixes(self) -> frozenset[str]:
        """What is tracked."""
        return frozenset(self._listeners)

    @property
    def channels(self) -> frozenset[bytes]:
        """What is subscribed to."""
        return frozenset(self._receivers)

    def track(self, prefix: str, tracker: Tracker) -> Callable[[], None]:
        """Add a tracker; returns how to remove it. Raises ValueError where the prefix overlaps another."""
        for other in self._listeners:
            if other != prefix and (other.startswith(prefix) or prefix.startswith(other)):
                raise ValueError(f"the prefix {prefix!r} overlaps {other!r}, which is tracked")
        listener = _Listener(tracker)
        return self._join(self._listeners, prefix, listener)

    def subscribe(
        self, channel: str, receive: Callable[[bytes], None], live: Callable[[], None] | None
    ) -> Callable[[], None]:
        """Add a receiver; returns how to remove it."""
        return self._join(self._receivers, channel.encode(), _Receiver(receive, live))

    def subscribed(self, channel: bytes) -> None:
        """A channel's messages are heard from now on."""
        for receiver in list(self._receivers.get(channel, ())):
            if receiver.live is not None:
                told(receiver.live)

    def heard(self, push: list[Any]) -> None:
        """Pass on what a server sent."""
        match push:
            case [b"invalidate", keys]:
                self._pass_on_changes(keys)
            case [b"message" | b"smessage", channel, payload]:
                self._pass_on_message(channel, payload)

    def reckon(self, is_tracked: Callable[[str], bool]) -> None:
        """Tell trackers that are live and are not tracked, or the other way round."""
        for prefix, listeners in list(self._listeners.items()):
            live = is_tracked(prefix)
            for listener in list(listeners):
                if listener.is_live is not live:
                    listener.is_live = live
                    told(listener.tracker.live if live else listener.tracker.lost)

    def _join(self, groups: dict[_Name, list[_Member]], name: _Name, member: _Member) -> Callable[[], None]:
        groups.setdefault(name, []).append(member)
        self._changed()

        def leave() -> None:
            members = groups.get(name, [])
            if member in members:
                members.remove(member)
                if not members:
                    del groups[name]
                    self._changed()

        return leave

    def _pass_on_changes(self, keys: list[bytes] | None) -> None:
        for prefix, listeners in list(self._listeners.items()):
            mine = None if keys is None else [key for key in keys if key.startswith(prefix.encode())]
            if mine is None or mine:
                for listener in list(listeners):
                    told(listener.tracker.changed, mine)

    def _pass_on_message(self, channel: bytes, payload: bytes) -> None:
        for receiver in list(self._receivers.get(channel, ())):
            told(receiver.receive, payload)
        for listener in list(self._listeners.get(channel.decode("utf-8", "replace"), ())):
            told(listener.tracker.changed, [payload] if payload else None)


def told(callback: Callable[..., None], *what: object) -> None:
    """Tell somebody, who must not raise; if he does, the others are told all the same."""
    try:
        callback(*what)
    except Exception:  # noqa: BLE001 - a caller's; it is logged
        _LOG.exception("whoever was told of Redis raised")
