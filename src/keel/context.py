"""Who asks, and how long it may take: what is known for the length of one request."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final
from uuid import UUID

Principal = UUID | str | int
"""Who asks, by the product's own id."""

REQUEST_BUDGET_S: Final = 0.15
"""What a request spends on Redis in all, unless it says otherwise."""

_principal: Final[ContextVar[Principal | None]] = ContextVar("principal", default=None)
_budget: "Final[ContextVar[Budget | None]]" = ContextVar("budget", default=None)


@contextmanager
def principal(user_id: Principal) -> Iterator[None]:
    """Do what is inside in the name of `user_id`."""
    token = _principal.set(user_id)
    try:
        yield
    finally:
        _principal.reset(token)


def act_as(user_id: Principal) -> None:
    """Do what follows in this task, a request's for instance, in the name of `user_id`."""
    _principal.set(user_id)


def current_principal() -> Principal | None:
    """In whose name this is done; None where nobody is known to ask."""
    return _principal.get()


class Budget:
    """How long one request may still wait for Redis, in seconds.

    Waits that overlap count once: what is spent is the time during which anything of the request was waiting.
    """

    __slots__ = ("_left_s", "_since", "_waiting")

    def __init__(self, left_s: float = REQUEST_BUDGET_S) -> None:
        self._left_s = left_s
        self._waiting = 0
        self._since = 0.0

    @property
    def left_s(self) -> float:
        """What is left, never less than nothing."""
        spent = time.monotonic() - self._since if self._waiting else 0.0
        return max(self._left_s - spent, 0.0)

    def begin(self) -> None:
        """A wait begins; each must end."""
        if not self._waiting:
            self._since = time.monotonic()
        self._waiting += 1

    def end(self, _of: object = None) -> None:
        """A wait is over (fit to be a future's callback)."""
        self._waiting -= 1
        if not self._waiting:
            self._left_s -= time.monotonic() - self._since


@contextmanager
def budget(left_s: float | None = REQUEST_BUDGET_S) -> Iterator[Budget | None]:
    """Let what is inside wait `left_s` seconds for Redis in all; None: as long as each call allows.

    Tasks that start inside share it, so work that outlives the request begins with `budget(None)`.
    """
    opened = None if left_s is None else Budget(left_s)
    token = _budget.set(opened)
    try:
        yield opened
    finally:
        _budget.reset(token)


def current_budget() -> Budget | None:
    """The budget that waits are taken from; None where there is none."""
    return _budget.get()
