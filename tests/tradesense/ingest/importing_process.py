"""A program that starts importing processes at once, by forking itself with everything imported, to be killed.

Each line that it reads is a database's path and a folder of files, separated by a tab; it answers with the pid of a
process that imports what the queue has, in small chunks.
"""

import asyncio
import os
import signal
import sys
from datetime import timedelta
from pathlib import Path

from keel.clock import SystemClock
from keel.tasks import Tasks
from tradesense.brokers import registry
from tradesense.brokers.documents import Limits
from tradesense.db import generations
from tradesense.db.engine import Database
from tradesense.ingest.service import rebuilding, staging
from tradesense.ingest.service.files import KeptFiles
from tradesense.ingest.service.opening import Opener
from tradesense.ingest.service.running import Equipment
from tradesense.ingest.tasks import ImportRunner
from tradesense.work.service.lanes import Lane

CHUNK = 20
LEASE = timedelta(seconds=5)


async def park(*_given_up: object) -> None:
    """Nobody looks at it."""


async def run_queue(database_path: str, folder: str) -> None:
    staging.ENTRIES_AT_ONCE = CHUNK // 4  # type: ignore[misc]
    staging.ROWS_AT_ONCE = rebuilding.TRADES_AT_ONCE = generations.CHUNK = CHUNK  # type: ignore[misc]
    database = Database(f"sqlite:///{database_path}")
    files = KeptFiles(Path(folder), 10 << 20)
    opener = Opener(database, Limits())
    equipment = Equipment(database, SystemClock(), files, opener, LEASE, lambda _progress: None)
    async with Tasks() as tasks:
        Lane("imports", ImportRunner(equipment, park), tasks, poll=timedelta(milliseconds=20)).start()
        await asyncio.Event().wait()


def main() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that are killed
    registry.formats()
    for line in sys.stdin:
        database_path, folder = line.rstrip("\n").split("\t")
        child = os.fork()
        if not child:
            asyncio.run(run_queue(database_path, folder))
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
