"""Personal API keys: tokens that last, that their users name and limit, and that are shown once."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Final
from uuid import UUID

from keel.cache.hybrid import HybridCache
from keel.clock import Clock
from keel.ids import uuid7
from keel.sessions.contract import new_token, token_hash
from tradesense.db import outbox
from tradesense.db.engine import Database
from tradesense.db.invalidation import KEYS_TAG, key_place
from tradesense.db.tables import KeyScope
from tradesense.http.authentication import Principal
from tradesense.security.repository import keys as repository
from tradesense.security.repository.keys import ApiKey
from tradesense.security.repository.users import record
from tradesense.security.service.refusals import (
    ApiKeyExpired,
    ApiKeyNotFound,
    ApiKeyUnknown,
    ExpiryPassed,
    TooManyApiKeys,
)
from tradesense.security.service.users import Client

PREFIX: Final = "tsk_"
"""What keys begin with, so that a scanner for secrets knows one where it should not be."""
MOST: Final = 50
"""Keys that a user may have."""
NOTED_EVERY: Final = timedelta(minutes=5)
"""How often the use of a key is noted, and how old a copy of it may grow."""
_LENGTH: Final = len(PREFIX + new_token())


def is_key(token: str) -> bool:
    """Whether a token is a key; a session's, which is random, too, is shorter."""
    return len(token) == _LENGTH and token.startswith(PREFIX)


class ApiKeys:
    """The keys of all users."""

    def __init__(self, database: Database, clock: Clock, cache: HybridCache) -> None:
        self._database = database
        self._clock = clock
        self._cache = cache

    async def make(
        self, who: Principal, name: str, scope: KeyScope, expires_at: datetime | None, client: Client
    ) -> tuple[str, ApiKey]:
        """A new key of the user's, and its token, which nobody can ask for again.

        Raises `ExpiryPassed`, `TooManyApiKeys`.
        """
        now, token = self._clock.now(), PREFIX + new_token()
        if expires_at is not None and expires_at <= now:
            raise ExpiryPassed
        key = ApiKey(uuid7(), who.user_id, name, scope, now, expires_at, None)
        async with self._database.write() as connection:
            if await repository.count_keys(connection, who.user_id) >= MOST:
                raise TooManyApiKeys
            await repository.insert_key(connection, key, token_hash(token))
            await record(
                connection, now, "api_key.made", user=who.user_id, subject=str(key.id), ip=client.ip,
                details={"name": name, "scope": scope.value},
            )  # fmt: skip
        return token, key

    async def list(self, who: Principal) -> Sequence[ApiKey]:
        """The user's keys, the newest first."""
        async with self._database.read() as connection:
            return await repository.keys_of(connection, who.user_id)

    async def delete(self, who: Principal, key: UUID, client: Client) -> None:
        """Let a key of the user's open nothing any more; raises `ApiKeyNotFound`."""
        async with self._database.write() as connection:
            hashed = await repository.delete_key(connection, who.user_id, key)
            if hashed is None:
                raise ApiKeyNotFound
            await outbox.record_ended(connection, who.user_id, [hashed])
            await record(
                connection, self._clock.now(), "api_key.deleted", user=who.user_id, subject=str(key), ip=client.ip
            )

    async def find(self, token: str) -> ApiKey:
        """The key of a token, whose use is noted; raises `ApiKeyUnknown`, `ApiKeyExpired`."""
        hashed = token_hash(token)
        key: ApiKey = await self._cache.get_or_set(
            key_place(hashed), partial(self._read, hashed), ttl=NOTED_EVERY, tags=(KEYS_TAG,)
        )
        return self._living(key)

    def glance(self, hashed: bytes) -> ApiKey | None:
        """The key of a token that has this hash, where memory has it and its use is noted; None says nothing."""
        entry = self._cache.peek(key_place(hashed), None)
        if entry is None:
            return None
        key: ApiKey = entry.value
        if key.expires_at is not None and key.expires_at <= self._clock.now():
            return None
        entry.group.memory_hits += 1
        return key

    async def look_up(self, token: str) -> ApiKey:
        """The key of a token as the database has it, which is no use of it; raises as `find`."""
        return self._living(await self._stored(token_hash(token)))

    def _living(self, key: ApiKey) -> ApiKey:
        if key.expires_at is not None and key.expires_at <= self._clock.now():
            raise ApiKeyExpired
        return key

    async def _stored(self, hashed: bytes) -> ApiKey:
        async with self._database.read() as connection:
            key = await repository.find_key(connection, hashed)
        if key is None:
            raise ApiKeyUnknown
        return key

    async def _read(self, hashed: bytes) -> ApiKey:
        key, now = await self._stored(hashed), self._clock.now()
        if key.last_used_at is not None and now - key.last_used_at < NOTED_EVERY:
            return key
        async with self._database.write() as connection:
            await repository.note_use(connection, key.id, now, now - NOTED_EVERY)
        return replace(key, last_used_at=now)
