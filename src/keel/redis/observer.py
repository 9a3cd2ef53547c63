"""What happens on the way to Redis, for whoever keeps count of it."""

from enum import StrEnum
from typing import Literal, Protocol


class State(StrEnum):
    """How a server stands, and so its circuit breaker."""

    MENDING = "mending"
    """Being connected to, for a moment: calls are held (half open)."""
    UP = "up"
    """Answering (closed)."""
    DOWN = "down"
    """Away: calls fail at once, and it is tried in the background (open)."""


class Observer(Protocol):
    """Is told, in the loop; it must not wait, nor raise. `server` is host and port, never with a secret in it."""

    def state_changed(self, server: str, state: State, reason: str) -> None:
        """A server came or went; `reason` says why, in words fit for a log."""

    def connected(self, server: str, purpose: Literal["commands", "pushes"]) -> None:
        """A connection was made, or made again."""

    def failed(self, server: str, reason: str) -> None:
        """Connecting failed, or a connection was cut."""

    def timed_out(self, server: str, calls: int) -> None:
        """So many calls had no answer in time."""


class NullObserver:
    """Keeps count of nothing."""

    def state_changed(self, server: str, state: State, reason: str) -> None:
        """Nothing."""

    def connected(self, server: str, purpose: Literal["commands", "pushes"]) -> None:
        """Nothing."""

    def failed(self, server: str, reason: str) -> None:
        """Nothing."""

    def timed_out(self, server: str, calls: int) -> None:
        """Nothing."""
