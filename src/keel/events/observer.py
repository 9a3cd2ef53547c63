"""What happens to events, for whoever keeps count of it."""

from typing import Protocol

from keel.events.contract import Closing


class Observer(Protocol):
    """Is told, in the loop; it must not wait, nor raise."""

    def published(self, channel: str, *, shared: bool) -> None:
        """A message was sent; where it is not `shared`, to the subscribers in this process alone."""

    def opened(self, channel: str) -> None:
        """A stream began."""

    def closed(self, channel: str, reason: Closing | None) -> None:
        """A stream ended: closed by this side for a `reason`, or left by its reader."""


class NullObserver:
    """Keeps count of nothing."""

    def published(self, channel: str, *, shared: bool) -> None:
        """Nothing."""

    def opened(self, channel: str) -> None:
        """Nothing."""

    def closed(self, channel: str, reason: Closing | None) -> None:
        """Nothing."""
