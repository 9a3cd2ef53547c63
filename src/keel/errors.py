"""Refusals: the conditions that a caller can act on, named by their class and carrying the data to act with."""

import re
from datetime import timedelta
from typing import ClassVar

_WORDS = re.compile(r"(?<!^)(?=[A-Z])")


class Refusal(Exception):
    """An expected no. Subclass one of the kinds below and the way out, HTTP or a terminal, knows what to make of it.

    `code` is a stable name for programs (the class's name in snake case unless given), `detail` a sentence for people
    that names nothing secret, `retry_after` when to ask again.
    """

    code: ClassVar[str] = "refusal"

    def __init__(self, detail: str, *, retry_after: timedelta | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after = retry_after

    def __init_subclass__(cls) -> None:
        """Derive the code from the name."""
        if "code" not in cls.__dict__:
            cls.code = _WORDS.sub("_", cls.__name__).lower()


class Malformed(Refusal):
    """What was sent cannot be read at all."""


class NotAuthenticated(Refusal):
    """Nobody is known to be asking, or no longer."""


class Forbidden(Refusal):
    """Who asks may not have it, however often they ask."""


class NotFound(Refusal):
    """There is no such thing, or none that the asker may know of."""


class Conflict(Refusal):
    """It does not fit what is there now."""


class Stale(Refusal):
    """It was meant for a version that is no longer the current one."""


class TooLarge(Refusal):
    """It is larger than the limit, which the detail names."""


class Invalid(Refusal):
    """It can be read, but a value in it cannot be. `loc` is the path to the value."""

    def __init__(self, detail: str, *, loc: tuple[str | int, ...] = ()) -> None:
        super().__init__(detail)
        self.loc = loc


class RateLimited(Refusal):
    """Too often; `retry_after` says when again."""


class Unavailable(Refusal):
    """Not now: something that is needed is away or too busy."""
