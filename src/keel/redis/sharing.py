"""What all instances share, and what each knows by itself, for as long as that is away."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from keel.context import budget
from keel.errors import NotFound, Unavailable
from keel.redis.contract import CommandRefused

Place = TypeVar("Place")
Answer = TypeVar("Answer")


class NotKnownHere(Unavailable):
    """What all instances share is away, and this instance alone knows nothing of it."""

    def __init__(self) -> None:
        super().__init__("What all instances share is away, and this one knows of no such thing by itself.")


async def shared_or_here(shared: Place, here: Place, ask: Callable[[Place], Awaitable[Answer]]) -> Answer:
    """What is shared is asked or, where that is away, what is known here; raises NotKnownHere for what is not there."""
    with budget(None):  # each call is bounded by itself, and none is waited for once it is known to be away
        try:
            return await ask(shared)
        except (Unavailable, CommandRefused):
            if shared is here:
                raise
        try:
            return await ask(here)
        except NotFound:
            raise NotKnownHere from None
