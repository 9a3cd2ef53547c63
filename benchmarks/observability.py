"""What it costs a FastAPI request to be observed: by keel, and as most people would do it, in interleaved rounds.

keel: all that it observes with, with every trace kept, and with none in the sample: lines, traces, metrics, errors, the
figures that all instances share, on a server of their own, and the live tail. The peers:
OpenTelemetry's instrumentation of FastAPI with its SDK, prometheus-fastapi-instrumentator, and structlog through
Starlette's BaseHTTPMiddleware; each with its usual settings, exporting spans to nowhere.

Requests go straight to the ASGI application, one after the other, so that no server stands between. A round takes as
long as its requests *and* what is still to be done for them: every line is written, and everything is in the store,
before the clock stops. (The store takes 100 traces of each half second with their spans; so it does of each round.)
What is added is the difference from the bare application in the same round. Intervals are of the median, by order
statistics.
"""

import argparse
import asyncio
import gc
import io
import logging
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from math import comb
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import structlog
import uvloop
from fastapi import FastAPI
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from prometheus_client import CollectorRegistry
from prometheus_fastapi_instrumentator import Instrumentator
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Scope

from keel.asgi.observing import Observing
from keel.asgi.routes import RouteTemplates, templates
from keel.logs.assembly import Logs
from keel.logs.contract import LogOptions, Source
from keel.opening import Keel
from keel.traces.contract import TraceOptions
from tests.valkey import Valkey, running

BARE: Final = "bare FastAPI"
ALL: Final = "keel, every trace kept"
OUT: Final = "keel, none in the sample"
PEERS: Final = "OpenTelemetry + instrumentator + structlog"
CONFIDENCE: Final = 0.95

Variant = tuple[ASGIApp, Callable[[], Awaitable[None]]]
"""An application, and how to wait for what is still done for its requests."""


def application() -> FastAPI:
    """An endpoint as they are."""
    app = FastAPI(openapi_url=None)

    @app.get("/items/{item}")
    async def item(item: int) -> dict[str, object]:
        return {"item": item, "name": "tea"}

    return app


@asynccontextmanager
async def keel(rate: float, folder: Path, url: str) -> AsyncIterator[Variant]:
    """The application, observed by all that keel has."""
    app, source = application(), Source("bench", "1.0", "production", f"bench:{rate}")
    options = TraceOptions(rate=rate)
    with Logs.open(LogOptions(file=folder / f"keel-{rate}.log", source=source)) as logs:
        async with Keel.open(url, f"bench-{rate}", trace_options=options, source=source) as opened:
            opened.log(logs)

            async def flush() -> None:
                await asyncio.to_thread(logs.flush)
                await opened.observations.gathering.flush()

            template = RouteTemplates(templates(app.routes)).find
            yield Observing(app, template=template, traces=lambda _scope: opened.traces), flush
            assert (logs.stats.dropped, opened.observations.dropped.batches) == (0, 0)


class Nowhere(SpanExporter):  # type: ignore[misc] # no types where the peers are not installed
    """Exports nothing."""

    def export(self, spans: Any) -> SpanExportResult:  # noqa: ANN401, ARG002 - the SDK's
        """Nothing."""
        return SpanExportResult.SUCCESS


class AccessLog(BaseHTTPMiddleware):
    """An access line by structlog, as its guides have it."""

    def __init__(self, app: ASGIApp, stream: io.TextIOBase) -> None:
        super().__init__(app)
        self._log = structlog.wrap_logger(
            structlog.PrintLogger(stream),  # type: ignore[arg-type] # any stream of text
            processors=[
                structlog.contextvars.merge_contextvars,
                structlog.processors.add_log_level,
                structlog.processors.StackInfoRenderer(),
                structlog.processors.format_exc_info,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.processors.JSONRenderer(),
            ],
            wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        )

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        """Time the request, and say so."""
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request.headers.get("x-request-id", "tea-1"))
        began = time.perf_counter()
        response = await call_next(request)
        took = round((time.perf_counter() - began) * 1000, 3)
        self._log.info(
            "request", method=request.method, path=request.url.path, status=response.status_code, duration_ms=took
        )
        return response


@asynccontextmanager
async def peers(folder: Path) -> AsyncIterator[Variant]:
    """The application, observed by the peers."""
    app, provider = application(), TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(Nowhere(), max_queue_size=1 << 16))
    with (folder / "peers.log").open("w", buffering=1 << 16) as stream:
        app.add_middleware(AccessLog, stream=stream)
        Instrumentator(registry=CollectorRegistry()).instrument(app)
        FastAPIInstrumentor.instrument_app(app, tracer_provider=provider)

        async def flush() -> None:
            await asyncio.to_thread(provider.force_flush)
            stream.flush()

        yield app, flush
        provider.shutdown()


async def asked(app: ASGIApp, number: int) -> None:
    """One request, as a browser's through a server."""
    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "server": ("127.0.0.1", 8000),
        "client": ("127.0.0.1", 50_000),
        "scheme": "http",
        "method": "GET",
        "root_path": "",
        "path": f"/items/{number}",
        "raw_path": b"/items/%d" % number,
        "query_string": b"",
        "state": {},
        "headers": [
            (b"host", b"127.0.0.1:8000"),
            (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
            (b"accept", b"application/json"),
            (b"accept-encoding", b"gzip, deflate, br"),
            (b"connection", b"keep-alive"),
            (b"authorization", b"Bearer 0123456789abcdef0123456789abcdef"),
        ],
    }
    received = False

    async def receive() -> Message:
        nonlocal received
        if received:
            return {"type": "http.disconnect"}
        received = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            assert message["status"] == 200

    await app(scope, receive, send)


@dataclass(frozen=True)
class Terms:
    """What was asked for on the command line."""

    rounds: int
    requests: int


async def timed(app: ASGIApp, flush: Callable[[], Awaitable[None]], requests: int) -> float:
    """Microseconds of CPU per request, all of its threads' work included."""
    began = time.process_time()
    for number in range(requests):
        await asked(app, number % 100)
    await flush()
    return (time.process_time() - began) / requests * 1e6


async def measured(variants: dict[str, Variant], terms: Terms) -> dict[str, list[float]]:
    """Microseconds of each variant, round by round; each round begins with another one."""
    taken: dict[str, list[float]] = {name: [] for name in variants}
    names = list(variants)
    for variant in variants.values():
        await timed(*variant, terms.requests)
    for turn in range(terms.rounds):
        gc.collect()
        for place in range(len(names)):
            name = names[(turn + place) % len(names)]
            taken[name].append(await timed(*variants[name], terms.requests))
    return taken


def median(values: list[float]) -> tuple[float, float, float]:
    """The median with its interval: between the order statistics that enclose it with the confidence (binomial)."""
    ordered, count = sorted(values), len(values)
    outside, below = 0.0, 0
    while outside + comb(count, below) / 2**count <= (1 - CONFIDENCE) / 2:
        outside += comb(count, below) / 2**count
        below += 1
    least = max(below - 1, 0)
    return statistics.median(ordered), ordered[least], ordered[count - 1 - least]


def report(taken: dict[str, list[float]]) -> None:
    """Print what each takes, what it adds, and how that compares."""
    bare = taken[BARE]
    added = {
        name: [one - other for one, other in zip(its, bare, strict=True)] for name, its in taken.items() if name != BARE
    }
    print(f"  {BARE:<46}{statistics.median(bare):9.1f}")
    for name, its in added.items():
        middle, low, high = median(its)
        print(f"  {name:<46}{statistics.median(taken[name]):9.1f}   adds {middle:6.1f}  [{low:.1f}, {high:.1f}]")
    for name in (ALL, OUT):
        middle, low, high = median([peer / own for peer, own in zip(added[PEERS], added[name], strict=True)])
        print(f"  {PEERS} ÷ {name}: {middle:.1f}  [{low:.1f}, {high:.1f}]")


async def nothing() -> None:
    """There is nothing to wait for."""


async def run(terms: Terms) -> dict[str, list[float]]:
    """All variants, beside a server of their own."""
    with TemporaryDirectory() as folder, running(Valkey(Path(folder))) as valkey:
        place = Path(folder)
        async with AsyncExitStack() as stack:
            variants: dict[str, Variant] = {
                BARE: (application(), nothing),
                ALL: await stack.enter_async_context(keel(1.0, place, valkey.url)),
                OUT: await stack.enter_async_context(keel(0.0, place, valkey.url)),
                PEERS: await stack.enter_async_context(peers(place)),
            }
            return await measured(variants, terms)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--requests", type=int, default=5000, help="of a round, which is like half a second")
    given = parser.parse_args()
    terms = Terms(given.rounds, given.requests)
    taken = uvloop.run(run(terms))
    version = sys.version.split()[0]
    print(f"Being observed (µs a request, median of {terms.rounds} rounds, 95 % interval; Python {version}, uvloop)")
    report(taken)


if __name__ == "__main__":
    main()
