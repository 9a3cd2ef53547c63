"""What is said on users' channels once a write is committed; whatever becomes of it, the write stands."""

import logging
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from keel.context import budget
from keel.events.contract import Events
from keel.tasks import Tasks
from tradesense.db.tables import ImportStatus
from tradesense.db.writes import Touches, Write
from tradesense.events.service.channels import of_import, of_user
from tradesense.events.service.reports import Waiting
from tradesense.ingest.service.running import Progress

_LOG: Final = logging.getLogger(__name__)

_OF_SESSIONS: Final = {Touches.TOKENS: "session.ended", Touches.NOTHING: "session.created"}

Json = Mapping[str, Any]


class Announcements:
    """Publishes, in tasks of its own: nobody who has written waits for it, or hears of its failure.

    Of writes to a ledger, `waiting` has those of which there is more to find out.
    """

    def __init__(self, events: Events) -> None:
        self.waiting = Waiting()
        self._events = events
        self._tasks = Tasks()

    def heard(self, writes: Sequence[Write]) -> None:
        """Say what became of users' data, sessions and imports. A write that is heard of twice is told of once."""
        for each in writes:
            known = f"write:{each.id}"
            if each.import_end is not None:
                self._say_of_import(UUID(each.import_end["import_id"]), each.user_id, each.import_end, known)
                continue
            if each.touches in _OF_SESSIONS:
                self._say(of_user(each.user_id), {"type": _OF_SESSIONS[each.touches]}, idempotency_key=known)
                continue
            self._say(of_user(each.user_id), _data(each), idempotency_key=known)
            if each.touches is Touches.LEDGER:
                self.waiting.note(each)

    def progress(self, progress: Progress) -> None:
        """Say how far an import has come, of what follows closely the newest; `heard` tells its end."""
        if progress.status is ImportStatus.RUNNING:
            self._say_of_import(progress.import_id, progress.user_id, progress.said(), None)

    async def close(self, grace: timedelta) -> None:
        """Say the rest, and nothing after that."""
        await self._tasks.close(grace)

    def _say_of_import(self, import_id: UUID, user: UUID, said: Json, end: str | None) -> None:
        coalesce = f"import:{import_id}" if end is None else None
        for channel in (of_import(import_id), of_user(user)):
            self._say(channel, said, idempotency_key=end, coalesce=coalesce)

    def _say(
        self, channel: str, data: Json, *, idempotency_key: str | None = None, coalesce: str | None = None
    ) -> None:
        saying = self._publish(channel, data, idempotency_key, coalesce)
        try:
            self._tasks.start(f"telling {channel}", saying, finish=True)
        except RuntimeError:  # everything is closed already
            _LOG.info("%s on %s is not told any more", data["type"], channel)

    async def _publish(self, channel: str, data: Json, idempotency_key: str | None, coalesce: str | None) -> None:
        with budget(None):
            await self._events.publish(channel, data, idempotency_key=idempotency_key, coalesce=coalesce)


def _data(write: Write) -> Json:
    return {
        "type": "data",
        "version": write.version,
        "touches": write.touches,
        "accounts": None if write.accounts is None else [*write.accounts],
    }
