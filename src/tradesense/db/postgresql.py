"""PostgreSQL's engine. Who has waited long enough for an answer lets go of the connection: nobody waits for ever.

A server that stands still, and a network that swallows everything, keep a connection open and never answer.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from contextvars import ContextVar
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import URL, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import TimeoutError as NoneFree
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from keel.traces.statements import watch_statements

COME_BACK: Final = timedelta(seconds=5)
_AWAY: Final = frozenset({"53300", "57P01", "57P02", "57P03"})
"""The server has too many connections, is being stopped, has crashed, is starting (PostgreSQL, appendix A)."""

_hurries: Final[ContextVar[bool]] = ContextVar("hurries", default=True)


class DatabaseAway(Exception):
    """The database does not answer, or not in time; its cause says why. What was written may have been, or not."""

    retry_after = COME_BACK

    def __init__(self) -> None:
        super().__init__("The database does not answer.")


@contextmanager
def unhurried() -> Iterator[None]:
    """Let statements inside take their time: an import's, a migration's."""
    token = _hurries.set(False)
    try:
        yield
    finally:
        _hurries.reset(token)


def hurries() -> bool:
    """Whether somebody waits for what is done here, and not for ever."""
    return _hurries.get()


def postgresql_engine(url: URL, pool_size: int, patience_s: float | None = None) -> AsyncEngine:
    """An engine that waits so long at most for a connection, and for the answer to anything that is asked on it."""
    options: dict[str, Any] = {}
    if patience_s is not None:
        options = {
            "pool_timeout": patience_s,
            "connect_args": {"timeout": patience_s, "command_timeout": patience_s},
        }
    engine = create_async_engine(url, pool_size=pool_size, max_overflow=pool_size, hide_parameters=True, **options)
    watch_statements(engine.sync_engine)
    event.listen(engine.sync_engine, "handle_error", _judge)
    return engine


def _judge(context: ExceptionContext) -> DatabaseAway | None:
    """Throw a connection away that has not answered in time, and all that are idle; say so whatever it was."""
    error: Any = context.original_exception
    if isinstance(error, TimeoutError):
        context.is_disconnect = True
    is_away = context.is_disconnect or getattr(error, "sqlstate", None) in _AWAY
    return DatabaseAway() if is_away and isinstance(error, Exception) else None


@asynccontextmanager
async def connected(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A connection; raises `DatabaseAway` where there is none to be had."""
    async with AsyncExitStack() as stack:
        try:
            connection = await stack.enter_async_context(engine.connect())
        except (OSError, NoneFree) as error:
            raise DatabaseAway from error
        yield connection
