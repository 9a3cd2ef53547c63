"""Sessions that a server alone keeps, for programs without a database. One that forgets logs everybody out."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Final

from keel.clock import Clock
from keel.ids import uuid7
from keel.redis.contract import Argument, Reply
from keel.sessions.contract import Kept, Lifetimes, SessionExpired, SessionUnknown, Subject
from keel.sessions.keys import State, ms_until, read_state
from keel.sessions.memory import chosen, newest_first
from keel.sessions.scripts import Scripts, Server

STONE: Final = b"ended"
_NO_EPOCH: Final = b""


class RedisSessions:
    """`DurableSessions` on a server: a key per token, and per user a list of tokens.

    A token is listed before it counts, and its end is marked before it is taken off the list: a process that dies in
    between leaves no session that its user cannot end. One that dies within `rotate` ends the session. `forget` hears
    of tokens that have ended here; other processes hear of them by notices.
    """

    def __init__(
        self, server: Server, clock: Clock, lifetimes: Lifetimes, forget: Callable[[Collection[bytes]], None]
    ) -> None:
        self._server = server
        self._clock = clock
        self._lifetimes = lifetimes
        self._forget = forget

    async def add(self, token_hash: bytes, user_id: Subject, data: Mapping[str, str]) -> Kept:
        """Keep a new session."""
        now = self._clock.now()
        kept = Kept.begun(token_hash, str(uuid7()), str(user_id), dict(data), self._lifetimes, now)
        await self._put(kept)
        await self._end((await self.of_user(user_id))[self._lifetimes.per_user :])
        return kept

    async def _put(self, kept: Kept) -> None:
        keys, now = self._server.keys, self._clock.now()
        listed: list[Argument] = [
            int(now.timestamp() * 1000),
            int(kept.ends_at.timestamp() * 1000),
            kept.token_hash.hex(),
        ]
        await self._server.redis.run(Scripts.admit, [keys.index(kept.session.user_id)], listed)
        place, ttl_ms = keys.session(kept.token_hash), ms_until(kept.ends_at, now)
        await self._server.redis.call("SET", place, _written(kept), "PX", ttl_ms)

    async def find(self, token_hash: bytes) -> Kept:
        """The session of a token."""
        return (await self._read(token_hash))[1]

    async def _read(self, token_hash: bytes) -> tuple[bytes, Kept]:
        now = self._clock.now()
        written = _bytes(await self._server.redis.call("GET", self._server.keys.session(token_hash)))
        state = read_state(written)
        if written == STONE or (state is not None and state.kept.is_over(now)):
            raise SessionExpired
        if state is None:
            raise SessionUnknown
        return written, replace(state.kept, checked_at=now)

    async def use(self, token_hash: bytes) -> Kept:
        """As `find`, and note the use, once per `Lifetimes.touch`."""
        while True:
            written, kept = await self._read(token_hash)
            now = kept.checked_at
            if now - kept.session.last_seen_at < self._lifetimes.touch:
                return kept
            used = kept.used(now, self._lifetimes)
            if await self._server.swap(token_hash, written, _written(used), ms_until(kept.ends_at, now)):
                return used

    async def rotate(self, old: bytes, new: bytes) -> Kept:
        """Let the session have another token."""
        while True:
            try:
                written, kept = await self._read(old)
            except SessionExpired:
                raise SessionUnknown from None
            if await self._server.end(old, state=written):
                break
        self._forget([old])
        kept = replace(kept, token_hash=new)
        await self._put(kept)
        await self._unlist(kept.session.user_id, [old])
        return kept

    async def end(self, user_id: Subject, *, only: str | None = None, but: str | None = None) -> int:
        """End the user's sessions."""
        return await self._end(chosen(await self.of_user(user_id), only, but))

    async def _end(self, ending: Collection[Kept]) -> int:
        if not ending:
            return 0
        hashes = [each.token_hash for each in ending]
        try:
            ended = await asyncio.gather(*(self._server.end(each, stone=STONE) for each in hashes))
        finally:
            self._forget(hashes)
        await self._unlist(next(iter(ending)).session.user_id, hashes)
        return sum(ended)

    async def _unlist(self, user_id: Subject, hashes: Collection[bytes]) -> None:
        await self._server.redis.call("ZREM", self._server.keys.index(user_id), *(each.hex() for each in hashes))

    async def of_user(self, user_id: Subject) -> list[Kept]:
        """The user's living sessions, newest use first."""
        listed = await self._server.redis.call("ZRANGE", self._server.keys.index(user_id), 0, -1)
        hashes = [bytes.fromhex(_bytes(each).decode()) for each in listed] if isinstance(listed, list) else []
        found = await self._server.redis.read_many([self._server.keys.session(each) for each in hashes])
        now, states = self._clock.now(), map(read_state, found)
        return newest_first([each.kept for each in states if each is not None and not each.kept.is_over(now)])


def _written(kept: Kept) -> bytes:
    return State(_NO_EPOCH, kept).written()


def _bytes(reply: Reply) -> bytes:
    return reply if isinstance(reply, bytes) else b""
