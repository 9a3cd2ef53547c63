"""PostgreSQL's word that somebody has written, over a connection that does nothing but listen.

It comes with the commit, so that others need not wait for their next look at the outbox. Nothing rests upon it: what is
said while the connection is away is found by looking.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final

import asyncpg  # type: ignore[import-untyped]
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from tradesense.db.engine import Database
from tradesense.db.outbox import CHANNEL

RECONNECT_S: Final = 0.5
HEARTBEAT_S: Final = 10.0
"""A connection that is silently cut says nothing of it until it is asked, and then has as long to answer."""

NAME: Final = "tradesense: listening"
"""What the connection is called in `pg_stat_activity`."""

CUT: Final = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, SQLAlchemyError)
"""What is raised where the database is away, or takes too long."""

_LOG: Final = logging.getLogger(__name__)


class Notices:
    """Calls `heard` where another instance has written, and whenever something may have been missed."""

    def __init__(self, database: Database, heard: Callable[[], None]) -> None:
        self._database = database
        self._heard = heard
        self._own = str(database.origin)

    async def run(self) -> None:
        """Listen for ever."""
        named = {"server_settings": {"application_name": NAME}}
        engine = create_async_engine(self._database.url, poolclass=NullPool, connect_args=named)
        while True:
            try:
                await self._listen(engine)
            except CUT as error:
                _LOG.info("the connection that listens for writes was cut: %r", error)
            await asyncio.sleep(RECONNECT_S)

    async def _listen(self, engine: AsyncEngine) -> None:
        cut = asyncio.Event()
        async with engine.connect() as connection:
            driver: Any = (await connection.get_raw_connection()).driver_connection
            driver.add_termination_listener(lambda _connection: cut.set())
            await driver.add_listener(CHANNEL, self._receive)
            self._heard()
            while not await _happens(cut, HEARTBEAT_S):
                await driver.execute("SELECT 1", timeout=HEARTBEAT_S)
            await connection.invalidate()

    def _receive(self, _connection: object, _pid: int, _channel: str, origin: str) -> None:
        if origin != self._own:
            self._heard()


async def _happens(event: asyncio.Event, within_s: float) -> bool:
    try:
        async with asyncio.timeout(within_s):
            return await event.wait()
    except TimeoutError:
        return False
