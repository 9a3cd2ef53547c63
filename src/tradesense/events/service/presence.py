"""Who is connected."""

from collections.abc import Sequence
from operator import attrgetter
from typing import NamedTuple
from uuid import UUID

from keel.events.contract import Events
from tradesense.db.engine import Database
from tradesense.events import repository
from tradesense.events.service.channels import CONNECTIONS


class Connected(NamedTuple):
    """A user who has live connections open, over all processes; no email where there is no such user any more."""

    user_id: UUID
    email: str | None
    connections: int


class Presence:
    """Knows who has live connections open."""

    def __init__(self, events: Events, database: Database) -> None:
        self._events = events
        self._database = database

    async def connected(self, after: UUID | None, limit: int) -> Sequence[Connected]:
        """A part of the list of users who are connected, by id."""
        found = await self._events.presence(CONNECTIONS)
        there = sorted((Connected(UUID(user), None, count) for user, count in found.items()), key=attrgetter("user_id"))
        page = [each for each in there if after is None or each.user_id > after][:limit]
        async with self._database.read() as connection:
            emails = await repository.emails(connection, [each.user_id for each in page])
        return [each._replace(email=emails.get(each.user_id)) for each in page]
