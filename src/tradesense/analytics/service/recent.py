"""Studies of questions that were asked a moment ago: the pages of a dashboard are made of the same trades."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final, NamedTuple, Self

from tradesense.analytics.service.studies import NO_LABELS, Question, Study
from tradesense.http.authentication import UserId

MOST_TRADES: Final = 100_000
"""In all studies that are kept, the one that was asked for last apart: some 250 bytes each."""
IDLE_S: Final = 60.0
"""A study that nobody has asked for in so many seconds is dropped."""
_ITSELF: Final = 50
"""What a study takes up beside its trades, in trades."""


class Place(NamedTuple):
    """Whose study of what it is, seen from which zone; the question must not go by labels."""

    user: UserId
    question: Question
    timezone: str


class Made(NamedTuple):
    """A study, and the version that the last write had made which touched the ledger."""

    study: Study
    ledger_version: int

    def without_labels(self) -> Self:
        """The same, but for what may change without the ledger, and is large."""
        return self._replace(study=replace(self.study, labels=NO_LABELS))


class RecentStudies:
    """Keeps studies by their places, and lets one task make each; whether one still counts, its user finds out."""

    def __init__(self, *, most_trades: int = MOST_TRADES, idle_s: float = IDLE_S) -> None:
        self._most = most_trades
        self._idle_s = idle_s
        self._size = 0
        self._made: OrderedDict[Place, tuple[Made, float]] = OrderedDict()
        self._making: dict[Place, asyncio.Future[None]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._made)

    async def find(self, place: Place) -> Made | None:
        """The study that is kept there, once nobody is making it; who finds none may make it at once."""
        while (making := self._making.get(place)) is not None:
            await asyncio.wait([making])
        found = self._made.get(place)
        if found is None:
            return None
        self._made[place] = found[0], asyncio.get_running_loop().time()
        self._made.move_to_end(place)
        return found[0]

    async def make(self, place: Place, make: Callable[[], Awaitable[Made]]) -> Made:
        """Make the study and keep it. Who looks for it meanwhile waits for that, and makes it where this fails."""
        making = self._making[place] = asyncio.get_running_loop().create_future()
        try:
            made = await make()
            self._keep(place, made.without_labels())
        finally:
            del self._making[place]
            making.set_result(None)
        return made

    def drop(self, place: Place, made: Made) -> None:
        """Keep this one no longer, if it is still there."""
        if place in self._made and self._made[place][0] is made:
            self._forget(place)

    def _keep(self, place: Place, made: Made) -> None:
        loop = asyncio.get_running_loop()
        self._made[place] = made, loop.time()
        self._size += _size(made)
        while self._size > self._most and len(self._made) > 1:
            self._forget(next(iter(self._made)))
        if self._timer is None:
            self._timer = loop.call_later(self._idle_s, self._drop_idle)

    def _forget(self, place: Place) -> None:
        made, _ = self._made.pop(place)
        self._size -= _size(made)

    def _drop_idle(self) -> None:
        loop, self._timer = asyncio.get_running_loop(), None
        while self._made:
            place, (_, asked_at) = next(iter(self._made.items()))
            left = asked_at + self._idle_s - loop.time()
            if left > 0:
                self._timer = loop.call_later(left, self._drop_idle)
                return
            self._forget(place)


def _size(made: Made) -> int:
    return len(made.study.ledger) + _ITSELF
