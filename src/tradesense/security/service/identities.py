"""Who holds a token."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from functools import partial
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from keel.clock import Clock
from keel.sessions.contract import Session, token_hash
from keel.sessions.store import Glimpse, Sessions
from tradesense.db.tables import KeyScope, Role
from tradesense.http.authentication import Principal, UserId
from tradesense.security.repository.keys import ApiKey
from tradesense.security.service.keys import ApiKeys, is_key
from tradesense.security.service.profiles import Profile, Profiles, key_of

MOST_KEPT: Final = 10_000


@dataclass(slots=True)
class _Known:
    """What was made of a session or a key, and a profile, on one day."""

    opener: Session | ApiKey
    place: str
    """Of the profile."""
    profile: Profile
    principal: Principal
    until: datetime
    glimpse: Glimpse | None = None
    """Of the session."""


class Identities:
    """Finds the principal of a token: its session or key, and the profile of its user. What is known costs no SQL."""

    def __init__(self, clock: Clock, sessions: Sessions, profiles: Profiles, keys: ApiKeys) -> None:
        self._clock = clock
        self._sessions = sessions
        self._profiles = profiles
        self._keys = keys
        self._known: dict[bytes, _Known] = {}

    async def identify(self, token: str, at_least: int = 0) -> Principal:
        """Who holds this token; raises `NotAuthenticated` where nobody does, or a disabled user.

        What is known of them is of `at_least` this version of their data, if there is one.
        """
        if is_key(token):
            return await self._identify_key(token, at_least)
        session = await self._sessions.touch(token)
        return self._opened_by(session, await self._profiles.get(UserId(UUID(session.user_id)), at_least), token)

    def glance(self, token: str, at_least: int = 0) -> Callable[[], Principal | None]:
        """What says, each time that it is asked, what `identify` would where memory knows all about it, else None.

        It is the same object for as long as nothing has changed, and has no token.
        """
        return partial(self._by_key if is_key(token) else self._by_session, token_hash(token), at_least)

    def _by_session(self, hashed: bytes, at_least: int) -> Principal | None:
        now, known = self._clock.now(), self._known.get(hashed)
        if known is not None and known.glimpse is not None and self._sessions.still(known.glimpse, now):
            profile = self._profiles.glance(known.place, at_least)
            if profile is known.profile and now < known.until:
                return known.principal
        glimpse = self._sessions.glance(hashed)
        if glimpse is None:
            return None
        known = self._found(hashed, glimpse.session, UUID(glimpse.session.user_id), now, at_least)
        if known is None:
            return None
        known.glimpse = glimpse
        return known.principal

    def _by_key(self, hashed: bytes, at_least: int) -> Principal | None:
        key = self._keys.glance(hashed)
        known = None if key is None else self._found(hashed, key, key.user_id, self._clock.now(), at_least)
        return None if known is None else known.principal

    def _found(
        self, hashed: bytes, opener: Session | ApiKey, user_id: UUID, now: datetime, at_least: int
    ) -> _Known | None:
        """What is known of who comes by that; None where their profile is not in memory."""
        known = self._known.get(hashed)
        place = key_of(UserId(user_id)) if known is None else known.place
        profile = self._profiles.glance(place, at_least)
        if profile is None:
            return None
        if known is None or known.opener is not opener or known.profile is not profile or now >= known.until:
            if len(self._known) >= MOST_KEPT:
                self._known.clear()
            zone = ZoneInfo(profile.timezone)
            tomorrow = datetime.combine(now.astimezone(zone).date() + timedelta(days=1), time(), zone)
            principal = self._opened_by(opener, profile, "")
            known = self._known[hashed] = _Known(opener, place, profile, principal, tomorrow)
        return known

    async def open_until(self, token: str) -> datetime | None:
        """Until when a token opens anything if nothing else happens, None for ever; raises `NotAuthenticated`.

        Whatever has ended it is seen, however short a time ago: no copy is asked. It counts as no use.
        """
        if is_key(token):
            key = await self._keys.look_up(token)
            await self._profiles.look_up(UserId(key.user_id))
            return key.expires_at
        return (await self._sessions.get(token)).expires_at

    async def _identify_key(self, token: str, at_least: int) -> Principal:
        key = await self._keys.find(token)
        return self._opened_by(key, await self._profiles.get(UserId(key.user_id), at_least), token)

    def _opened_by(self, opener: Session | ApiKey, profile: Profile, token: str) -> Principal:
        if not isinstance(opener, ApiKey):
            return self._principal(profile, opener.id, token)
        principal = self._principal(profile, "", token)
        return replace(principal, key_id=str(opener.id), only_reads=opener.scope is KeyScope.READ)

    async def acting_for(self, user_id: UserId) -> Principal:
        """The user as this process acts for them, without a session; raises `NotAuthenticated` for a disabled one."""
        return self._principal(await self._profiles.get(user_id), "", "")

    def _principal(self, profile: Profile, session_id: str, token: str) -> Principal:
        return Principal(
            user_id=UserId(profile.id),
            session_id=session_id,
            token=token,
            email=profile.email,
            is_admin=profile.role is Role.ADMIN,
            timezone=profile.timezone,
            currency=profile.currency,
            data_version=profile.data_version,
            ledger_version=profile.ledger_version,
            labels_version=profile.labels_version,
            day=self._clock.now().astimezone(ZoneInfo(profile.timezone)).toordinal(),
        )
