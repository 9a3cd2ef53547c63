"""What a write to a ledger has brought and changed, found out behind it, where anybody listens."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NamedTuple
from uuid import UUID

from keel.context import budget, principal
from keel.errors import Refusal
from keel.events.contract import Events, MessageTooLarge
from tradesense.analytics.repository import Selection
from tradesense.analytics.service.studies import Question
from tradesense.db.engine import Database
from tradesense.db.writes import Write
from tradesense.events import repository
from tradesense.events.service.channels import of_user
from tradesense.http.authentication import Principal, UserId
from tradesense.portfolio.service import Portfolio

GATHER_S: Final = 0.2
"""How long writes are gathered: those that follow closely make one summary."""
REMEMBERED: Final = 1000
"""Users whose last summary is kept, to tell what of it has changed; the least recent ones go."""
MOST_GENERATIONS: Final = 100
"""Generations of one user's accounts that wait to be told of; beyond that the oldest are not."""

_OF_THE_MOMENT: Final = frozenset({"as_of", "version"})
_LOG: Final = logging.getLogger(__name__)

Json = Mapping[str, Any]
ActingFor = Callable[[UserId], Awaitable[Principal]]
"""The user, as this process acts for them; raises a Refusal where they are disabled, or gone."""


class _Brought(NamedTuple):
    account_id: UUID
    generation: int
    version: int


class Waiting:
    """Users whose ledgers were written, and the generations that were published."""

    def __init__(self) -> None:
        self._users: dict[UUID, list[_Brought]] = {}
        self._is_any = asyncio.Event()

    def note(self, write: Write) -> None:
        """A ledger was written."""
        brought = self._users.setdefault(write.user_id, [])
        brought += [_Brought(account, born, write.version) for account, born in write.published]
        del brought[:-MOST_GENERATIONS]
        self._is_any.set()

    async def take(self) -> Mapping[UUID, list[_Brought]]:
        """All that there is, once there is any."""
        await self._is_any.wait()
        await asyncio.sleep(GATHER_S)
        self._is_any.clear()
        taken, self._users = self._users, {}
        return taken


class Reports:
    """Tells users who listen which executions and trades came, and what of their summary has changed."""

    def __init__(
        self, waiting: Waiting, events: Events, database: Database, portfolio: Portfolio, acting_for: ActingFor
    ) -> None:
        self._waiting = waiting
        self._events = events
        self._database = database
        self._portfolio = portfolio
        self._acting_for = acting_for
        self._last: OrderedDict[UUID, Json] = OrderedDict()

    async def run(self) -> None:
        """Report for ever."""
        while True:
            for user, brought in (await self._waiting.take()).items():
                try:
                    with budget(None), principal(user):
                        await self._report(user, brought)
                except Refusal:
                    continue  # they are disabled, or gone
                except Exception:  # noqa: BLE001 - logged; whoever listens has heard that the data has another version
                    _LOG.warning("what a write has changed could not be told", exc_info=True)

    async def _report(self, user: UUID, brought: list[_Brought]) -> None:
        if not await self._events.presence(of_user(user)):
            self._last.pop(user, None)
            return
        for each in brought:
            await self._tell_rows(user, each)
        await self._tell_summary(user)

    async def _tell_rows(self, user: UUID, brought: _Brought) -> None:
        async with self._database.read() as connection:
            found = await repository.generation(connection, brought.account_id, brought.generation)
        for kind, rows in found._asdict().items():
            said = {
                "type": kind,
                "account_id": brought.account_id,
                "version": brought.version,
                "count": rows.number,
                "ids": rows.ids,
            }
            known = f"{kind}:{brought.account_id}:{brought.generation}"
            await self._events.publish(of_user(user), said, idempotency_key=known)

    async def _tell_summary(self, user: UUID) -> None:
        who, before = await self._acting_for(UserId(user)), self._last.get(user)
        now = await self._portfolio.summary(who, Question(Selection()))
        changed = _changed(before, now)
        if not changed:
            return
        self._last[user] = now
        self._last.move_to_end(user)
        if len(self._last) > REMEMBERED:
            self._last.popitem(last=False)
        said = {
            "type": "summary",
            "version": now["version"],
            "since": None if before is None else before["version"],
            "changed": changed,
        }
        try:
            await self._events.publish(of_user(user), said)
        except MessageTooLarge:
            await self._events.publish(of_user(user), {**said, "changed": None})


def _changed(before: Json | None, now: Json) -> dict[str, Any]:
    """The members of a summary that are not what they were; all of them where it is not known what they were."""
    return {
        name: value
        for name, value in now.items()
        if name not in _OF_THE_MOMENT and (before is None or name not in before or before[name] != value)
    }
