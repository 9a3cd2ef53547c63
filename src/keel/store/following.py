"""Lines as they come, of all instances; while what they share is away, of this one."""

from typing import Literal

from keel.errors import Unavailable
from keel.redis.contract import CommandRefused
from keel.store.contract import Store


class Following:
    """Follows lines from now on. It does not wait for any, and no outage ends it."""

    def __init__(self, shared: Store, here: Store) -> None:
        self.scope: Literal["instance", "shared"] = shared.scope
        """Whose lines those were that came last."""
        self._shared = shared
        self._here = here
        self._place: str | None = None
        self._place_here: str | None = None
        self._is_away = False

    async def more(self, limit: int) -> list[bytes]:
        """Lines that came since it was asked last, `limit` at most, as JSON, the oldest first."""
        try:
            self._place, lines = await self._shared.lines(self._place, limit)
        except (Unavailable, CommandRefused):
            self._place, self._is_away, self.scope = None, True, self._here.scope
            return await self._of_here(limit)
        if self._is_away:  # from now on those of all: what was said here until now has not all been sent
            self._is_away, self.scope = False, self._shared.scope
            return await self._of_here(limit)
        self._place_here, _ = await self._here.lines(None, 1)
        return lines

    async def _of_here(self, limit: int) -> list[bytes]:
        self._place_here, lines = await self._here.lines(self._place_here, limit)
        return lines
