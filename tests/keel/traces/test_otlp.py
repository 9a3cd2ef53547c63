"""Traces and lines as a collector gets them."""

import socket
import time
from collections.abc import Iterator, Sequence

import pytest
import structlog

from keel import span
from keel.context import Segment, doing
from keel.logs import exporting
from keel.logs.assembly import Logs
from keel.logs.contract import Collector, LogOptions, Source
from keel.logs.exporting import MOST_WAITING, Exporter
from keel.logs.otlp import encode_lines
from keel.logs.redaction import Redaction
from keel.opening import Keel
from keel.traces.contract import TraceOptions
from keel.traces.otlp import OtlpTraces, encode_segments
from keel.traces.propagation import Parent
from keel.traces.recorder import Traces
from keel.traces.spans import record
from tests.keel.collector import Received, collector, said
from tests.keel.logs.lines import Lines

SOURCE = Source("tradesense", "1.2.3", "test", "host:1")
ID = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture
def received() -> Iterator[Received]:
    with collector() as listening:
        yield listening


def request() -> Segment:
    """One that failed, with all that can be known."""
    traces = Traces(TraceOptions(rate=1))
    segment = traces.begin("http", "", Parent(ID, 0xABC, is_sampled=True))
    segment.method, segment.route, segment.path, segment.status = "GET", "/items/{id}", "/items/token=hunter2", 500
    segment.request_id = segment.correlation_id = "tea-1"
    segment.user_id, segment.tracestate, segment.user_agent = 7, "a=b", b"curl bob@example.com"
    token = doing.set(segment)
    with span("part", {"n": 3, "share": 0.5, "ok": True, "names": ["a"], "more": {"password": "hunter2"}}):
        record("SELECT t", segment.began_ns, {"db.query.text": "SELECT 1"}, error="TimeoutError")
    doing.reset(token)
    try:
        raise ValueError("password=hunter2")
    except ValueError as error:
        segment.error = error
    traces.end(segment)
    return segment


async def test_kept_traces_reach_the_collector_whole(received: Received) -> None:
    to = Collector(received.url, (("x-key", "abc"),))
    async with Keel.open(trace_options=TraceOptions(rate=1, collector=to), source=SOURCE) as keel:
        with span("job of its own"):
            pass
        (exporter,) = (each for each in keel.traces.sinks if isinstance(each, OtlpTraces))
        exporter.keep(request())
    assert received.headers[0]["x-key"] == "abc"
    assert received.resources[0] == {
        "service.name": "tradesense",
        "service.version": "1.2.3",
        "service.instance.id": "host:1",
        "deployment.environment.name": "test",
    }
    assert sorted(each.name for each in received.spans) == ["GET /items/{id}", "SELECT t", "job of its own", "part"]


def test_a_span_has_its_place_time_and_attributes(received: Received) -> None:
    segment = request()
    body = encode_segments([segment], SOURCE, Redaction("x"))
    received.take("/v1/traces", body.decode())
    whole, query, part = received.spans
    assert f'"traceId":"{ID}"' in body.decode()
    assert (whole.kind, whole.status.code, whole.trace_state) == (2, 2, "a=b")
    assert whole.start_time_unix_nano == segment.started_ns
    assert whole.end_time_unix_nano - whole.start_time_unix_nano == segment.ended_ns - segment.began_ns
    assert (query.parent_span_id, part.parent_span_id) == (part.span_id, whole.span_id)
    assert (query.kind, query.status.code, said(query.attributes)["error.type"]) == (3, 2, "TimeoutError")
    told = said(whole.attributes)
    assert (told["http.route"], told["http.response.status_code"], told["enduser.id"]) == ("/items/{id}", 500, "7")
    assert (told["error.type"], told["keel.request_id"]) == ("ValueError", "tea-1")
    parts = said(part.attributes)
    assert (parts["n"], parts["share"], parts["ok"], parts["names"].values[0].string_value) == (3, 0.5, True, "a")
    (event,) = whole.events
    assert (event.name, said(event.attributes)["exception.type"]) == ("exception", "ValueError")
    assert "in request" in said(event.attributes)["exception.stacktrace"]
    assert b"hunter2" not in body
    assert b"bob@" not in body


def test_lines_reach_the_collector_with_their_trace(received: Received) -> None:
    with Logs.open(LogOptions(source=SOURCE, collector=Collector(received.url)), Lines()) as logs:
        segment = request()
        token = doing.set(segment)
        structlog.get_logger("app").warning("password=hunter2", rows=3, exc_info=OSError("token=hunter2"))
        doing.reset(token)
        logs.observed(segment)
    line, access = received.lines
    assert (line.severity_number, line.severity_text, line.body.string_value) == (13, "warning", "password=[redacted]")
    told = said(line.attributes)
    assert (told["rows"], told["logger"], told["exception.type"]) == (3, "app", "OSError")
    assert abs(line.time_unix_nano - time.time_ns()) < 60e9  # noqa: TID251 - what a collector would compare it with
    assert line.trace_id == access.trace_id != b""
    assert (access.severity_text, said(access.attributes)["route"]) == ("error", "/items/{id}")
    assert "hunter2" not in "".join(received.bodies)


def encoded(items: Sequence[str]) -> bytes:
    lines = [
        {
            "timestamp": "2026-03-02T12:00:00.000001Z",
            "level": "info",
            "event": each,
            "trace_id": ID,
            "span_id": "0" * 16,
        }
        for each in items
    ]
    return encode_lines(lines, SOURCE)


def test_a_collector_that_is_busy_is_asked_again(received: Received, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "_LONGEST_PAUSE_S", 0.01)
    received.statuses, received.retry_after = [503, 429], "3"
    exporter = Exporter(Collector(received.url), "/v1/logs", encoded, every_s=0.01)
    exporter.put("a")
    while received.asked < 3:
        assert received.came.wait(10)
        received.came.clear()
    exporter.close()
    assert (len(received.lines), exporter.stats.sent, exporter.stats.dropped) == (1, 1, 0)
    assert received.lines[0].time_unix_nano == 1772452800_000001000


def test_what_a_collector_refuses_is_dropped(received: Received) -> None:
    received.statuses = [400]
    exporter = Exporter(Collector(received.url), "/v1/logs", encoded, every_s=60)
    exporter.put("a")
    exporter.close()
    exporter.close()
    assert (received.asked, exporter.stats.sent, exporter.stats.dropped) == (1, 0, 1)


def test_a_collector_that_is_away_or_hangs_is_noticed_by_nobody() -> None:
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        url = f"http://127.0.0.1:{hanging.getsockname()[1]}"
        exporter = Exporter(Collector(url), "/v1/logs", encoded, every_s=0.01)
        began = time.perf_counter()
        for number in range(MOST_WAITING + 1000):
            exporter.put(f"{number}")
        assert time.perf_counter() - began < 5
        exporter.close(timeout_s=0.1)
    assert exporter.stats.sent == 0
    assert exporter.stats.dropped >= 1000 - exporting._AT_ONCE
    with pytest.raises(ValueError, match="collector's endpoint"):
        Collector("localhost:4317")
