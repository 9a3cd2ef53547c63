"""An instance that writes and never gets beyond its invalidation, to be killed there.

It takes a database's URL and a folder. Before it writes it prints the tag of its user, and what its commit makes
worthless when that is committed.
"""

import asyncio
import sys
from collections.abc import Collection
from pathlib import Path

from tradesense.db.invalidation import user_tag
from tradesense.security.service.passwords import Passwords
from tradesense.settings import Settings
from tradesense.wiring import opened


def tell(*words: str) -> None:
    sys.stdout.write(" ".join(words) + "\n")
    sys.stdout.flush()


class Stuck:
    """Never done with anything."""

    async def invalidate_tags(self, *tags: str) -> None:
        tell(*(tag for tag in tags if not tag.endswith(":profile")))
        await asyncio.Event().wait()

    async def forget_tokens(self, hashes: Collection[bytes]) -> None:
        tell(*(each.hex() for each in hashes))
        await asyncio.Event().wait()

    async def forget_all_tokens(self) -> None:
        """There are none."""


async def write(url: str, folder: Path) -> None:
    settings = Settings.load({}, database_url=url, data_dir=folder)
    passwords = Passwords(time_cost=1, memory_kib=8)
    async with opened(settings, passwords=passwords, around=lambda _copies: Stuck(), works=False) as state:
        user = await state["users"].create("killed@example.org", "correct horse battery staple")
        tell(user_tag(user.id))
        await state["accounts"].add(user.id, {"name": "Main", "currency": "USD"})
        tell("answered")


if __name__ == "__main__":
    asyncio.run(write(sys.argv[1], Path(sys.argv[2])))
