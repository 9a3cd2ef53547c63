"""An instance that imports and is stuck between the commit and whatever comes of it, to be killed there.

It takes the name of its environment, the URLs of a Redis and of a database, and a folder. It prints the id of its user,
imports when a line comes, and prints what that makes worthless when it is committed.
"""

import asyncio
import sys
from io import BytesIO
from pathlib import Path

from tests.samples import FILLS
from tests.tradesense.db.writing_process import Stuck, tell
from tradesense.http.authentication import UserId
from tradesense.ingest.service.uploads import Upload
from tradesense.security.service.passwords import Passwords
from tradesense.settings import Settings
from tradesense.wiring import opened


async def run(environment: str, redis: str, database: str, folder: str) -> None:
    given = {"TRADESENSE_ENVIRONMENT": environment, "REDIS_URL": redis}
    settings = Settings.load(given, database_url=database, data_dir=Path(folder))
    passwords = Passwords(time_cost=1, memory_kib=8)
    async with opened(settings, passwords=passwords, around=lambda _copies: Stuck()) as state:
        user = await state["users"].create("killed@example.org", "correct horse battery staple")
        tell(str(user.id))
        await asyncio.to_thread(sys.stdin.readline)
        file = BytesIO(FILLS.format(symbol="AAPL").encode())

        async def read() -> bytes:
            return file.read()

        await state["imports"].upload(Upload(UserId(user.id), "AAPL.csv", options={"timezone": "UTC"}), read)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(run(*sys.argv[1:]))
