"""Lines as they come, of all instances; while what they share is away, of this one."""

from typing import Literal

from keel.errors import Unavailable
from keel.redis.contract import CommandRefused
from keel.store.contract import MOST_LINES, Store


class Following:
    """Follows lines from now on. It does not wait for any, and no outage ends it.

    This instance's own are read here, so that none depends on what is shared; there, only those of the others.
    """

    def __init__(self, shared: Store, here: Store) -> None:
        self.scope: Literal["instance", "shared"] = shared.scope
        """Whose lines those were that came last."""
        self._shared = shared
        self._here = here
        self._place: str | None = None
        self._place_here: str | None = None
        self._own: dict[bytes, None] = {}
        """This instance's latest, which are known by themselves among those of all."""

    async def more(self, limit: int) -> list[bytes]:
        """Lines that came since it was asked last, as JSON: this instance's, then `limit` at most of the others.

        In an outage others may lose lines that nobody sees: that is told by `scope`.
        """
        if self._place_here is None:
            self._place_here, _ = await self._here.lines(None, 1)
        lines = await self._of_all(limit)  # first, as what is there is here already
        self._place_here, own = await self._here.lines(self._place_here, MOST_LINES)
        self._own |= dict.fromkeys(own)
        others = [line for line in lines if line not in self._own]
        while len(self._own) > 2 * MOST_LINES:
            del self._own[next(iter(self._own))]
        return own + others

    async def _of_all(self, limit: int) -> list[bytes]:
        try:
            self._place, lines = await self._shared.lines(self._place, limit)
        except (Unavailable, CommandRefused):
            self.scope = self._here.scope
            return []
        self.scope = self._shared.scope
        return lines
