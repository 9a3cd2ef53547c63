"""Events: what publishing and delivering cost, and what coming back does.

Two instances in one process share one local server; the subscribers are divided between them.
"""

import asyncio
import resource
import statistics
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import uvloop

from keel.events.contract import Message, Stream
from keel.opening import Keel
from keel.tasks import Tasks
from tests.valkey import Valkey, running

SUBSCRIBERS: Final = 500
MESSAGES: Final = 400
CHANNELS: Final = 2000
ROUNDS: Final = 200


async def read(stream: Stream, delays_us: list[float], count: int) -> None:
    """Take so many messages, and note how long each was under way."""
    last = 0
    async for item in stream:
        if isinstance(item, Message):
            assert item.offset == last + 1
            last = item.offset
            delays_us.append((time.monotonic_ns() - int(item.data)) / 1000)
            if last == count:
                return


async def fan_out(here: Keel, there: Keel, tasks: Tasks) -> tuple[float, list[float]]:
    """Seconds until everybody has everything, and the delays of messages that were sent one at a time."""
    delays: list[float] = []
    async with AsyncExitStack() as stack:
        readers = []
        for at in range(SUBSCRIBERS):
            keel = here if at % 2 else there
            stream = await stack.enter_async_context(keel.events.subscribe("all", queue_bytes=1 << 26))
            readers.append(tasks.start(f"reader {at}", read(stream, delays, MESSAGES)))
        began = time.perf_counter()
        for _ in range(MESSAGES):
            await here.events.publish("all", time.monotonic_ns())
        await asyncio.gather(*readers)
        return time.perf_counter() - began, delays


async def one_by_one(here: Keel, there: Keel) -> tuple[list[float], list[float]]:
    """Microseconds of publishing, and from there until another instance's subscriber has it."""
    publishing, under_way = [], []
    async with there.events.subscribe("one") as stream:
        await anext(stream)
        for _ in range(ROUNDS):
            began = time.perf_counter()
            await here.events.publish("one", 1)
            publishing.append((time.perf_counter() - began) * 1e6)
            await anext(stream)
            under_way.append((time.perf_counter() - began) * 1e6)
    return publishing, under_way


async def coming_back(here: Keel, there: Keel) -> float:
    """Microseconds of subscribing where 100 messages were missed, until the last of them is there."""
    first = None
    for number in range(101):
        published = await here.events.publish("back", number)
        first = first or published
    assert first is not None
    began = time.perf_counter()
    async with there.events.subscribe("back", since=(first.epoch, first.offset)) as stream:
        for _ in range(101):
            await anext(stream)
    return (time.perf_counter() - began) * 1e6


async def many_channels(here: Keel) -> tuple[float, float]:
    """Seconds to subscribe to many channels at once, and KiB that each takes."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.perf_counter()
    async with AsyncExitStack() as stack:
        streams = [here.events.subscribe(f"user:{number}") for number in range(CHANNELS)]
        await asyncio.gather(*(stack.enter_async_context(stream) for stream in streams))
        took_s = time.perf_counter() - began
        return took_s, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / CHANNELS


async def measured(url: str) -> None:
    """Measure and print."""
    async with Keel.open(url, "bench") as here, Keel.open(url, "bench") as there, Tasks() as tasks:
        publishing, under_way = await one_by_one(here, there)
        print(f"  publish                                     {statistics.median(publishing):9.0f} µs")
        print(f"  until a subscriber elsewhere has it         {statistics.median(under_way):9.0f} µs")
        back = statistics.median([await coming_back(here, there) for _ in range(9)])
        print(f"  coming back to 100 missed messages          {back:9.0f} µs")
        took_s, delays = await fan_out(here, there, tasks)
        rate = len(delays) / took_s
        print(
            f"  {SUBSCRIBERS} subscribers, {MESSAGES} messages           {rate:9.0f} deliveries/s, every one in order"
        )
        took_s, each_kib = await many_channels(here)
        print(f"  subscribing to {CHANNELS} channels at once        {took_s:9.2f} s, {each_kib:.1f} KiB each")


def main() -> None:
    """Run against a server of its own."""
    print(f"Events (medians; Python {sys.version.split()[0]}, uvloop, one local server)")
    with tempfile.TemporaryDirectory() as folder, running(Valkey(Path(folder))) as server:
        uvloop.run(measured(server.url))


if __name__ == "__main__":
    main()
