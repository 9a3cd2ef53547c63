"""The scripts that change sessions on a server, and what all of them are told."""

from typing import Final

from keel.redis.contract import Redis, Script
from keel.sessions.keys import ServerKeys

_PACKAGE: Final = "keel.sessions"


class Scripts:
    """The scripts, read from their files once."""

    admit: Final = Script.load(_PACKAGE, "admit.lua")
    end: Final = Script.load(_PACKAGE, "end.lua")
    enter: Final = Script.load(_PACKAGE, "enter.lua")
    fill: Final = Script.load(_PACKAGE, "fill.lua")
    swap: Final = Script.load(_PACKAGE, "swap.lua")


class Server:
    """What stores and copies of sessions have in common on a server."""

    def __init__(self, redis: Redis, namespace: str) -> None:
        self.redis = redis
        self.keys = ServerKeys(namespace)

    async def swap(self, token_hash: bytes, before: bytes, after: bytes, ttl_ms: int) -> bool:
        """Replace a state by a later one; False where it is not there any more."""
        return await self.redis.run(Scripts.swap, [self.keys.session(token_hash)], [before, after, ttl_ms]) == 1

    async def end(self, token_hash: bytes, *, state: bytes = b"", stone: bytes = b"") -> bool:
        """End a token, if its session is in this `state`, and tell all; False where there was nothing to end."""
        keys = self.keys
        places = [keys.session(token_hash), keys.lease(token_hash), keys.notice(token_hash)]
        return await self.redis.run(Scripts.end, places, [state, stone, self._channel]) == 1

    async def enter(self, identity: str, *, anew: bool) -> bytes:
        """The epoch of the servers of this `identity`; a new one if `anew`, or if they are not those of before."""
        places = [self.keys.epoch, self.keys.servers, self.keys.notice_of_all]
        epoch = await self.redis.run(Scripts.enter, places, [identity, int(anew), self._channel])
        if not isinstance(epoch, bytes):
            raise TypeError(f"the server answered {type(epoch).__name__} where an epoch was expected")
        return epoch

    @property
    def _channel(self) -> str:
        return self.keys.tracked if self.redis.tracking_mode == "channel" else ""
