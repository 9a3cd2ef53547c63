"""What a store of sessions promises, whatever it keeps them in."""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
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
    """How long sessions live. `idle` slides with use, up to `absolute`; `touch` is how often use is written down."""

    idle: timedelta = timedelta(days=7)
    absolute: timedelta = timedelta(days=30)
    touch: timedelta = timedelta(minutes=1)
    per_user: int = 100


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
