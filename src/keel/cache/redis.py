"""The shared tier on Redis or Valkey: one MGET per read, leases and versions in scripts of one slot each.

Leases: Nishtala et al., "Scaling Memcache at Facebook", NSDI 2013. What a read needs (the value, and the versions of
all that can invalidate it) is one MGET; the scripts run on a miss and on an invalidation alone.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Iterable
from typing import Final

from msgspec import structs

from keel.cache import frame
from keel.cache.codec import Undecodable
from keel.cache.contract import Busy, Changed, Kind, Leased, Look, Mark, Names, Places, Stamps, Stored, Versions
from keel.cache.keys import ServerKeys
from keel.cache.looks import Looks
from keel.clock import wall_ns
from keel.redis.contract import Redis, Reply, Script

LEASE_MS: Final = 2000
"""How long a process that computes and dies keeps the others waiting."""
VERSION_MS: Final = 24 * 3600 * 1000
"""How long a version is kept that nothing raises; one that is missing is issued anew, at the price of a miss."""
UNCONFIRMED_S: Final = 30.0
CONFIRMED_S: Final = 300.0
_PACKAGE: Final = "keel.cache"


class Scripts:
    """The scripts, read from their files once."""

    lease: Final = Script.load(_PACKAGE, "lease.lua")
    fill: Final = Script.load(_PACKAGE, "fill.lua")
    renew: Final = Script.load(_PACKAGE, "renew.lua")
    claim: Final = Script.load(_PACKAGE, "claim.lua")
    issue: Final = Script.load(_PACKAGE, "issue.lua")
    raise_: Final = Script.load(_PACKAGE, "raise.lua")
    invalidate: Final = Script.load(_PACKAGE, "invalidate.lua")
    enter: Final = Script.load(_PACKAGE, "enter.lua")


class RedisTier:
    """`SharedTier` over a server, a Sentinel group or a cluster."""

    def __init__(self, redis: Redis, keys: ServerKeys) -> None:
        self._redis = redis
        self._keys = keys
        self.read: Final = Looks(redis).read

    @property
    def trusted_s(self) -> float:
        """Longer where servers are asked in between whether they still tell of changes."""
        return CONFIRMED_S if self._redis.confirms_tracking else UNCONFIRMED_S

    def look(self, names: Names) -> Awaitable[Look]:
        """The value and the versions, in one round trip."""
        return self.read(self._keys.places(names), self.judge, names)

    def places(self, names: Names) -> Places:
        """Where `read` finds an entry."""
        return self._keys.places(names)

    def judge(self, names: Names, found: bytes | None, versions: Versions) -> Look:
        """The look that such bytes and versions make."""
        stamps = Stamps(versions)
        if found is None:
            return Look(None, stamps)
        try:
            stored = frame.read(found)
        except Undecodable:
            return Look(None, stamps, frame.identity(found))
        if stored.tags == names.tags:
            return Look(_counting(stored, stamps), stamps, stored.id)
        covered = set(names.tags) <= set(stored.tags)
        return Look(None, stamps, stored.id, stored.tags if covered else None)

    async def issue(self, names: Names, stamps: Stamps) -> Stamps:
        """`stamps` with a version for each that was missing."""
        places = self._keys.versions(names)
        missing = [at for at, version in enumerate(stamps.versions) if version is None]
        versions: list[bytes | None] = list(stamps.versions)
        for at, version in zip(missing, await self._issue([places[at] for at in missing]), strict=True):
            versions[at] = version
        return Stamps(tuple(versions))

    async def versions(self, tags: tuple[str, ...]) -> tuple[bytes, ...]:
        """Today's versions of tags, issued where there were none."""
        return await self._issue([self._keys.tag(tag) for tag in tags])

    async def _issue(self, places: list[str]) -> tuple[bytes, ...]:
        issued = await asyncio.gather(*(self._redis.run(Scripts.issue, [place], [VERSION_MS]) for place in places))
        return tuple(map(_bytes, issued))

    async def lease(self, key: str, seen: bytes) -> Leased | Busy | Changed:
        """Take the right to compute the value that follows the one with the id `seen`."""
        token = secrets.token_bytes(16)
        places = [self._keys.value(key), self._keys.lease(key)]
        answer = await self._redis.run(Scripts.lease, places, [token, LEASE_MS, seen])
        if answer == b"leased":
            return Leased(token)
        if answer == b"changed":
            return Changed()
        return Busy(max(_integer(answer), 0) / 1000)

    async def renew(self, key: str, lease: Leased) -> bool:
        """Prolong a lease; False where it is gone."""
        return await self._redis.run(Scripts.renew, [self._keys.lease(key)], [lease.token, LEASE_MS]) == 1

    async def release(self, key: str, lease: Leased) -> None:
        """Give a lease back without a value."""
        await self._redis.run(Scripts.renew, [self._keys.lease(key)], [lease.token, 0])

    async def fill(self, key: str, lease: Leased, value: Stored) -> bool:
        """Store a value; False, with nothing stored, where the lease is gone."""
        places = [self._keys.value(key), self._keys.lease(key)]
        return await self._redis.run(Scripts.fill, places, [lease.token, frame.write(value), _ttl_ms(value)]) == 1

    async def claim(self, key: str) -> Leased:
        """Invalidate a key and take the right to store a value, whoever computes one now."""
        token = secrets.token_bytes(16)
        places = [self._keys.value(key), self._keys.lease(key), self._keys.notice(Mark(Kind.KEY, key))]
        await self._redis.run(Scripts.claim, places, [token, LEASE_MS, self._channel])
        return Leased(token)

    async def invalidate(self, marks: Iterable[Mark]) -> None:
        """Carry out invalidations; all travel together."""
        await asyncio.gather(*(self._carry_out(mark) for mark in marks))

    async def _carry_out(self, mark: Mark) -> None:
        soft, notice = int(mark.soft), self._keys.notice(mark)
        if mark.kind is Kind.KEY:
            places = [self._keys.value(mark.name), self._keys.lease(mark.name), notice]
            await self._redis.run(Scripts.invalidate, places, [soft, self._channel])
        else:
            places = [self._keys.version(mark), notice]
            await self._redis.run(Scripts.raise_, places, [soft, VERSION_MS, self._channel])

    async def enter(self, identity: str) -> None:
        """Begin with the servers of this `identity`."""
        places = [self._keys.root, self._keys.servers, self._keys.notice(Mark(Kind.ROOT, ""))]
        await self._redis.run(Scripts.enter, places, [identity, self._channel])

    @property
    def _channel(self) -> str:
        return self._keys.tracked if self._redis.tracking_mode == "channel" else ""


def _counting(stored: Stored, current: Stamps) -> Stored | None:
    """The stored value as it counts under today's versions: as it is, softly invalidated, or not at all."""
    then, now = stored.stamps.versions, current.versions
    if then == now:
        return stored
    if len(then) != len(now) or any(_hard(a) != _hard(b) for a, b in zip(then, now, strict=True)):
        return None
    return structs.replace(stored, is_soft=True)


def _hard(version: bytes | None) -> bytes | None:
    return None if version is None else version.partition(b":")[0]


def _ttl_ms(value: Stored) -> int:
    return max(1, int((value.expires - wall_ns() / 1e9) * 1000))


def _bytes(reply: Reply) -> bytes:
    if not isinstance(reply, bytes):
        raise TypeError(f"the server answered {type(reply).__name__} where text was expected")
    return reply


def _integer(reply: Reply) -> int:
    if not isinstance(reply, int):
        raise TypeError(f"the server answered {type(reply).__name__} where a number was expected")
    return reply
