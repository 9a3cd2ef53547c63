"""What is left of a million requests with hostile paths, methods, headers and users: in the store, and in memory.

The requests pass the outermost middleware as fast as they can, with everything that observes them, on a server of their
own. Then all that the store has room for is filled: every window of figures, as hostile requests of a week could, and
bodies of traces that cannot be compressed. An argument says how many requests are made.
"""

import asyncio
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from os import urandom
from pathlib import Path
from random import Random
from typing import Final

import uvloop
from starlette.types import Message, Receive, Scope, Send

from keel.asgi.observing import Observing
from keel.asgi.routes import RouteTemplates
from keel.clock import SystemClock, wall_ns
from keel.context import act_as
from keel.failures.contract import MOST_GROUPS, Frame, Occurrence
from keel.failures.contract import Batch as Errors
from keel.failures.redis import RedisErrorGroups
from keel.logs.contract import Source
from keel.opening import Keel
from keel.store.contract import (
    LINE_BYTES,
    MOST_NAMES,
    WINDOW_S,
    WINDOWS,
    Batch,
    Counted,
    Family,
    Note,
    Resolution,
    Summary,
)
from keel.traces.spans import span
from tests.valkey import Valkey, running

REQUESTS: Final = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
AT_ONCE: Final = 20
ROUTES: Final = [f"/api/v1/things{number}/{{id}}" for number in range(100)]
METHODS: Final = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]
MIB: Final = 1 << 20
LIMIT: Final = 32 * MIB


async def app(scope: Scope, _receive: Receive, send: Send) -> None:
    """Answers, as somebody new each time; now and then it fails, by an error with a message of its own."""
    number = scope["number"]
    act_as(f"user {number} {'u' * 200}")
    with span("work", {"note": f"{number} password=secret{number}"}):
        if number % 50 == 0:
            raise ValueError(f"number {number}")
    await send({"type": "http.response.start", "status": 200 + number % 300, "headers": []})
    await send({"type": "http.response.body", "body": b"x"})


def requests(random: Random) -> Iterator[Scope]:
    """Everything about them is different each time."""
    for number in range(REQUESTS):
        path = f"/api/v1/things{number % 150}/{number}" if number % 3 else f"/{number:x}/{'a' * 200}"
        method = METHODS[number % 7] if number % 2 else f"METHOD{number}"
        headers = [
            (b"traceparent", b"00-%032x-%016x-01" % (random.getrandbits(128) | 1, number + 1)),
            (b"x-request-id", b"id%d" % number),
            (b"user-agent", b"agent %d" % number),
            (b"x-header-%d" % number, b"value %d" % number),
        ]
        yield {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": b"token=%d" % number,
            "headers": headers,
            "client": (f"10.0.{number >> 8 & 255}.{number & 255}", 1),
            "number": number,
        }


async def nothing() -> Message:
    """A request without a body."""
    return {"type": "http.request", "body": b""}


async def sent(_message: Message) -> None:
    """Nobody listens."""


async def ask(observing: Observing, scopes: Iterator[Scope]) -> None:
    """Make requests, one after the other."""
    for scope in scopes:
        with suppress(ValueError):
            await observing(scope, nothing, sent)
        await asyncio.sleep(0)


async def lateness(worst: list[float]) -> None:
    """How late the loop ever is."""
    while True:
        began = time.perf_counter()
        await asyncio.sleep(0.01)
        worst[0] = max(worst[0], time.perf_counter() - began - 0.01)


async def fill(keel: Keel, valkey: Valkey) -> None:
    """Fill every window that is ever kept, and everything else."""
    assert keel.redis is not None
    store, now = keel.observations.store, wall_ns() // 60_000_000_000 * 60
    for family, kept in WINDOWS.items():
        for resolution, most in kept.items():
            for number in range(most):
                minute = now - number * WINDOW_S[resolution]
                fields = {f"{bucket:02d}": 1 + number for bucket in range(12)} | {"U": 10**9, "X": 10**6}
                names = range(0, MOST_NAMES, 2 if family is Family.REQUESTS else 1)
                await store.add(Batch({Counted(family, minute, f"{'s' * 300} {name}"): fields for name in names}))
    for key in valkey.ask("KEYS", "*:w:*"):
        _, family, at, _ = key.rsplit(":", 3)
        resolution = Resolution(family[1])
        if int(at) <= now - WINDOWS[Family(family[0])].get(resolution, 0) * WINDOW_S[resolution]:
            valkey.ask("DEL", key)  # of a time when it would have expired
    for number in range(2000):
        about = (f"{number:032x}", f"{number:016x}", "", "http", "n" * 200, "GET", "r" * 200, 200, now, 1, "", 1, "i")
        note = Note("slow", now, "s" * 500, "c" * 200, 1, 1, 1, "n" * 100, about[0], is_kept=True, instance="i")
        traces = [(Summary(*about), urandom(16_384)), *[(Summary(*about), b"")] * 4]
        await store.add(Batch(traces=traces, lines=[b"x" * LINE_BYTES], notes=[note]))
    groups, frames = RedisErrorGroups(keel.redis, keel.namespace), (Frame("f" * 50, 1, "g" * 30, is_own=True),) * 20
    for number in range(MOST_GROUPS):
        name, at = f"{number:016x}", SystemClock().now()
        error = Occurrence(name, "ValueError", "m" * 500, "w" * 80, frames, at, "GET /route", "t" * 32, "r" * 36)
        await groups.add(Errors(error, 1, {f"GET /route{n}": 1 for n in range(20)}, {number, 4095}))


def rss() -> float:
    """Mebibytes of this process, at most so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def main() -> None:
    """All of it."""
    with tempfile.TemporaryDirectory() as folder, running(Valkey(Path(folder))) as valkey:
        empty = valkey.info("memory")["used_memory"]
        async with Keel.open(valkey.url, "hostile", source=Source("hostile", instance="here:1")) as keel:
            observing = Observing(app, template=RouteTemplates(ROUTES).find, traces=lambda _scope: keel.traces)
            scopes, worst = requests(Random(1)), [0.0]
            before, began = rss(), time.perf_counter()
            watching = keel.tasks.start("watching the loop", lateness(worst))
            await asyncio.gather(*(ask(observing, scopes) for _ in range(AT_ONCE)))
            took = time.perf_counter() - began
            await keel.observations.gathering.flush()
            watching.cancel()
            stored = valkey.info("memory")["used_memory"] - empty
            print(f"{REQUESTS:,} requests in {took:.0f} s ({took / REQUESTS * 1e6:.0f} µs each)")
            print(f"store {stored / MIB:.1f} MiB, process {before:.0f} → {rss():.0f} MiB at most")
            print(f"dropped {keel.observations.dropped}; the loop was at most {worst[0] * 1000:.0f} ms late")
            rendered = await keel.metrics.render()
            print(f"metrics: {len(rendered.body.splitlines()):,} lines, {len(rendered.body) / 1024:.0f} KiB")
            await fill(keel, valkey)
            full = valkey.info("memory")["used_memory"] - empty
            print(f"with all that it has room for: {full / MIB:.1f} MiB of at most {LIMIT / MIB:.0f}")
            if full > LIMIT:
                raise SystemExit("the store is larger than it may be")


if __name__ == "__main__":
    uvloop.run(main())
