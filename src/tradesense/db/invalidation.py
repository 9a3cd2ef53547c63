"""What happens between a commit and its answer: copies of what was there before are thrown away."""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import timedelta
from typing import Final, Protocol
from uuid import UUID

from keel.clock import Clock
from keel.tasks import Tasks
from tradesense.db import outbox
from tradesense.db.engine import Database
from tradesense.db.writes import Touches, Write

BATCH_S: Final = 0.25
"""How long writes that are done with are gathered, to be marked in one transaction; well below `replay.OVERDUE`."""

KEYS_TAG: Final = "user:api-keys"
"""The tag of all copies of API keys."""

_LOG: Final = logging.getLogger(__name__)


class Invalidator(Protocol):
    """Whoever keeps copies of answers, each with the tag of its user, and of what tokens open.

    What is asked is done on return, in all instances that share the copies; where it cannot be, this raises.
    """

    async def invalidate_tags(self, *tags: str) -> object:
        """Throw away what carries one of the tags."""

    async def forget_tokens(self, hashes: Collection[bytes]) -> object:
        """Throw away the sessions and API keys of tokens that have these hashes."""

    async def forget_all_tokens(self) -> object:
        """Throw away all that this process has of sessions and API keys."""


Heard = Callable[[Sequence[Write]], None]
"""Is told of writes once the copies of what was there before are gone; must neither raise nor wait."""


def unheard(_writes: Sequence[Write]) -> None:
    """Where nobody wants to know."""


def user_tag(user_id: UUID) -> str:
    """The tag of every copy of what one user sees."""
    return f"user:{user_id}"


def labels_tag(user_id: UUID) -> str:
    """The tag, beside their user's, of copies that go by what a user's trades are labelled with."""
    return f"labels:{user_id}"


def profile_tag(user_id: UUID) -> str:
    """The tag of copies of the user's own row, which every write of their data changes."""
    return f"user:{user_id}:profile"


def key_place(token_hash: bytes) -> str:
    """The name of the copy of an API key."""
    return f"api-key:{token_hash.hex()}"


def account_tag(account_id: UUID) -> str:
    """The tag that a copy has of each account in it, beside its user's: a write to all of them names the user alone."""
    return f"account:{account_id}"


def tags_of(writes: Iterable[Write]) -> list[str]:
    """The tags of all copies of answers that these writes make worthless, each once."""
    tags: dict[str, None] = {}
    for write in writes:
        if write.touches not in {Touches.TOKENS, Touches.NOTHING}:
            tags[profile_tag(write.user_id)] = None
        if write.touches is Touches.LEDGER:
            tags[user_tag(write.user_id)] = None
            tags |= dict.fromkeys(account_tag(each) for each in write.accounts or ())
        elif write.touches is Touches.LABELS:
            tags[labels_tag(write.user_id)] = None
    return list(tags)


def ended_by(writes: Iterable[Write]) -> list[bytes]:
    """The hashes of all tokens that these writes ended."""
    return [each for write in writes for each in write.ended]


class Invalidations:
    """Throws copies away for transactions of this process, before their answers go out.

    Where that fails, a write's row in the outbox stays undone, and `replay.OutboxReplay` tries again. `heard` is told
    of the writes after that.
    """

    def __init__(self, invalidator: Invalidator, clock: Clock, heard: Heard = unheard) -> None:
        self._invalidator = invalidator
        self._clock = clock
        self._heard = heard
        self._tasks = Tasks()
        self._settled: list[int] = []
        self._is_any = asyncio.Event()

    def __call__(self, writes: Sequence[Write], *, is_certain: bool) -> asyncio.Task[None]:
        """Begin to throw away what the writes of a transaction make worthless; see `AfterCommit`."""
        return self._tasks.start("invalidation", self._invalidate(writes, is_certain=is_certain), finish=True)

    async def _invalidate(self, writes: Sequence[Write], *, is_certain: bool) -> None:
        try:
            await self._throw_away(writes, is_certain=is_certain)
        finally:
            if is_certain:
                self._heard(writes)

    async def _throw_away(self, writes: Sequence[Write], *, is_certain: bool) -> None:
        tags, ended = tags_of(writes), ended_by(writes)
        try:
            try:
                if ended:
                    await self._invalidator.forget_tokens(ended)
            finally:
                if tags:
                    await self._invalidator.invalidate_tags(*tags)
        except Exception as error:  # noqa: BLE001 - whatever it is, the outbox has it
            what = [*tags, f"{len(ended)} tokens"]
            _LOG.warning("invalidating %s failed and will be tried again: %r", ", ".join(what), error)
            return
        if is_certain:  # or a copy may be made between now and the commit
            self._settled += [write.id for write in writes]
            self._is_any.set()

    def start(self, database: Database) -> None:
        """Begin to mark in the background, in batches, what is done."""
        self._tasks.start("marking the outbox", self._mark_in_batches(database))

    async def _mark_in_batches(self, database: Database) -> None:
        while True:
            await self._is_any.wait()
            await asyncio.sleep(BATCH_S)
            await asyncio.wait([self._tasks.start("marking a batch of the outbox", self._mark(database), finish=True)])

    async def _mark(self, database: Database) -> None:
        self._is_any.clear()
        settled, self._settled = self._settled, []  # where this fails they are replayed, which does no harm
        if settled:
            async with database.write() as connection:
                await outbox.mark_done(connection, settled, self._clock.now())

    async def close(self, database: Database, grace: timedelta) -> None:
        """Mark the rest and end, once nobody writes any more."""
        self._tasks.start("marking the rest of the outbox", self._mark(database), finish=True)
        await self._tasks.close(grace)
