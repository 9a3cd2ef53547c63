"""Those of this process who wait for a lock: in line, so that one at a time asks, and one subscription wakes them."""

import asyncio
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from keel.locks.contract import LockStore

SHORTEST_POLL_S: Final = 0.25
LONGEST_POLL_S: Final = 2.0
"""Between two questions that nothing but time gives rise to."""
LINGER_S: Final = 5.0
"""For how long a lock is listened to when nobody waits for it any more: whoever is next need not begin anew."""


class Line:
    """The waiting line of one lock. Who has the `turn` asks; `bell` rings when asking may be worth it."""

    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        self.bell = asyncio.Event()
        self.waiting = 0
        self.leave: Callable[[], None]
        self.end: asyncio.TimerHandle | None = None

    async def rung(self, ends_s: float, at_most_s: float) -> None:
        """Wait for the bell, at most until the lock's present lease ends, and not for too long without asking."""
        patience_s = min(ends_s, random.uniform(0.5, 1.0) * LONGEST_POLL_S) + random.uniform(0.001, 0.02)
        try:
            async with asyncio.timeout(min(max(patience_s, SHORTEST_POLL_S), at_most_s)):
                await self.bell.wait()
        except TimeoutError:
            return


class Lines:
    """The lines of all locks that somebody here waits for."""

    def __init__(self, store: LockStore) -> None:
        self._store = store
        self._lines: dict[str, Line] = {}

    def is_waited_for(self, name: str) -> bool:
        """Whether somebody here waits for it."""
        return name in self._lines and self._lines[name].waiting > 0

    @contextmanager
    def joining(self, name: str) -> Iterator[Line]:
        """Be one of those who wait."""
        line = self._lines.get(name) or self._begin(name)
        if line.end is not None:
            line.end.cancel()
            line.end = None
        line.waiting += 1
        try:
            yield line
        finally:
            line.waiting -= 1
            if not line.waiting:
                line.end = asyncio.get_running_loop().call_later(LINGER_S, self._end, name)

    def close(self) -> None:
        """Listen no more."""
        for name in list(self._lines):
            self._end(name)

    def _begin(self, name: str) -> Line:
        line = self._lines[name] = Line()
        line.leave = self._store.listen(name, line.bell.set)
        return line

    def _end(self, name: str) -> None:
        line = self._lines.pop(name, None)
        if line is not None:
            line.leave()
