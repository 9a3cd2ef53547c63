"""The sessions themselves: tokens in, sessions out, over a store and copies in memory."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

from keel.clock import Clock
from keel.errors import NotAuthenticated
from keel.sessions.contract import DurableSessions, Kept, Lifetimes, Session, Subject, new_token, token_hash
from keel.sessions.memory import Copy, LocalCopies, newest_first
from keel.sessions.observer import NullObserver, Observer


class SharedForgetting(Protocol):
    """Copies that other processes share."""

    async def forget(self, hashes: Collection[bytes]) -> None:
        """Forget the sessions of these tokens; raises Unavailable where that cannot be said to have happened."""


class Glimpse(NamedTuple):
    """A session as memory has it: it counts until then, and for as long as nothing is forgotten that `stamp` tells."""

    session: Session
    stamp: int
    until: datetime


class Sessions:
    """Implements `keel.sessions.contract.SessionStore` over any `DurableSessions`.

    `noted_every` is how often `store` is to hear of a session's use; in between, the copy alone does. `shared` is told
    by `forget`, which is for the durable store to call when it has ended tokens.
    """

    def __init__(
        self,
        store: DurableSessions,
        local: LocalCopies,
        clock: Clock,
        lifetimes: Lifetimes,
        *,
        noted_every: timedelta,
        shared: SharedForgetting | None = None,
    ) -> None:
        self.lifetimes = lifetimes
        self.observer: Observer = NullObserver()
        self._store = store
        self._local = local
        self._clock = clock
        self._noted_every = noted_every
        self._shared = shared
        self._noting: set[bytes] = set()

    @property
    def is_coherent(self) -> bool:
        """Whether copies in memory are used: not while ends elsewhere may go unheard."""
        return self._local.trusted

    async def create_session(self, user_id: Subject, data: Mapping[str, str]) -> str:
        """Begin a session and return its token; the user's oldest ones end where they have too many."""
        token, stamp = new_token(), self._local.stamp
        self._local.keep(await self._store.add(token_hash(token), user_id, data), stamp)
        self.observer.began()
        return token

    async def get(self, token: str) -> Session:
        """The session of a token; raises `SessionUnknown` or `SessionExpired`."""
        hashed = token_hash(token)
        copy = self._copy(hashed)
        if copy is None:
            return (await self._ask(hashed, self._store.find)).session
        self.observer.read(in_memory=True)
        return copy.kept.session

    async def touch(self, token: str) -> Session:
        """As `get`, and note the use."""
        hashed, now = token_hash(token), self._clock.now()
        copy = self._copy(hashed)
        if copy is None:
            kept = await self._ask(hashed, self._store.use)
            copy = self._copy(hashed)
            return kept.session if copy is None else self._noted(copy, now)
        self.observer.read(in_memory=True)
        session = copy.kept.session
        if now - session.last_seen_at < self.lifetimes.touch or hashed in self._noting:
            return session
        if now - copy.noted.session.last_seen_at < self._noted_every:
            return self._noted(copy, now)
        self._noting.add(hashed)
        try:
            return (await self._ask(hashed, self._store.use)).session
        finally:
            self._noting.discard(hashed)

    def glance(self, token_hash: bytes) -> Glimpse | None:
        """The session of a token where memory has it and its use need not be noted yet; None says nothing."""
        stamp, copy = self._local.stamp, self._copy(token_hash)
        if copy is None:
            return None
        kept, lifetimes = copy.kept, self.lifetimes
        until = min(
            kept.session.last_seen_at + lifetimes.touch, kept.checked_at + lifetimes.check, kept.session.expires_at
        )
        return Glimpse(kept.session, stamp, until) if self._clock.now() < until else None

    def still(self, glimpse: Glimpse, now: datetime) -> bool:
        """Whether what was seen still counts as read; then it is another read of it."""
        if glimpse.stamp != self._local.stamp or now >= glimpse.until:
            return False
        self.observer.read(in_memory=True)
        return True

    def _noted(self, copy: Copy, now: datetime) -> Session:
        """Note a use in this process alone."""
        if now - copy.kept.session.last_seen_at < self.lifetimes.touch:
            return copy.kept.session
        used = copy.kept.used(now, self.lifetimes)
        self._local.note(copy, used)
        return used.session

    def _copy(self, hashed: bytes) -> Copy | None:
        copy, now = self._local.find(hashed), self._clock.now()
        if copy is None or now - copy.kept.checked_at >= self.lifetimes.check or copy.kept.is_over(now):
            return None
        return copy

    async def _ask(self, hashed: bytes, ask: Callable[[bytes], Awaitable[Kept]]) -> Kept:
        stamp = self._local.stamp
        try:
            kept = await ask(hashed)
        except NotAuthenticated as refusal:
            self.observer.refused(refusal.code)
            raise
        self.observer.read(in_memory=False)
        copy = self._local.find(hashed)
        kept = kept if copy is None else kept.seen_by(copy.kept)
        self._local.keep(kept, stamp)
        return kept

    async def rotate(self, token: str) -> str:
        """Give the session a new token and return it; the old one ends at once."""
        new, stamp = new_token(), self._local.stamp
        self._local.keep(await self._store.rotate(token_hash(token), token_hash(new)), stamp)
        return new

    async def revoke(self, user_id: Subject, session_id: str) -> bool:
        """End one of the user's sessions; False where there is no such session (any more)."""
        return await self._end(user_id, only=session_id) > 0

    async def revoke_others(self, user_id: Subject, session_id: str) -> int:
        """End all of the user's sessions but this one, and say how many."""
        return await self._end(user_id, but=session_id)

    async def invalidate_user_sessions(self, user_id: Subject) -> int:
        """End all of the user's sessions, and say how many."""
        return await self._end(user_id)

    async def _end(self, user_id: Subject, *, only: str | None = None, but: str | None = None) -> int:
        ended = await self._store.end(user_id, only=only, but=but)
        self.observer.ended(ended)
        return ended

    async def get_user_sessions(self, user_id: Subject) -> list[Session]:
        """The user's living sessions, newest use first. Listing never prolongs one."""
        found = [self._seen_here(each) for each in await self._store.of_user(user_id)]
        return [each.session for each in newest_first(found)]

    def _seen_here(self, kept: Kept) -> Kept:
        copy = self._local.find(kept.token_hash)
        return kept if copy is None else kept.seen_by(copy.kept)

    def watch(self, token: str, doubt: Callable[[], None]) -> Callable[[], None]:
        """Call `doubt` whenever the session may have ended; returns how to stop."""
        return self._local.watch(token_hash(token), doubt)

    async def forget(self, hashes: Collection[bytes]) -> None:
        """Forget these tokens, which have ended in the durable store, here and in all processes.

        Raises Unavailable where others cannot be told: then it is to be done again.
        """
        self._local.forget(hashes)
        try:
            if self._shared is not None:
                await self._shared.forget(hashes)
        finally:
            self._local.forget(hashes)  # again: what was read meanwhile may be of before

    def forget_all(self) -> None:
        """Forget every copy in this process: it may have missed what others ended."""
        self._local.forget_all()
