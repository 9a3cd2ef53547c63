"""The sessions themselves: tokens in, sessions out, over a store and copies in memory."""

import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from contextvars import Context
from datetime import datetime, timedelta
from typing import Final, NamedTuple, Protocol

from keel.clock import Clock
from keel.errors import NotAuthenticated
from keel.sessions.contract import DurableSessions, Kept, Lifetimes, Session, Subject, new_token, token_hash
from keel.sessions.memory import Copy, LocalCopies, newest_first
from keel.sessions.observer import NullObserver, Observer
from keel.tasks import Tasks

_LOG: Final = logging.getLogger(__name__)


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

    A use of a session that memory knows is noted in its copy; every `noted_every` the `store` is to hear of it, too,
    which nobody waits for. `shared` is told by `forget`, which is for the durable store to call when it has ended
    tokens.
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
        self._tasks = Tasks()
        self._noted_every = noted_every
        self._shared = shared
        self._noting: set[bytes] = set()
        self._is_failing = False

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
        hashed = token_hash(token)
        copy = self._copy(hashed)
        if copy is None:
            kept = await self._ask(hashed, self._store.use)
            copy = self._copy(hashed)
            return kept.session if copy is None else self._used(copy)
        self.observer.read(in_memory=True)
        return self._used(copy)

    def glance(self, token_hash: bytes) -> Glimpse | None:
        """As `touch`, where memory has the session; None says nothing."""
        stamp, copy = self._local.stamp, self._copy(token_hash)
        if copy is None:
            return None
        session, lifetimes = self._used(copy), self.lifetimes
        until = min(session.last_seen_at + lifetimes.touch, copy.kept.checked_at + lifetimes.check, session.expires_at)
        return Glimpse(session, stamp, until)

    def still(self, glimpse: Glimpse, now: datetime) -> bool:
        """Whether what was seen still counts as read; then it is another read of it."""
        if glimpse.stamp != self._local.stamp or now >= glimpse.until:
            return False
        self.observer.read(in_memory=True)
        return True

    def _used(self, copy: Copy) -> Session:
        """Note a use in the copy, and let the store hear of it where that is due."""
        now, last = self._clock.now(), copy.kept.session
        if now - last.last_seen_at < self.lifetimes.touch:
            return last
        used = copy.kept.used(now, self.lifetimes)
        self._local.note(copy, used)
        if now - copy.noted.session.last_seen_at >= self._noted_every and used.token_hash not in self._noting:
            self._tell(used.token_hash)
        return used.session

    def _tell(self, hashed: bytes) -> None:
        """Begin to tell the store of a use, for nobody in particular; not any more where everything is being closed."""
        with suppress(RuntimeError):
            telling = Context().run(self._tasks.start, "noting the use of a session", self._told(hashed))
            self._noting.add(hashed)
            telling.add_done_callback(lambda _: self._noting.discard(hashed))

    async def _told(self, hashed: bytes) -> None:
        """Where it fails, the next use that is noted in the copy is told of."""
        try:
            await self._answer(hashed, self._store.use)
        except NotAuthenticated:
            self._local.forget([hashed])
        except Exception as error:  # noqa: BLE001 - logged once; whatever it is, a later use may be told of
            if not self._is_failing:
                _LOG.warning("uses of sessions are known to this process alone for now: %r", error)
            self._is_failing = True
        else:
            self._is_failing = False

    def _copy(self, hashed: bytes) -> Copy | None:
        copy, now = self._local.find(hashed), self._clock.now()
        if copy is None or now - copy.kept.checked_at >= self.lifetimes.check or copy.kept.is_over(now):
            return None
        return copy

    async def _ask(self, hashed: bytes, ask: Callable[[bytes], Awaitable[Kept]]) -> Kept:
        try:
            kept = await self._answer(hashed, ask)
        except NotAuthenticated as refusal:
            self.observer.refused(refusal.code)
            raise
        self.observer.read(in_memory=False)
        return kept

    async def _answer(self, hashed: bytes, ask: Callable[[bytes], Awaitable[Kept]]) -> Kept:
        """What the store says, with the last use that is known here; from now on the copy has it."""
        stamp = self._local.stamp
        noted = await ask(hashed)
        copy = self._local.find(hashed)
        kept = noted if copy is None else noted.seen_by(copy.kept)
        self._local.keep(kept, stamp, noted)
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

    async def close(self) -> None:
        """Ask the store of itself no more: for before it is closed."""
        await self._tasks.close()
