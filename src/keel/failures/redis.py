"""Groups of errors on Redis or Valkey, for all processes: a hash and a bitmap each, and one index of them all."""

import asyncio
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, cast

import msgspec
import zstandard

from keel.failures.contract import (
    MOST_GROUPS,
    MOST_ROUTES,
    OTHER,
    Batch,
    ErrorGroup,
    ErrorGroupNotFound,
    ErrorState,
    Occurrence,
)
from keel.failures.counting import estimate
from keel.redis.contract import Argument, Redis, Reply, Script

KEPT_S: Final = 90 * 24 * 3600
"""How long a group is kept that is not seen again."""
PATIENCE_S: Final = 1.0
"""For each call that reads: nobody waits for it but whoever looks at what went wrong."""
AT_ONCE: Final = 100
_PACKAGE: Final = "keel.failures"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ROUTE: Final = b"r:"


class Scripts:
    """The scripts, read from their files once."""

    add: Final = Script.load(_PACKAGE, "add.lua")
    decide: Final = Script.load(_PACKAGE, "decide.lua")


class RedisErrorGroups:
    """Implements `ErrorGroups`. All keys have one hash tag: groups are few, and the index is one."""

    scope: Literal["instance", "shared"] = "shared"

    def __init__(self, redis: Redis, namespace: str, most: int = MOST_GROUPS) -> None:
        self._redis = redis
        self._prefix = f"{namespace}:{{errors}}"
        self._index = f"{self._prefix}:index"
        self._most = most

    async def add(self, batch: Batch) -> ErrorGroup:
        """Count what happened."""
        latest = batch.latest
        name = latest.fingerprint
        keys = [self._group(name), self._users(name), self._index]
        sample = zstandard.compress(msgspec.msgpack.encode(latest))
        counted: list[Argument] = [
            batch.token,
            name,
            _us(latest.at),
            batch.count,
            sample,
            self._most,
            MOST_ROUTES,
            OTHER,
            KEPT_S,
            _us(batch.since),
        ]
        routes: list[Argument] = [part for pair in batch.routes.items() for part in pair]
        gone = await self._redis.run(Scripts.add, keys, [*counted, len(batch.users), *batch.users, *routes])
        for each in cast("list[bytes]", gone):
            lost = each.decode()
            await self._redis.call("UNLINK", self._group(lost), self._users(lost))
        return await self.get(name)

    async def get(self, fingerprint: str) -> ErrorGroup:
        """One group."""
        group = await self._find(fingerprint)
        if group is None:
            raise ErrorGroupNotFound
        return group

    async def newest(
        self, *, state: ErrorState | None = None, since: datetime | None = None, limit: int = 100
    ) -> list[ErrorGroup]:
        """Those in a `state`, and seen `since`."""
        least = "-inf" if since is None else _us(since)
        names = cast("list[bytes]", await self._read("ZREVRANGEBYSCORE", self._index, "+inf", least))
        found: list[ErrorGroup] = []
        for first in range(0, len(names), AT_ONCE):
            some = names[first : first + AT_ONCE]
            groups = await asyncio.gather(*(self._find(name.decode()) for name in some))
            found += [group for group in groups if group is not None and (state is None or group.state is state)]
            if len(found) >= limit:
                break
        return found[:limit]

    async def decide(self, fingerprint: str, state: ErrorState, at: datetime) -> ErrorGroup:
        """Set the state of a group."""
        if not await self._redis.run(Scripts.decide, [self._group(fingerprint)], [state.value, _us(at)]):
            raise ErrorGroupNotFound
        return await self.get(fingerprint)

    async def _find(self, fingerprint: str) -> ErrorGroup | None:
        fields, bits = await asyncio.gather(
            self._read("HGETALL", self._group(fingerprint)),
            self._read("BITCOUNT", self._users(fingerprint)),
        )
        return _group(cast("dict[bytes, bytes]", fields), cast("int", bits)) if fields else None

    def _read(self, *command: Argument) -> Awaitable[Reply]:
        return self._redis.call(*command, timeout_s=PATIENCE_S)

    def _group(self, fingerprint: str) -> str:
        return f"{self._prefix}:g:{fingerprint}"

    def _users(self, fingerprint: str) -> str:
        return f"{self._prefix}:u:{fingerprint}"


def _group(fields: dict[bytes, bytes], bits: int) -> ErrorGroup:
    sample = msgspec.msgpack.decode(zstandard.decompress(fields[b"sample"]), type=Occurrence)
    return ErrorGroup(
        fingerprint=sample.fingerprint,
        type=sample.type,
        where=sample.where,
        state=ErrorState(fields[b"state"].decode()),
        count=int(fields[b"count"]),
        first_seen=_at(fields[b"first"]),
        last_seen=_at(fields[b"last"]),
        users=estimate(bits),
        routes={
            name.removeprefix(_ROUTE).decode(): int(count) for name, count in fields.items() if name.startswith(_ROUTE)
        },
        regressions=int(fields[b"regressions"]),
        changed_at=_at(fields[b"changed"]),
        sample=sample,
    )


def _us(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1)


def _at(us: bytes) -> datetime:
    return _EPOCH + timedelta(microseconds=int(us))
