"""The product's channels: their names, and who may hear them."""

from typing import Final
from uuid import UUID

from keel.errors import NotFound, Refusal
from tradesense.http.authentication import UserId
from tradesense.ingest.service.uploads import Imports

CONNECTIONS: Final = "connections"
"""A channel of ours on which nothing is said; every connection is a member, by its user's id."""


class ChannelNotFound(NotFound):
    """There is no such channel, or it is not yours."""

    def __init__(self) -> None:
        super().__init__("There is no such channel.")


def of_user(user: UUID) -> str:
    """Where a user hears of everything that is theirs."""
    return f"user:{user}"


def of_import(import_id: UUID) -> str:
    """Where the progress of one import is heard."""
    return f"import:{import_id}"


def of_connections(user: UUID) -> str:
    """A channel of ours on which nothing is said; the connections of one user are its members, and are counted."""
    return f"{CONNECTIONS}:{user}"


class Channels:
    """Decides who may hear what."""

    def __init__(self, imports: Imports) -> None:
        self._imports = imports

    async def check(self, user: UserId, channel: str) -> None:
        """Raise `ChannelNotFound` unless this user may hear the channel: another's is not told from none."""
        if channel == of_user(user):
            return
        kind, _, name = channel.partition(":")
        try:
            import_id = UUID(name)
        except ValueError:
            raise ChannelNotFound from None
        if kind != "import" or channel != of_import(import_id):
            raise ChannelNotFound
        try:
            await self._imports.get(user, import_id)
        except Refusal:
            raise ChannelNotFound from None
