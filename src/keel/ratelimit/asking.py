"""Who asks, as far as limits are concerned, and what was decided on their way: known for the length of one request."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final

from keel.ratelimit.contract import UTC, Decision


@dataclass(frozen=True, slots=True)
class Asker:
    """Somebody known. `subject` is who is counted (`user:42`), `tier` by which rules, `zone` whose calendar."""

    subject: str
    tier: str = ""
    zone: str = UTC


@dataclass(slots=True)
class Asking:
    """One request: from which address, by whom if that is known, and the decisions made so far."""

    address: str = ""
    asker: Asker | None = None
    decisions: list[Decision] = field(default_factory=list)

    @property
    def subject(self) -> str:
        """Who is counted: whoever is known, else the address."""
        return self.asker.subject if self.asker is not None else f"ip:{self.address}"


_asking: Final[ContextVar[Asking | None]] = ContextVar("asking", default=None)


@contextmanager
def asking(request: Asking) -> Iterator[Asking]:
    """Do what is inside for this request."""
    token = _asking.set(request)
    try:
        yield request
    finally:
        _asking.reset(token)


def current_asking() -> Asking | None:
    """The request that this is done for; None where there is none."""
    return _asking.get()
