"""Errors that go to Sentry: what is in their envelopes, how many there are, and who notices when it is away."""

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import monotonic
from typing import Any

import pytest

from keel.failures.contract import Occurrence
from keel.failures.memory import MemoryErrorGroups
from keel.failures.recorder import Failures
from keel.failures.sentry import MOST_A_MINUTE, Sentry, reporting
from keel.logs.contract import Source
from keel.opening import Keel
from keel.tasks import Tasks
from tests.valkey import free_port

SOURCE = Source("tea", "1.2", "staging", "host:1")
SECRETS = ("hunter2", "eyJhbGciOiJIUzI1NiJ9", "4111 1111 1111 1111", "trader@example.com", "s3ss10n")
MESSAGE = (
    "no: password=hunter2, Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl, "
    "card 4111 1111 1111 1111, trader@example.com, Cookie: tradesense=s3ss10n"
)


class Receiver:
    """A place that takes envelopes, or hangs where it is told to."""

    def __init__(self, *, hangs: bool = False) -> None:
        self.bodies: list[bytes] = []
        self.hanging = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                sent = self.rfile.read(int(self.headers["Content-Length"]))
                if hangs:
                    receiver.hanging.wait(20)
                zipped = self.headers["Content-Encoding"] == "gzip"
                receiver.bodies.append(gzip.decompress(sent) if zipped else sent)
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_args: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.dsn = f"http://key@127.0.0.1:{self.server.server_address[1]}/7"

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events of all envelopes."""
        return [json.loads(body.split(b"\n")[2]) for body in self.bodies]


@contextmanager
def receiving(*, hangs: bool = False) -> Iterator[Receiver]:
    receiver = Receiver(hangs=hangs)
    thread = threading.Thread(target=receiver.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield receiver
    finally:
        receiver.hanging.set()
        receiver.server.shutdown()
        thread.join()
        receiver.server.server_close()


def failing(message: str) -> Exception:
    password = "hunter2"
    try:
        raise ValueError(message + password[:0])
    except ValueError as error:
        return error


def occurrence(fingerprint: str) -> Occurrence:
    return Occurrence(fingerprint, "ValueError", "no", "", (), datetime(2026, 1, 1, tzinfo=UTC), "GET /tea")


async def test_an_envelope_has_what_is_kept_of_an_error_and_no_secret() -> None:
    with receiving() as place:
        async with Tasks() as tasks:
            failures = Failures(MemoryErrorGroups(), tasks, own=("keel",))
            with reporting(failures, place.dsn, SOURCE):
                failures.record(failing(MESSAGE), route="GET /tea", trace_id="ab" * 16, request_id="r-1", user_id="7")
    (event,) = place.events
    assert (event["release"], event["environment"], event["server_name"]) == ("tea@1.2", "staging", "host:1")
    assert event["tags"] == {"route": "GET /tea", "trace_id": "ab" * 16, "request_id": "r-1"}
    (value,) = event["exception"]["values"]
    assert value["type"] == "ValueError"
    assert value["stacktrace"]["frames"][-1]["function"] == "failing"
    group = (await failures.newest()).groups[0]
    assert event["fingerprint"] == [group.fingerprint]
    for secret in SECRETS:
        assert secret.encode() not in b"".join(place.bodies), secret
    assert not {"user", "request", "breadcrumbs", "modules"} & {name for name, value in event.items() if value}


def test_more_of_the_same_is_counted_and_not_sent() -> None:
    with receiving() as place:
        sentry = Sentry(place.dsn, SOURCE)
        for _ in range(100):
            sentry.failed(occurrence("one"))
        sentry.failed(occurrence("two"))
        sentry._groups["one"].again_at = 0
        sentry.failed(occurrence("one"))
        sentry.close()
    told = [(event["fingerprint"], event["extra"]["occurrences"]) for event in place.events]
    assert sorted(told) == [(["one"], 1), (["one"], 100), (["two"], 1)]
    assert (sentry.stats.handed, sentry.stats.left_out) == (3, 99)


@pytest.mark.parametrize("kind", ["hanging", "away"])
def test_nobody_waits_for_a_sentry_that_does_not_answer(kind: str) -> None:
    with receiving(hangs=True) as place:
        dsn = place.dsn if kind == "hanging" else f"http://key@127.0.0.1:{free_port()}/7"
        sentry, began = Sentry(dsn, SOURCE), monotonic()
        for number in range(10 * MOST_A_MINUTE):
            sentry.failed(occurrence(str(number)))
        assert monotonic() - began < 1
        assert sentry._waiting.qsize() <= MOST_A_MINUTE
        sentry.close(0.2)
        assert monotonic() - began < 5


async def test_a_keel_reports_what_its_tasks_and_requests_fail_with() -> None:
    async def fail() -> None:
        raise ValueError("tea")

    with receiving() as place:
        async with Keel.open(namespace="test", source=SOURCE, sentry_dsn=place.dsn) as keel:
            with suppress(ValueError):
                await keel.tasks.start("failing", fail())
    assert [event["exception"]["values"][0]["value"] for event in place.events] == ["tea"]
