"""Live connections: what one costs, how fast messages go out to all of them, and how soon one ends with its session.

`python -m benchmarks.live` runs two instances of the whole application in one process, over one SQLite file and one
local server; clients speak ASGI to them, so that no network and no TLS is measured.
"""

import asyncio
import statistics
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import psutil
import uvloop

from tests.application import Person, Served, served
from tests.tradesense.events.talking import Socket, own, socket, token_of
from tests.valkey import Valkey, running
from tradesense.settings import Settings

USERS: Final = 25
PER_USER: Final = 20
MESSAGES: Final = 40
ENDS: Final = 50


async def connected(instances: list[Served], users: list[Person], stack: AsyncExitStack) -> list[tuple[Person, Socket]]:
    """Every user's connections, half to each instance, all hearing what is the user's own."""
    open_ = []
    for user in users:
        for at in range(PER_USER):
            client = await stack.enter_async_context(socket(instances[at % 2], token_of(user)))
            await client.opened()
            assert (await client.subscribed(own(user)))["type"] == "subscribed"
            open_.append((user, client))
    return open_


async def fan_out(here: Served, users: list[Person], clients: list[Socket]) -> float:
    """Seconds until each connection has been sent all messages of its user's."""
    events, began = here.state["keel"].events, time.perf_counter()
    for number in range(MESSAGES):
        for user in users:
            await events.publish(own(user), {"type": "test", "n": number})
    for client in clients:
        assert [(await client.said())["data"]["n"] for _ in range(MESSAGES)] == [*range(MESSAGES)]
    return time.perf_counter() - began


async def ends(instances: list[Served], user: Person) -> list[float]:
    """Milliseconds from the answer to a logout until a connection to another instance is closed."""
    here, there = instances
    lags = []
    for _ in range(ENDS):
        person = await here.person()
        await person.log_in(user.email)
        async with socket(there, token_of(person)) as client:
            await client.opened()
            await person.post("/auth/logout")
            answered = time.perf_counter()
            assert (await client.closed()).code == 4401
            lags.append((time.perf_counter() - answered) * 1000)
    return lags


async def measure(folder: Path, server: Valkey) -> None:
    """Print all of it."""
    settings = Settings.load({}, data_dir=folder, redis_url=server.url, rate_limits="off", cache="on")
    process = psutil.Process()
    async with AsyncExitStack() as stack:
        instances = [await stack.enter_async_context(served(settings)) for _ in range(2)]
        users = [await instances[0].user() for _ in range(USERS)]
        lags = sorted(await ends(instances, users[0]))
        before, began = process.memory_info().rss, time.perf_counter()
        open_ = await connected(instances, users, stack)
        took, grown = time.perf_counter() - began, process.memory_info().rss - before
        count = len(open_)
        print(f"{count} connections: {took / count * 1000:.2f} ms to open one, {grown / count / 1024:.0f} KiB each")
        seconds = await fan_out(instances[0], users, [client for _, client in open_])
        sent = MESSAGES * count
        print(f"{sent:,} messages to them in {seconds:.2f} s: {sent / seconds:,.0f} a second")
    print(
        f"closed after a logout elsewhere: {statistics.median(lags):.1f} ms (p50), {lags[-1]:.1f} ms at most of {ENDS}"
    )


def main() -> None:
    """Run it on a server of its own."""
    with tempfile.TemporaryDirectory() as folder, running(Valkey(Path(folder))) as server:
        runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        with runner:
            runner.run(measure(Path(folder), server))


if __name__ == "__main__":
    main()
