"""Who holds a token."""

from dataclasses import replace
from datetime import datetime, time, timedelta
from typing import Final, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from keel.clock import Clock
from keel.sessions.contract import Session
from keel.sessions.store import Sessions
from tradesense.db.tables import KeyScope, Role
from tradesense.http.authentication import Principal, UserId
from tradesense.security.service.keys import ApiKeys, is_key
from tradesense.security.service.profiles import Profile, Profiles, key_of

MOST_KEPT: Final = 10_000


class _Glanced(NamedTuple):
    """What was made of a session and a profile, on one day."""

    session: Session
    key: str
    profile: Profile
    principal: Principal
    until: datetime


class Identities:
    """Finds the principal of a token: its session or key, and the profile of its user. What is known costs no SQL."""

    def __init__(self, clock: Clock, sessions: Sessions, profiles: Profiles, keys: ApiKeys) -> None:
        self._clock = clock
        self._sessions = sessions
        self._profiles = profiles
        self._keys = keys
        self._glanced: dict[str, _Glanced] = {}

    async def identify(self, token: str, at_least: int = 0) -> Principal:
        """Who holds this token; raises `NotAuthenticated` where nobody does, or a disabled user.

        What is known of them is of `at_least` this version of their data, if there is one.
        """
        if is_key(token):
            return await self._identify_key(token, at_least)
        session = await self._sessions.touch(token)
        profile = await self._profiles.get(UserId(UUID(session.user_id)), at_least)
        return self._principal(profile, session.id, token)

    def glance(self, token: str, at_least: int = 0) -> Principal | None:
        """As `identify`, of a session that memory knows all about; None says nothing.

        It is the same object for as long as nothing has changed, and has no token.
        """
        session = None if is_key(token) else self._sessions.glance(token)
        if session is None:
            return None
        known = self._glanced.get(session.id)
        key = key_of(UserId(UUID(session.user_id))) if known is None else known.key
        profile = self._profiles.glance(key, at_least)
        if profile is None:
            return None
        now = self._clock.now()
        if known is None or known.session is not session or known.profile is not profile or now >= known.until:
            known = self._keep(session, key, profile, now)
        return known.principal

    def _keep(self, session: Session, key: str, profile: Profile, now: datetime) -> _Glanced:
        if len(self._glanced) >= MOST_KEPT:
            self._glanced.clear()
        zone = ZoneInfo(profile.timezone)
        tomorrow = datetime.combine(now.astimezone(zone).date() + timedelta(days=1), time(), zone)
        made = _Glanced(session, key, profile, self._principal(profile, session.id, ""), tomorrow)
        self._glanced[session.id] = made
        return made

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
