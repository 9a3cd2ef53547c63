"""What happens to locks, for whoever keeps count of it."""

from enum import StrEnum
from typing import Protocol


class Outcome(StrEnum):
    """What became of asking for a lock."""

    ACQUIRED = "acquired"
    REFUSED = "refused"
    """Somebody else had it for as long as there was time to wait."""
    UNAVAILABLE = "unavailable"
    """Who has it cannot be found out."""


class Observer(Protocol):
    """Is told, in the loop; it must not wait, nor raise."""

    def asked(self, name: str, outcome: Outcome, waited_s: float) -> None:
        """A lock was asked for, and this became of it after so many seconds."""

    def released(self, name: str, held_s: float) -> None:
        """A lease ended with the block that held it, lost or not."""

    def lost(self, name: str, reason: str) -> None:
        """A lease ended before the work did."""


class NullObserver:
    """Keeps count of nothing."""

    def asked(self, name: str, outcome: Outcome, waited_s: float) -> None:
        """Nothing."""

    def released(self, name: str, held_s: float) -> None:
        """Nothing."""

    def lost(self, name: str, reason: str) -> None:
        """Nothing."""
