"""Who holds a token."""

from dataclasses import replace
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from keel.clock import Clock
from keel.sessions.contract import SessionStore
from tradesense.db.tables import KeyScope, Role
from tradesense.http.authentication import Principal, UserId
from tradesense.security.service.keys import ApiKeys, is_key
from tradesense.security.service.profiles import Profile, Profiles


class Identities:
    """Finds the principal of a token: its session or key, and the profile of its user. What is known costs no SQL."""

    def __init__(self, clock: Clock, sessions: SessionStore, profiles: Profiles, keys: ApiKeys) -> None:
        self._clock = clock
        self._sessions = sessions
        self._profiles = profiles
        self._keys = keys

    async def identify(self, token: str, at_least: int = 0) -> Principal:
        """Who holds this token; raises `NotAuthenticated` where nobody does, or a disabled user.

        What is known of them is of `at_least` this version of their data, if there is one.
        """
        if is_key(token):
            return await self._identify_key(token, at_least)
        session = await self._sessions.touch(token)
        profile = await self._profiles.get(UserId(UUID(session.user_id)), at_least)
        return self._principal(profile, session.id, token)

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
        principal = self._principal(await self._profiles.get(UserId(key.user_id), at_least), "", token)
        return replace(principal, key_id=str(key.id), only_reads=key.scope is KeyScope.READ)

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
