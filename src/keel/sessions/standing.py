"""Whether what Redis has of sessions can be relied upon right now, and what is done when it comes back.

Away: nothing is read from it, nor from memory, and the durable store decides. On the way back from any gap in which an
end may have been missed the epoch is raised, so that no copy of before counts, in any process.
"""

import asyncio
import logging
from typing import Final

from keel.context import budget
from keel.redis.contract import CommandRefused, RedisUnavailable
from keel.sessions.memory import LocalCopies
from keel.sessions.scripts import Server
from keel.tasks import Tasks

RETRY_S: Final = 0.2

_LOG: Final = logging.getLogger(__name__)


class Standing:
    """Watches the connection, and listens to ends on behalf of the copies in memory.

    `has_epoch` where the server has copies of what a durable store behind it keeps.
    """

    def __init__(self, server: Server, local: LocalCopies, tasks: Tasks, *, has_epoch: bool) -> None:
        self._server = server
        self._local = local
        self._tasks = tasks
        self._has_epoch = has_epoch
        self._recovery: asyncio.Task[None] | None = None
        self._is_up = False
        self._is_tracked = False
        self._missed = 0
        self.identity = ""
        """Of the servers; see `keel.redis.contract.Watcher`."""
        self.is_open = False
        """Whether the server's copies may be read."""
        local.trust(trusted=False)

    def went_up(self, identity: str) -> None:
        """The servers can be reached."""
        self._is_up, self.identity = True, identity
        self._recover_anew()

    def went_down(self) -> None:
        """The servers are away, and what is ended meanwhile cannot be told."""
        self._is_up = False
        self._missed += 1
        self._close()

    def missed(self) -> None:
        """A token has ended, and the servers could not be told, or did not say."""
        self._missed += 1
        if self._is_up:
            self._recover_anew()

    def lost(self) -> None:
        """Ends may no longer be heard."""
        self._is_tracked = False
        self._local.trust(trusted=False)

    def live(self) -> None:
        """Every end is heard from now on."""
        self._is_tracked = True
        self._local.trust(trusted=self.is_open)

    def changed(self, notices: list[bytes] | None) -> None:
        """Somebody has ended tokens; None where the server was emptied."""
        ended = [None] if notices is None else [self._server.keys.ended(each) for each in notices]
        if None in ended:
            self._local.forget_all()
        else:
            self._local.forget([each for each in ended if each is not None])

    def _recover_anew(self) -> None:
        self._close()
        self._recovery = self._tasks.start("recovery of sessions", self._recover())

    def _close(self) -> None:
        self.is_open = False
        self._local.trust(trusted=False)
        if self._recovery is not None:
            self._recovery.cancel()
            self._recovery = None

    async def _recover(self) -> None:
        if self._has_epoch:
            await self._enter()
        self.is_open = True
        self._local.trust(trusted=self._is_tracked)

    async def _enter(self) -> None:
        while True:
            missed = self._missed
            try:
                with budget(None):
                    await self._server.enter(self.identity, anew=missed > 0)
            except (RedisUnavailable, CommandRefused) as error:
                _LOG.warning("copies of sessions on Redis cannot be relied upon yet: %s", error)
                await asyncio.sleep(RETRY_S)
            else:
                self._missed -= missed
                return
