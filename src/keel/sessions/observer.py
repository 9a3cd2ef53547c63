"""What happens to sessions, for whoever keeps count of it."""

from typing import Protocol


class Observer(Protocol):
    """Is told, in the loop; it must not wait, nor raise."""

    def began(self) -> None:
        """Somebody logged in."""

    def ended(self, count: int) -> None:
        """So many were ended on purpose."""

    def read(self, *, in_memory: bool) -> None:
        """A session was asked for by its token, and known: from memory, or from where sessions are kept."""

    def refused(self, reason: str) -> None:
        """A token was refused; `reason` is the code of the refusal."""


class NullObserver:
    """Keeps count of nothing."""

    def began(self) -> None:
        """Nothing."""

    def ended(self, count: int) -> None:
        """Nothing."""

    def read(self, *, in_memory: bool) -> None:
        """Nothing."""

    def refused(self, reason: str) -> None:
        """Nothing."""
