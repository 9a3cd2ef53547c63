"""What `doctor` looks at: each check gives findings, and a finding that is not good says how to mend it."""

import re
import shutil
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from keel.clock import SystemClock
from keel.health.machine import FULL, SCARCE
from keel.redis.connecting import connect
from keel.redis.contract import CommandRefused, Redis, RedisUnavailable
from tradesense.db.engine import Database, ReadConnection
from tradesense.db.migrations import revisions
from tradesense.db.postgresql import DatabaseAway
from tradesense.ingest.repository import queue as imports
from tradesense.settings import OWNERS_FOLDER
from tradesense.work import repository as tasks

_GIB: Final = 1 << 30
_OLDEST: Final = 7
"""The first version of Redis whose scripts may say what they need."""
_VERSION: Final = re.compile(rb"redis_version:(\d+)")
_PATIENCE_S: Final = 2.0
_LONG: Final = timedelta(minutes=1)


class State(StrEnum):
    """How a finding stands; only `BAD` makes `doctor` fail."""

    GOOD = "good"
    FAIR = "fair"
    BAD = "bad"


class Finding(NamedTuple):
    """One thing looked at: its name, what was found, and what to do where it is not good."""

    subject: str
    state: State
    found: str
    mend: str = ""


def disk(data_dir: Path) -> Iterator[Finding]:
    """Whether the folder of files takes a file, and how much room its disk has."""
    try:
        data_dir.mkdir(OWNERS_FOLDER, parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=data_dir, prefix=".doctor-"):
            pass
    except OSError as error:
        mend = "make the folder writable for this user, or point TRADESENSE_DATA_DIR at one that is"
        yield Finding("data folder", State.BAD, f"{data_dir}: {error.strerror}", mend)
        return
    yield Finding("data folder", State.GOOD, f"{data_dir} is writable")
    yield room(shutil.disk_usage(data_dir).free)


def room(free: int) -> Finding:
    """What `free` bytes on the disk mean."""
    state = State.BAD if free < FULL else State.FAIR if free < SCARCE else State.GOOD
    mend = "" if state is State.GOOD else "free some: an import keeps its file and needs about five times its size"
    return Finding("disk", state, f"{free / _GIB:.1f} GiB free", mend)


async def missing(data_dir: Path, url: str) -> list[Finding]:
    """What nothing can begin without and is not there: a data folder that can be written, a database that answers."""
    found = [next(disk(data_dir))]
    async with aclosing(database(url)) as findings:
        found.append(await anext(findings))
    return [each for each in found if each.state is State.BAD]


async def database(url: str) -> AsyncGenerator[Finding, None]:
    """Whether the database answers, and whether its tables are those of this version."""
    try:
        opened = Database(url, pool_size=1)
    except (ValueError, ArgumentError) as error:
        yield Finding("database", State.BAD, str(error), "set DATABASE_URL to sqlite:///… or postgresql://…")
        return
    name = opened.url.render_as_string(hide_password=True)
    if _absent(opened):
        yield Finding("database", State.FAIR, f"{name} does not exist yet", "`tradesense serve` creates it")
        return
    try:
        async with opened.read() as connection:
            yield Finding("database", State.GOOD, f"{name} answers")
            migrations = await _migrations(connection)
            yield migrations
            if migrations.state is State.GOOD:
                yield await _work(connection, SystemClock().now())
    except (SQLAlchemyError, DatabaseAway) as error:
        mend = "start it, or correct DATABASE_URL: host, port, name, user and password"
        yield Finding("database", State.BAD, f"{name} does not answer: {_cause(error)}", mend)
    finally:
        await opened.close()


def _absent(opened: Database) -> bool:
    """Whether it is an SQLite file that is not there; looking must not create it."""
    return opened.dialect == "sqlite" and not Path(opened.url.database or "").exists()


def _cause(error: Exception) -> str:
    cause = getattr(error, "orig", None) or error.__cause__ or error
    return (str(cause).strip() or type(cause).__name__).splitlines()[0]


async def _migrations(connection: ReadConnection) -> Finding:
    current, newest, is_ahead = await connection.run_sync(revisions)
    if current == newest:
        return Finding("migrations", State.GOOD, f"at the newest, {newest}")
    if current is None:
        return Finding("migrations", State.FAIR, "the database is empty", "`tradesense serve` creates the tables")
    mend = "upgrade this program" if is_ahead else "`tradesense serve` migrates when it starts"
    return Finding("migrations", State.BAD, f"the database is at {current}, this version at {newest}", mend)


async def _work(connection: ReadConnection, now: datetime) -> Finding:
    """Whether background work is taken up, and none of it was given up."""
    found = [await tasks.oldest_ready(connection, now), await imports.oldest_queued(connection, now)]
    since = min((each for each in found if each is not None), default=now)
    if now - since > _LONG:
        mend = "start `tradesense serve` or, with TRADESENSE_WORK=workers, `tradesense worker`"
        return Finding("background work", State.FAIR, f"some has been waiting since {since:%Y-%m-%d %H:%M} UTC", mend)
    if parked := await tasks.count_parked(connection):
        mend = "GET /api/v1/admin/tasks?state=parked tells why; POST /api/v1/admin/tasks/{id}/retry tries again"
        return Finding("background work", State.FAIR, f"given up after several attempts: {parked}", mend)
    return Finding("background work", State.GOOD, "nothing waits for long, and nothing was given up")


async def redis(urls: Sequence[str]) -> AsyncIterator[Finding]:
    """Whether each Redis answers, and whether it can do what is asked of it."""
    if not urls:
        yield Finding("redis", State.GOOD, "not configured: this process keeps everything itself (one worker)")
    for url in urls:
        try:
            async with connect(url) as server:
                yield await _server(server, urlsplit(url).hostname or "the socket")
        except ValueError as error:
            yield Finding("redis", State.BAD, str(error), "correct REDIS_URL or REDIS_CACHE_URL")


async def _server(server: Redis, host: str) -> Finding:
    mend = "start it, or correct REDIS_URL and REDIS_CACHE_URL; until it is there everything is computed anew"
    try:
        about = await server.call("INFO", "server", timeout_s=_PATIENCE_S)
    except (RedisUnavailable, CommandRefused) as error:
        return Finding("redis", State.BAD, f"{host} does not answer: {error}", mend)
    version = _VERSION.search(about) if isinstance(about, bytes) else None
    if version is not None and int(version[1]) < _OLDEST:
        return Finding(
            "redis", State.BAD, f"{host} has version {version[1].decode()}", "use Valkey, or Redis 7 or newer"
        )
    if server.tracking_mode == "channel":
        mend = "allow CLIENT TRACKING: without it a FLUSHALL is heard late"
        return Finding("redis", State.FAIR, f"{host} answers, but refuses client tracking", mend)
    return Finding("redis", State.GOOD, f"{host} answers")
