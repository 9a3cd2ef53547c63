"""The working copy that all processes share: copies of sessions on Redis or Valkey, before a durable store.

A copy is stored only with a lease that was taken before the durable store was asked, and ends take it away; it counts
under the epoch that was read before. So whatever overtakes what, no copy outlives the end of its token.
"""

import asyncio
import logging
import secrets
from collections.abc import Collection, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Final, NamedTuple

from keel.clock import Clock
from keel.context import budget
from keel.redis.contract import CommandRefused, RedisUnavailable
from keel.sessions.contract import DurableSessions, Kept, Lifetimes, Subject
from keel.sessions.keys import State, read_state
from keel.sessions.scripts import Scripts, Server
from keel.sessions.standing import Standing

LEASE_MS: Final = 2000
"""How long the durable store may take to answer, if the answer is to be kept."""
TRIES: Final = 3
"""How often a use is noted anew where others note theirs at the same time."""

_LOG: Final = logging.getLogger(__name__)


class _Look(NamedTuple):
    """What the server has of a session: the state as it is written and read, and today's epoch."""

    written: bytes | None
    state: State | None
    epoch: bytes | None


class SharedCopies:
    """`DurableSessions` over another one, `durable`, which decides, and is asked for what there is no copy of."""

    def __init__(
        self, server: Server, standing: Standing, durable: DurableSessions, clock: Clock, lifetimes: Lifetimes
    ) -> None:
        self._server = server
        self._standing = standing
        self._durable = durable
        self._clock = clock
        self._lifetimes = lifetimes
        self._ttl_ms = int(lifetimes.check.total_seconds() * 2000)

    async def add(self, token_hash: bytes, user_id: Subject, data: Mapping[str, str]) -> Kept:
        """Keep a new session; it is copied when it is first used."""
        return await self._durable.add(token_hash, user_id, data)

    async def find(self, token_hash: bytes) -> Kept:
        """The session of a token."""
        return await self._get(token_hash, use=False)

    async def use(self, token_hash: bytes) -> Kept:
        """As `find`, and note the use: here once per `Lifetimes.touch`."""
        return await self._get(token_hash, use=True)

    async def rotate(self, old: bytes, new: bytes) -> Kept:
        """Let the session have another token."""
        return await self._durable.rotate(old, new)

    async def end(self, user_id: Subject, *, only: str | None = None, but: str | None = None) -> int:
        """End the user's sessions."""
        return await self._durable.end(user_id, only=only, but=but)

    async def of_user(self, user_id: Subject) -> list[Kept]:
        """The user's living sessions, with the last uses that are known here."""
        found = await self._durable.of_user(user_id)
        if self._standing.is_open:
            with suppress(RedisUnavailable, CommandRefused):
                places = [self._server.keys.session(each.token_hash) for each in found]
                states = map(read_state, await self._server.redis.read_many(places))
                return [_seen_by(kept, state) for kept, state in zip(found, states, strict=True)]
        return found

    async def forget(self, hashes: Collection[bytes]) -> None:
        """These tokens have ended; raises where that could not be said, and then no copy counts until it is."""
        try:
            with budget(None):
                await asyncio.gather(*(self._server.end(each) for each in hashes))
        except (RedisUnavailable, CommandRefused) as error:
            _LOG.warning("the end of a session did not reach Redis, where no copy counts until it does: %s", error)
            self._standing.missed()
            raise

    async def _get(self, token_hash: bytes, *, use: bool) -> Kept:
        if self._standing.is_open:
            with suppress(RedisUnavailable, CommandRefused):
                for _ in range(TRIES):
                    found = await self._look(token_hash)
                    now = self._clock.now()
                    if not self._counts(found, now):
                        return await self._load(token_hash, found, use=use)
                    kept = await self._noted(found, now) if use else _kept(found)
                    if kept is not None:
                        return kept
        return await self._ask(token_hash, use=use)

    async def _look(self, token_hash: bytes) -> _Look:
        keys = self._server.keys
        written, epoch = await self._server.redis.read_many([keys.session(token_hash), keys.epoch])
        return _Look(written, read_state(written), epoch)

    def _counts(self, found: _Look, now: datetime) -> bool:
        if found.state is None or found.state.epoch != found.epoch:
            return False
        kept = found.state.kept
        return abs(now - kept.checked_at) < self._lifetimes.check and not kept.is_over(now)

    async def _noted(self, found: _Look, now: datetime) -> Kept | None:
        """The session, used; None where its state is another one by now."""
        state, kept = found.state, _kept(found)
        if state is None or found.written is None or kept is None:
            return None
        if now - kept.session.last_seen_at < self._lifetimes.touch:
            return kept
        used = kept.used(now, self._lifetimes)
        after = State(state.epoch, used).written()
        return used if await self._server.swap(kept.token_hash, found.written, after, self._ttl_ms) else None

    async def _load(self, token_hash: bytes, found: _Look, *, use: bool) -> Kept:
        lease, keys = secrets.token_bytes(16), self._server.keys
        leasing = self._server.redis.call("SET", keys.lease(token_hash), lease, "NX", "PX", LEASE_MS)
        leased, epoch = await asyncio.gather(leasing, self._epoch(found))
        kept = _seen_by(await self._ask(token_hash, use=use), found.state)
        if leased is not None:
            now = self._clock.now()
            if use and now - kept.session.last_seen_at >= self._lifetimes.touch:
                kept = kept.used(now, self._lifetimes)
            with suppress(RedisUnavailable, CommandRefused):
                places = [keys.session(token_hash), keys.lease(token_hash)]
                await self._server.redis.run(Scripts.fill, places, [lease, State(epoch, kept).written(), self._ttl_ms])
        return kept

    async def _epoch(self, found: _Look) -> bytes:
        return found.epoch or await self._server.enter(self._standing.identity, anew=False)

    async def _ask(self, token_hash: bytes, *, use: bool) -> Kept:
        return await (self._durable.use(token_hash) if use else self._durable.find(token_hash))


def _kept(found: _Look) -> Kept | None:
    return None if found.state is None else found.state.kept


def _seen_by(kept: Kept, state: State | None) -> Kept:
    return kept if state is None else kept.seen_by(state.kept)
