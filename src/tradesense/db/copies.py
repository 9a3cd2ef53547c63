"""The copies of answers, sessions and API keys, as whoever hears of writes throws them away."""

from collections.abc import Collection

from keel.cache.hybrid import HybridCache
from keel.errors import Unavailable
from keel.sessions.store import Sessions
from tradesense.db.invalidation import KEYS_TAG, key_place


class Copies:
    """The copies of answers and sessions as those know them who write: they go, or it is said that they did not."""

    def __init__(self, cache: HybridCache, sessions: Sessions) -> None:
        self._cache = cache
        self._sessions = sessions

    async def invalidate_tags(self, *tags: str) -> None:
        """Throw away what carries one of the tags; raises Unavailable where other instances cannot be told yet."""
        if not await self._cache.invalidate_tags(*tags):
            raise Unavailable("The shared cache is away: what other instances see is invalidated when it is back.")

    async def forget_tokens(self, hashes: Collection[bytes]) -> None:
        """Throw away the sessions and API keys of tokens that have ended; raises Unavailable likewise."""
        try:
            await self._sessions.forget(hashes)
        finally:
            is_done = await self._cache.invalidate(*map(key_place, hashes))
        if not is_done:
            raise Unavailable("The shared cache is away: other instances may know an API key until it is back.")

    async def forget_all_tokens(self) -> None:
        """Throw away all sessions and API keys in memory."""
        self._sessions.forget_all()
        await self._cache.invalidate_tags(KEYS_TAG)
