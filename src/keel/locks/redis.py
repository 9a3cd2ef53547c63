"""Locks on Redis or Valkey: a key per lock that expires, and one per lock for its last fencing token."""

from collections.abc import Callable
from typing import Final

from keel.locks.contract import Held, Taken
from keel.redis.contract import Redis, Script
from keel.redis.tags import hash_tag

FENCE_MS: Final = 24 * 3600 * 1000
"""How long the last fence is kept: for so long even a server whose clock goes back gives greater ones."""
RELEASE_S: Final = 0.5
_PACKAGE: Final = "keel.locks"


class Scripts:
    """The scripts, read from their files once."""

    take: Final = Script.load(_PACKAGE, "take.lua")
    renew: Final = Script.load(_PACKAGE, "renew.lua")
    release: Final = Script.load(_PACKAGE, "release.lua")


class RedisLockStore:
    """`LockStore` over a server, a Sentinel group or a cluster."""

    def __init__(self, redis: Redis, namespace: str) -> None:
        self._redis = redis
        self._namespace = namespace
        self._publish = "SPUBLISH" if redis.is_cluster else "PUBLISH"

    async def take(self, name: str, token: str, ttl_s: float) -> Taken | Held:
        """Take a lock that is free."""
        places = [self._place(name), f"{self._namespace}:lf:{hash_tag(name)}"]
        answer = await self._redis.run(Scripts.take, places, [token, _ms(ttl_s), FENCE_MS])
        if isinstance(answer, bytes):
            return Taken(int(answer))
        return Held(answer / 1000 if isinstance(answer, int) else 0)

    async def renew(self, name: str, token: str, ttl_s: float) -> bool:
        """Let it last `ttl_s` seconds from now."""
        return await self._redis.run(Scripts.renew, [self._place(name)], [token, _ms(ttl_s)]) == 1

    async def release(self, name: str, token: str) -> bool:
        """Give it back and tell those who wait."""
        args = [token, self._publish]
        return await self._redis.run(Scripts.release, [self._place(name)], args, timeout_s=RELEASE_S) == 1

    def listen(self, name: str, freed: Callable[[], None]) -> Callable[[], None]:
        """Call `freed` when the lock is given back, and after every gap."""
        return self._redis.subscribe(self._place(name), lambda _message: freed(), freed)

    def _place(self, name: str) -> str:
        return f"{self._namespace}:lk:{hash_tag(name)}"


def _ms(seconds: float) -> int:
    return max(1, round(seconds * 1000))
