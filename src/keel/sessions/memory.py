"""Sessions in this process: copies of those in use, kept coherent by whoever owns them; and a store that is no more."""

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Final, NamedTuple

from keel.clock import Clock
from keel.ids import uuid7
from keel.sessions.contract import Kept, Lifetimes, SessionExpired, SessionUnknown, Subject

MOST: Final = 20_000
"""Copies that are kept; some 1 kB each, the least used go."""


class Copy(NamedTuple):
    """A copy, and when its session was last used as far as the store behind knows."""

    kept: Kept
    noted: Kept


class LocalCopies:
    """Copies of sessions in memory.

    `stamp` moves with everything that is forgotten: a session is kept only if nothing was since before it was read, so
    that an end which overtakes a reply is not undone by it. Nothing is kept or found while they are not `trusted`.
    """

    def __init__(self, most: int = MOST) -> None:
        self.stamp = 0
        self._most = most
        self._trusted = True
        self._copies = OrderedDict[bytes, Copy]()
        self._doubts = defaultdict[bytes, list[Callable[[], None]]](list)

    @property
    def trusted(self) -> bool:
        """Whether everything that ends is heard of."""
        return self._trusted

    def trust(self, *, trusted: bool) -> None:
        """From now on, everything that ends is heard of, or not."""
        self._trusted = trusted
        self.forget_all()

    def find(self, token_hash: bytes) -> Copy | None:
        """The copy of a session."""
        copy = self._copies.get(token_hash)
        if copy is not None:
            self._copies.move_to_end(token_hash)
        return copy

    def keep(self, kept: Kept, stamp: int, noted: Kept | None = None) -> None:
        """Keep what the store behind gave, which was asked when `stamp` was this.

        Where more is known of its use, `noted` is what the store gave.
        """
        if self._trusted and stamp == self.stamp:
            self._copies[kept.token_hash] = Copy(kept, noted or kept)
            if len(self._copies) > self._most:
                self._copies.popitem(last=False)

    def note(self, copy: Copy, kept: Kept) -> None:
        """Note a use of which the store behind knows nothing."""
        if self._copies.get(kept.token_hash) is copy:
            self._copies[kept.token_hash] = Copy(kept, copy.noted)

    def forget(self, hashes: Collection[bytes]) -> None:
        """These tokens have ended."""
        if hashes:
            self.stamp += 1
        for each in hashes:
            self._copies.pop(each, None)
            for doubt in list(self._doubts.get(each, ())):
                doubt()

    def forget_all(self) -> None:
        """Any may have ended."""
        self.stamp += 1
        self._copies.clear()
        self.forget(list(self._doubts))

    def watch(self, token_hash: bytes, doubt: Callable[[], None]) -> Callable[[], None]:
        """Call `doubt` whenever the token may have ended; returns how to stop."""
        self._doubts[token_hash].append(doubt)

        def stop() -> None:
            doubts = self._doubts.get(token_hash, [])
            if doubt in doubts:
                doubts.remove(doubt)
            if not doubts:
                self._doubts.pop(token_hash, None)

        return stop


class MemorySessions:
    """`DurableSessions` that live as long as the process; `forget` hears of tokens that have ended."""

    def __init__(self, clock: Clock, lifetimes: Lifetimes, forget: Callable[[Collection[bytes]], None]) -> None:
        self._clock = clock
        self._lifetimes = lifetimes
        self._forget = forget
        self._sessions: dict[bytes, Kept] = {}
        self._ended: dict[bytes, Kept] = {}

    async def add(self, token_hash: bytes, user_id: Subject, data: Mapping[str, str]) -> Kept:
        """Keep a new session."""
        self._forget_what_is_over()
        kept = Kept.begun(token_hash, str(uuid7()), str(user_id), dict(data), self._lifetimes, self._clock.now())
        others = await self.of_user(user_id)
        self._end(others[self._lifetimes.per_user - 1 :])
        self._sessions[token_hash] = kept
        return kept

    async def find(self, token_hash: bytes) -> Kept:
        """The session of a token."""
        now = self._clock.now()
        kept = self._sessions.get(token_hash)
        if kept is None and token_hash not in self._ended:
            raise SessionUnknown
        if kept is None or kept.is_over(now):
            raise SessionExpired
        return replace(kept, checked_at=now)

    async def use(self, token_hash: bytes) -> Kept:
        """As `find`, and note the use."""
        kept = await self.find(token_hash)
        if kept.checked_at - kept.session.last_seen_at >= self._lifetimes.check:
            kept = kept.used(kept.checked_at, self._lifetimes)
            self._sessions[token_hash] = kept
        return kept

    async def rotate(self, old: bytes, new: bytes) -> Kept:
        """Let the session have another token."""
        kept = self._sessions.get(old)
        if kept is None or kept.is_over(self._clock.now()):
            raise SessionUnknown
        del self._sessions[old]
        self._sessions[new] = replace(kept, token_hash=new)
        self._forget([old])
        return self._sessions[new]

    async def end(self, user_id: Subject, *, only: str | None = None, but: str | None = None) -> int:
        """End the user's sessions."""
        return self._end(chosen(await self.of_user(user_id), only, but))

    def _end(self, ending: Collection[Kept]) -> int:
        for each in ending:
            self._ended[each.token_hash] = self._sessions.pop(each.token_hash)
        self._forget([each.token_hash for each in ending])
        return len(ending)

    async def of_user(self, user_id: Subject) -> list[Kept]:
        """The user's living sessions, newest use first."""
        now, user = self._clock.now(), str(user_id)
        living = [each for each in self._sessions.values() if each.session.user_id == user and not each.is_over(now)]
        return newest_first(living)

    def _forget_what_is_over(self) -> None:
        now = self._clock.now()
        for sessions in (self._sessions, self._ended):
            for token_hash in [each for each, kept in sessions.items() if kept.ends_at <= now]:
                del sessions[token_hash]


def newest_first(sessions: list[Kept]) -> list[Kept]:
    """By last use, then by id."""
    return sorted(sessions, key=lambda each: (each.session.last_seen_at, each.session.id), reverse=True)


def chosen(sessions: list[Kept], only: str | None, but: str | None) -> list[Kept]:
    """`only` the one with this id, or all `but` that one."""
    return [each for each in sessions if only in {None, each.session.id} and each.session.id != but]
