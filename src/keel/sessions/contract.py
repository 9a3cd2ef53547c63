"""What sessions promise, whatever they are kept in, and what is asked of the store that keeps them for good."""

import hashlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Protocol
from uuid import UUID

from keel.errors import NotAuthenticated

Subject = UUID | str | int
"""Who a session belongs to, by the product's own id; it comes back as text."""

TOKEN_BYTES: Final = 32


class SessionExpired(NotAuthenticated):
    """The session was idle too long, reached its greatest age, or was revoked; log in again."""

    def __init__(self) -> None:
        super().__init__("The session has ended; log in again.")


class SessionUnknown(NotAuthenticated):
    """No session has this token. Unknown tokens are refused, never adopted."""

    def __init__(self) -> None:
        super().__init__("The session token is not known; log in.")


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long sessions live, and how many a user may have.

    `idle` slides with use, up to `absolute`. Use is noted once per `touch`, and written down for good once per `check`,
    which also is how old a copy may grow before the durable store is asked again; so `idle` is measured to within
    `check`, and should be much longer. Raises ValueError where it is shorter.
    """

    idle: timedelta = timedelta(days=7)
    absolute: timedelta = timedelta(days=30)
    touch: timedelta = timedelta(minutes=1)
    check: timedelta = timedelta(minutes=5)
    per_user: int = 100

    def __post_init__(self) -> None:
        """Refuse what could only be a mistake."""
        if not self.touch <= self.check <= self.idle:
            raise ValueError("use must be noted (touch) and checked (check) more often than sessions end unused (idle)")
        if self.per_user < 1:
            raise ValueError("per_user must be at least 1")


@dataclass(frozen=True, slots=True)
class Session:
    """One login. `id` is its public name, fit to be shown and revoked by; it opens nothing.

    `data` is what was given at the start (`ip`, `user_agent`). `expires_at` is when it ends unless it is used.
    """

    id: str
    user_id: str
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    data: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Kept:
    """A session as stores and copies have it.

    `ends_at` is when it ends however much it is used; `checked_at` when the durable store was last asked.
    """

    token_hash: bytes
    session: Session
    ends_at: datetime
    checked_at: datetime

    @classmethod
    def begun(
        cls,
        token_hash: bytes,
        session_id: str,
        user_id: str,
        data: Mapping[str, str],
        lifetimes: Lifetimes,
        now: datetime,
    ) -> "Kept":
        """A session that begins now."""
        ends_at = now + lifetimes.absolute
        session = Session(session_id, user_id, now, now, min(now + lifetimes.idle, ends_at), data)
        return cls(token_hash, session, ends_at, now)

    def used(self, now: datetime, lifetimes: Lifetimes) -> "Kept":
        """The same session, used now."""
        expires_at = min(now + lifetimes.idle, self.ends_at)
        return replace(self, session=replace(self.session, last_seen_at=now, expires_at=expires_at))

    def seen_by(self, copy: "Kept") -> "Kept":
        """The same session, with the last use that a copy knows of where that is a later one."""
        seen = copy.session
        if seen.id != self.session.id or seen.last_seen_at <= self.session.last_seen_at:
            return self
        times = replace(self.session, last_seen_at=seen.last_seen_at, expires_at=min(seen.expires_at, self.ends_at))
        return replace(self, session=times)

    def is_over(self, now: datetime) -> bool:
        """Whether it has not been used for too long, or has reached its greatest age."""
        return now >= self.session.expires_at


def new_token() -> str:
    """256 random bits as 43 characters of base64url."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def token_hash(token: str) -> bytes:
    """What a store keeps of a token: its SHA-256. The token is random, so no salt or stretching is needed."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


class SessionStore(Protocol):
    """Sessions by token. A token is a secret that only its holder has; everything else goes by the session's `id`."""

    async def create_session(self, user_id: Subject, data: Mapping[str, str]) -> str:
        """Begin a session and return its token; the user's oldest ones end where they have too many."""

    async def get(self, token: str) -> Session:
        """The session of a token; raises `SessionUnknown` or `SessionExpired`."""

    async def touch(self, token: str) -> Session:
        """As `get`, and note the use: at most once per `Lifetimes.touch`, never bringing back one that has ended."""

    async def rotate(self, token: str) -> str:
        """Give the session a new token and return it; the old one ends at once.

        Of two rotations of one token the second raises `SessionUnknown`: a session never forks.
        """

    async def revoke(self, user_id: Subject, session_id: str) -> bool:
        """End one of the user's sessions; False where there is no such session (any more)."""

    async def revoke_others(self, user_id: Subject, session_id: str) -> int:
        """End all of the user's sessions but this one, and say how many."""

    async def invalidate_user_sessions(self, user_id: Subject) -> int:
        """End all of the user's sessions, and say how many."""

    async def get_user_sessions(self, user_id: Subject) -> list[Session]:
        """The user's living sessions, newest use first. Listing never prolongs one."""

    def watch(self, token: str, doubt: Callable[[], None]) -> Callable[[], None]:
        """Call `doubt` in the loop whenever the session may have ended; ask again then. Returns how to stop.

        For connections that outlive a request. It is called too often rather than not at all, and must not raise.
        """


class DurableSessions(Protocol):
    """Where sessions are for good. It knows the hashes of tokens alone, and decides what has ended.

    Whatever ends a token through it has that token's copies forgotten, everywhere, before it returns; or, where that
    fails or the process dies, as soon as possible.
    """

    async def add(self, token_hash: bytes, user_id: Subject, data: Mapping[str, str]) -> Kept:
        """Keep a new session; the user's oldest ones end where they have too many."""

    async def find(self, token_hash: bytes) -> Kept:
        """The session of a token; raises `SessionUnknown` or `SessionExpired`."""

    async def use(self, token_hash: bytes) -> Kept:
        """As `find`, and write the use down, where the last one written is older than `Lifetimes.check`."""

    async def rotate(self, old: bytes, new: bytes) -> Kept:
        """Let the session have another token; raises `SessionUnknown` where the old one is not (any more) one's."""

    async def end(self, user_id: Subject, *, only: str | None = None, but: str | None = None) -> int:
        """End the user's sessions, `only` the one with this id or all `but` that one, and say how many."""

    async def of_user(self, user_id: Subject) -> list[Kept]:
        """The user's living sessions."""
