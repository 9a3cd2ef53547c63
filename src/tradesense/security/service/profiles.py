"""What is known of whoever asks, without asking the database each time."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final
from uuid import UUID

from keel.cache.hybrid import HybridCache
from tradesense.db.engine import Database
from tradesense.db.invalidation import profile_tag, user_tag
from tradesense.db.tables import Role
from tradesense.http.authentication import UserId
from tradesense.security.repository import users as repository
from tradesense.security.service.refusals import UserDisabled

CHECKED_EVERY: Final = timedelta(minutes=5)
"""How old a copy may grow, whatever was heard."""


@dataclass(frozen=True, slots=True)
class Profile:
    """A user as every request needs them; never with anything secret, as copies leave the process."""

    id: UUID
    email: str
    role: Role
    timezone: str
    currency: str
    data_version: int
    ledger_version: int
    labels_version: int
    disabled_at: datetime | None


class Profiles:
    """Users' profiles, cached under a tag that every write of a user's data throws away before it is answered.

    In the process that has written, and where the request says which version of the data it has seen, a profile is
    never older than that write. In another process a copy may lag by as long as the word of it travels; while none
    can, as the user's tag makes it their own, it is not used.
    """

    def __init__(self, database: Database, cache: HybridCache) -> None:
        self._database = database
        self._cache = cache

    async def get(self, user_id: UserId, at_least: int = 0) -> Profile:
        """The profile of a user, of at least this version of their data if there is one.

        Raises `UserDisabled` where they are not to come in, or are not there any more.
        """
        load = partial(self._read, user_id)
        profile: Profile = await self._cache.get_or_set(
            key_of(user_id), load, ttl=CHECKED_EVERY, tags=(user_tag(user_id), profile_tag(user_id))
        )
        if profile.data_version < at_least:
            return await self.look_up(user_id)
        return _enabled(profile)

    def glance(self, key: str, at_least: int = 0) -> Profile | None:
        """The profile with this key of somebody who may come in, where memory has it; None says nothing."""
        entry = self._cache.peek(key, None)
        if entry is None:
            return None
        profile: Profile = entry.value
        if profile.disabled_at is not None or profile.data_version < at_least:
            return None
        entry.group.memory_hits += 1
        return profile

    async def look_up(self, user_id: UserId) -> Profile:
        """The profile as the database has it; raises as `get`."""
        return _enabled(await self._read(user_id))

    async def _read(self, user_id: UserId) -> Profile:
        async with self._database.read() as connection:
            user = await repository.find_user(connection, user_id)
        if user is None:
            raise UserDisabled
        known: dict[str, Any] = {name: getattr(user, name) for name in Profile.__dataclass_fields__}
        return Profile(**known)


def key_of(user_id: UserId) -> str:
    """What a user's profile is cached as."""
    return f"profile:{user_id}"


def _enabled(profile: Profile) -> Profile:
    if profile.disabled_at is not None:
        raise UserDisabled
    return profile
