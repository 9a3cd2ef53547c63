"""The store of all instances, on Redis or Valkey. All keys have one hash tag, as they are few and bounded."""

import asyncio
from base64 import urlsafe_b64encode
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from hashlib import blake2b
from typing import Final, Literal, cast

import msgspec

from keel.context import budget
from keel.redis.contract import Argument, Redis, Reply, Script
from keel.store.contract import (
    BODIES_BYTES,
    BODY_BYTES,
    BODY_S,
    INSTANCE_S,
    LONGEST_LEVEL_S,
    MOST_FIELDS,
    MOST_LINES,
    MOST_NAMES,
    MOST_NOTES,
    MOST_PARTS,
    MOST_SUMMARIES,
    OTHER,
    WINDOW_S,
    WINDOWS,
    Batch,
    Family,
    Heard,
    Level,
    Note,
    Resolution,
    Summary,
    Totals,
    weight,
)
from keel.store.figures import added

SHARDS: Final = 4
"""Hashes of one window: none has more entries than are stored compactly (`hash-max-listpack-entries`, 512)."""
PATIENCE_S: Final = 1.0
"""For each call: nobody waits for these but whoever looks at what is stored."""
LINES_S: Final = 600
NOTES_S: Final = 7 * 24 * 3600
_PACKAGE: Final = "keel.store"
_DAY_S: Final = 24 * 3600
_NAME_DAYS: Final = 9
_AT_ONCE: Final = 128
_TRACES: Final = 25
"""That are kept by one script, which others wait for."""
_ID: Final = 6
"""Characters of a name's id."""
_LEVELS: Final = "levels"
_WANT: Final = "want"


class Scripts:
    """The scripts, read from their files once."""

    append: Final = Script.load(_PACKAGE, "append.lua")
    count: Final = Script.load(_PACKAGE, "count.lua")
    keep: Final = Script.load(_PACKAGE, "keep.lua")


class RedisStore:
    """Implements `Store`. `most` summaries, and bodies of so many bytes."""

    scope: Literal["instance", "shared"] = "shared"

    def __init__(
        self, redis: Redis, namespace: str, *, most: int = MOST_SUMMARIES, bodies: int = BODIES_BYTES - BODY_BYTES
    ) -> None:
        self._redis = redis
        self._prefix = f"{namespace}:{{seen}}"
        self._most = most
        self._room = bodies
        self._publish = "SPUBLISH" if redis.is_cluster else "PUBLISH"

    async def add(self, batch: Batch) -> None:
        """Keep what was observed, in one write, and tell the others of traces that are wanted."""
        calls = [*self._counting(batch), *self._adding("lines", MOST_LINES, LINES_S, batch.lines)]
        calls += self._adding("notes", MOST_NOTES, NOTES_S, [msgspec.msgpack.encode(note) for note in batch.notes])
        calls += [self._keeping(batch.traces[at : at + _TRACES]) for at in range(0, len(batch.traces), _TRACES)]
        if batch.wanted:
            calls.append(self._say(" ".join([_WANT, *batch.wanted])))
        gone = [each for answer in await self._all(calls) if isinstance(answer, list) for each in answer]
        if gone:
            await self._forget(cast("list[bytes]", gone))

    async def summaries(self, before: str, limit: int) -> list[tuple[str, Summary]]:
        """Summaries with their places, the newest first."""
        entries = await self._call(
            "XREVRANGE", self._key("summaries"), f"({before}" if before else "+", "-", "COUNT", limit
        )
        return [(place, msgspec.msgpack.decode(content, type=Summary)) for place, content in _entries(entries)]

    async def bodies(self, trace_id: str) -> list[bytes]:
        """What is kept of a trace."""
        return cast("list[bytes]", await self._call("HVALS", self._key("t", trace_id)))

    async def totals(self, family: Family, resolution: Resolution, since: int, until: int) -> list[Totals]:
        """Figures of the windows that begin in this time."""
        step = WINDOW_S[resolution]
        windows = range(since - since % step, until, step)
        wanted = [(at, shard) for at in windows for shard in range(SHARDS) if at >= since]
        names = await self._names(family, since, until)
        found: dict[tuple[int, str], dict[str, int]] = defaultdict(dict)
        for first in range(0, len(wanted), _AT_ONCE):
            some = wanted[first : first + _AT_ONCE]
            hashes = await self._all(self._get("HGETALL", self._window(family, resolution, *each)) for each in some)
            for (at, _), fields in zip(some, hashes, strict=True):
                for field, value in cast("dict[bytes, bytes]", fields).items():
                    text = field.decode()
                    added(found[at, names.get(text[:_ID], OTHER)], {text[_ID:]: int(value)})
        return [Totals(at, name, fields) for (at, name), fields in found.items()]

    async def notes(self) -> list[Note]:
        """All of them, the newest first."""
        entries = await self._call("XREVRANGE", self._key("notes"), "+", "-", "COUNT", MOST_NOTES)
        return [msgspec.msgpack.decode(content, type=Note) for _, content in _entries(entries)]

    async def lines(self, after: str | None, limit: int) -> tuple[str, list[bytes]]:
        """Lines that came after a place."""
        key = self._key("lines")
        if after is None:
            newest = _entries(await self._call("XREVRANGE", key, "+", "-", "COUNT", 1))
            return (newest[0][0] if newest else "0-0"), []
        entries = _entries(await self._call("XRANGE", key, f"({after}", "+", "COUNT", limit))
        return (entries[-1][0] if entries else after), [content for _, content in entries]

    async def report(self, instance: str, report: bytes) -> None:
        """Say that an instance is there."""
        index = self._key("instances")
        await self._all(
            [
                self._get("SET", self._key("i", instance), report, "EX", INSTANCE_S),
                self._get("SADD", index, instance),
                self._get("EXPIRE", index, _DAY_S),
            ]
        )

    async def reports(self) -> dict[str, bytes]:
        """What those say who are there; who is not is forgotten."""
        index = self._key("instances")
        names = sorted(each.decode() for each in cast("Iterable[bytes]", await self._call("SMEMBERS", index)))
        said = await self._all(self._get("GET", self._key("i", name)) for name in names)
        found = {name: report for name, report in zip(names, said, strict=True) if isinstance(report, bytes)}
        if len(found) < len(names):
            await self._call("SREM", index, *(name for name in names if name not in found))
        return found

    async def set_level(self, logger: str, level: Level) -> None:
        """Let all instances know a level."""
        key = self._key(_LEVELS)
        await self._all(
            [
                self._get("HSET", key, logger, f"{level.level} {level.until_ms}"),
                self._get("EXPIRE", key, LONGEST_LEVEL_S),
                self._say(_LEVELS),
            ]
        )

    async def levels(self) -> dict[str, Level]:
        """Levels that were set."""
        found: dict[str, Level] = {}
        for logger, said in cast("dict[bytes, bytes]", await self._call("HGETALL", self._key(_LEVELS))).items():
            level, _, until = said.decode().partition(" ")
            found[logger.decode()] = Level(level, int(until))
        return found

    async def forget_levels(self, *loggers: str) -> None:
        """Forget some of them."""
        await self._call("HDEL", self._key(_LEVELS), *loggers)

    def listen(self, heard: Heard) -> Callable[[], None]:
        """Tell `heard` what others say; what was said while nobody could hear is asked for when they can again."""

        def receive(message: bytes) -> None:
            kind, *words = message.decode().split(" ")
            heard(words if kind == _WANT else [])

        return self._redis.subscribe(self._key("said"), receive, lambda: heard([]))

    def _counting(self, batch: Batch) -> list[Awaitable[Reply]]:
        """One script for each shard of each minute, with all that is counted there."""
        gathered: dict[tuple[Family, int, int], list[Argument]] = defaultdict(list)
        for (family, minute, name), fields in batch.counts.items():
            name_id, shard = _known_as(name)
            said = gathered[family, minute, shard]
            said += (name_id, name, len(fields))
            for field, value in fields.items():
                said += (field, value)
        return [self._count(*place, said) for place, said in gathered.items()]

    def _count(self, family: Family, minute: int, shard: int, said: list[Argument]) -> Awaitable[Reply]:
        kept = WINDOWS[family]
        windows = [
            self._window(family, resolution, minute - minute % WINDOW_S[resolution], shard) for resolution in kept
        ]
        lasting: list[Argument] = [WINDOW_S[resolution] * most for resolution, most in kept.items()]
        room, other = MOST_FIELDS // SHARDS, _known_as(OTHER)[0]
        terms: list[Argument] = [MOST_NAMES, room, other, _NAME_DAYS * _DAY_S, *lasting]
        names = self._key("n", family.value, minute // _DAY_S)
        return self._redis.run(Scripts.count, [names, *windows], [*terms, *said], timeout_s=PATIENCE_S)

    def _keeping(self, traces: Sequence[tuple[Summary, bytes]]) -> Awaitable[Reply]:
        keys = [self._key("summaries"), self._key("bodies")]
        args: list[Argument] = [self._most, MOST_PARTS, self._room, BODY_S]
        for summary, body in traces:
            keys.append(self._key("t", summary.trace_id))
            args += (summary.trace_id, summary.span_id, msgspec.msgpack.encode(summary), body, weight(body))
        return self._redis.run(Scripts.keep, keys, args, timeout_s=PATIENCE_S)

    def _adding(self, name: str, most: int, lasting_s: int, contents: Sequence[bytes]) -> list[Awaitable[Reply]]:
        if not contents:
            return []
        return [self._redis.run(Scripts.append, [self._key(name)], [most, lasting_s, *contents], timeout_s=PATIENCE_S)]

    async def _forget(self, gone: list[bytes]) -> None:
        pairs = zip(gone[::2], gone[1::2], strict=True)
        await self._all(self._get("HDEL", self._key("t", trace.decode()), span) for trace, span in pairs)

    async def _names(self, family: Family, since: int, until: int) -> dict[str, str]:
        days = range(since // _DAY_S, until // _DAY_S + 1)
        hashes = await self._all(self._get("HGETALL", self._key("n", family.value, day)) for day in days)
        return {
            name_id.decode(): name.decode("utf-8", "replace")
            for each in hashes
            for name_id, name in cast("dict[bytes, bytes]", each).items()
        }

    def _say(self, message: str) -> Awaitable[Reply]:
        return self._get(self._publish, self._key("said"), message)

    def _get(self, *command: Argument) -> Awaitable[Reply]:
        return self._redis.call(*command, timeout_s=PATIENCE_S)

    async def _call(self, *command: Argument) -> Reply:
        with budget(None):
            return await self._get(*command)

    async def _all(self, calls: Iterable[Awaitable[Reply]]) -> list[Reply]:
        """Wait for calls that travel together; none is left alone where another fails."""
        with budget(None):
            answers = await asyncio.gather(*calls, return_exceptions=True)
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
        return cast("list[Reply]", answers)

    def _key(self, *parts: str | int) -> str:
        return ":".join([self._prefix, *map(str, parts)])

    def _window(self, family: Family, resolution: Resolution, at: int, shard: int) -> str:
        return self._key("w", f"{family.value}{resolution.value}", at, shard)


def _known_as(name: str) -> tuple[str, int]:
    """The id of a name, the same everywhere, and its shard."""
    digest = blake2b(name.encode("utf-8", "surrogatepass"), digest_size=4).digest()
    return urlsafe_b64encode(digest)[:_ID].decode(), digest[0] % SHARDS


def _entries(reply: Reply) -> list[tuple[str, bytes]]:
    """Places and contents of a stream's entries."""
    entries = cast("list[tuple[bytes, list[bytes]]]", reply)
    return [(place.decode(), fields[1]) for place, fields in entries]
