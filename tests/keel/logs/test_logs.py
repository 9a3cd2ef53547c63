"""From what is said to what is written."""

import io
import json
import logging
import re
import sys
import threading
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest
import structlog

from keel.context import Segment, doing, hex_id
from keel.logs.assembly import Logs
from keel.logs.bridge import Bridge
from keel.logs.contract import Form, LogOptions, Source
from keel.logs.exceptions import described
from keel.logs.files import Stream
from keel.logs.redaction import Redaction
from keel.logs.rendering import Renderer
from keel.traces.recorder import Traces
from tests.keel.logs.lines import Lines, written


def request(status: int = 200) -> Segment:
    segment = Traces().begin("http", "GET /")
    segment.request_id, segment.correlation_id = "tea-1", "tea-0"
    segment.method, segment.route, segment.status = "GET", "/api/v1/trades/{trade_id}", status
    segment.user_id, segment.cache, segment.queries, segment.queries_s = "u7", "miss", 2, 0.0015
    segment.ended_ns = segment.began_ns + 12_345_678
    return segment


def test_a_line_says_who_when_and_for_what() -> None:
    source = Source("tradesense", "1.2.3", "test", "host-1")
    with written(LogOptions(source=source)) as (_, lines):
        segment = request()
        token = doing.set(segment)
        structlog.get_logger("app.imports").bind(account=7).info("imported %d rows", 3, took=Decimal("1.50"))
        doing.reset(token)
        (said,) = lines.said
    moment = datetime.fromisoformat(said.pop("timestamp"))
    assert moment.tzinfo == UTC
    assert abs(moment.timestamp() - segment.started_ns / 1e9) < 5
    assert said == {
        "level": "info",
        "event": "imported 3 rows",
        "logger": "app.imports",
        "service": "tradesense",
        "version": "1.2.3",
        "environment": "test",
        "instance": "host-1",
        "request_id": "tea-1",
        "trace_id": segment.trace_id,
        "span_id": hex_id(segment.span_id),
        "correlation_id": "tea-0",
        "user_id": "u7",
        "account": 7,
        "took": "1.50",
    }


def test_a_request_has_one_line_with_every_field() -> None:
    with written() as (logs, lines):
        logs.observed(request())
        (said,) = lines.said
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", said.pop("timestamp"))
    assert (len(said.pop("trace_id")), len(said.pop("span_id"))) == (32, 16)
    assert said == {
        "level": "info",
        "event": "request",
        "logger": "keel.access",
        "request_id": "tea-1",
        "correlation_id": "tea-0",
        "user_id": "u7",
        "route": "/api/v1/trades/{trade_id}",
        "method": "GET",
        "status": 200,
        "duration_ms": 12.345,
        "db_queries": 2,
        "db_ms": 1.5,
        "cache": "miss",
        "rate_limited": False,
        "request_bytes": 0,
        "response_bytes": 0,
    }


def test_the_quick_way_says_the_same() -> None:
    renderer = Renderer(Source("a b", "1", "", "x"), Form.JSON, Redaction())
    plain, odd, routine, quiet = request(), request(503), request(503), request()
    odd.user_id, odd.route, odd.cache, odd.disconnected = 'a"\u2028\n', "/a/{b}", "other", True
    routine.is_routine = True
    quiet.queries, quiet.queries_s = 0, 0.0
    for segment in (plain, odd, routine, quiet, odd, plain):
        said = renderer.at_once(segment)
        assert said is not None
        assert json.loads(said) == renderer.access(segment)
        assert said.count(b"\n") == 1


def test_what_is_said_again_is_remembered_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keel.logs.rendering._MOST_SAME", 3)
    renderer = Renderer(Source(), Form.JSON, Redaction())
    for status in range(200, 210):
        assert renderer.at_once(request(status))
        assert len(renderer._same) <= 3


def test_a_request_that_failed_says_why() -> None:
    segment = request(500)
    try:
        try:
            raise KeyError("password=hunter2")
        except KeyError as error:
            raise ValueError("no account for bob@example.com") from error
    except ValueError as error:
        segment.exception = described(error)
    with written() as (logs, lines):
        logs.observed(segment)
        (said,) = lines.said
    assert said["level"] == "error"
    exception = said["exception"]
    assert (exception["type"], exception["cause"]["type"]) == ("ValueError", "KeyError")
    (frame,) = exception["frames"]
    assert (frame["file"], frame["function"]) == (
        "tests/keel/logs/test_logs.py",
        "test_a_request_that_failed_says_why",
    )
    assert "hunter2" not in lines.text
    assert "bob@" not in lines.text


def test_jobs_and_sockets_have_their_own_line() -> None:
    job, socket = request(), request()
    job.kind, job.name = "job", "import"
    socket.kind, socket.status, socket.close_code, socket.disconnected = "websocket", 101, 1006, True
    with written(LogOptions(level="debug")) as (logs, lines):
        logs.observed(job)
        logs.observed(socket)
        first, second = lines.said
    assert (first["event"], first["level"], first["name"]) == ("job", "debug", "import")
    assert "route" not in first
    assert (second["event"], second["close_code"], second["disconnected"]) == ("websocket", 1006, True)


def test_levels_are_obeyed_by_all_loggers_and_change_at_once() -> None:
    with written(LogOptions(level="warning")) as (logs, lines):
        ours, theirs = structlog.get_logger("ours.part"), logging.getLogger("theirs.part")
        for _ in range(2):
            for logger in (ours, theirs):
                logger.debug("unheard")
                logger.warning("heard")
            logs.observed(request())
            logs.levels.set("ours", "error")
            logs.levels.set("theirs", "debug")
            logs.levels.set("keel.access", "info")
        heard = [(line["event"], line["logger"]) for line in lines.said]
    assert heard == [
        ("heard", "ours.part"),
        ("heard", "theirs.part"),
        ("unheard", "theirs.part"),
        ("heard", "theirs.part"),
        ("request", "keel.access"),
    ]
    assert logging.getLogger("theirs").level == logging.NOTSET


def test_a_level_that_expires_is_taken_back_from_third_parties_as_well() -> None:
    with written() as (logs, lines):
        logs.levels.set("theirs", "debug", timedelta(0))
        assert logs.levels.of("theirs") == logging.INFO
        logging.getLogger("theirs").debug("unheard")
        assert lines.said == []


def test_third_parties_go_the_same_way() -> None:
    with written() as (logs, lines):
        try:
            raise OSError("redis://u:hunter2@host")
        except OSError:
            logging.getLogger("third.party").exception("failed with %s", "token=hunter2", extra={"attempt": 3})
        record = logging.makeLogRecord({"name": "third.party", "levelno": 30, "msg": "%d is wrong", "args": ("no",)})
        Bridge(logs).emit(record)
        said, wrong = lines.said
    assert (said["level"], said["logger"], said["attempt"]) == ("error", "third.party", 3)
    assert said["exception"]["type"] == "OSError"
    assert "hunter2" not in lines.text
    assert wrong["event"] == "%d is wrong"


def test_logging_is_left_as_it_was() -> None:
    root = logging.getLogger()
    before = (root.level, list(root.handlers), structlog.get_config())
    with written():
        pass
    assert (root.level, list(root.handlers), structlog.get_config()) == before


def test_nobody_writes_lines_of_their_own() -> None:
    hostile = 'x"}\n{"event": "forged"}\r\n\x1b[31m\x85\u2028\u2029\x0b\x0c\x1c\ud800'
    for form in Form:
        with written(LogOptions(form=form)) as (_, lines):
            structlog.get_logger(hostile).warning(hostile, value=hostile, **{hostile: hostile})
            text = lines.text
        assert len(text.splitlines()) == 1
        assert "\x1b" not in text


def test_a_terminal_gets_text() -> None:
    with written(LogOptions(form=Form.CONSOLE)) as (logs, lines):
        try:
            raise ValueError("no")
        except ValueError:
            structlog.get_logger("app").exception("failed", file="a b.csv", rows=3)
        logs.observed(request())
        first, *frames, last = lines.text.splitlines()
    assert re.fullmatch(r"\S+Z error    failed \[app\] file='a b.csv' rows=3", first)
    assert frames[0] == "  ValueError: no"
    assert "test_a_terminal_gets_text" in frames[1]
    assert "route=/api/v1/trades/{trade_id} method=GET status=200" in last


def test_whatever_is_said_is_written() -> None:
    class Broken:
        def __str__(self) -> str:
            raise ValueError("cannot say")

    cyclic: list[object] = []
    cyclic.append(cyclic)
    with written() as (logs, lines):
        logger = structlog.get_logger()
        logger.info(Broken(), broken=Broken(), bytes=b"123", huge=1 << 70, nan=float("nan"), cyclic=cyclic, event_="x")
        logger.info("%d", "no number", id=UUID(int=7), when=datetime(2026, 3, 2, tzinfo=UTC), items={3}, level="mine")
        logger.critical("x" * 100_000)
        first, second, third = lines.said
        assert logs.stats.failed == 0
    assert first["event"].startswith("<test_whatever")
    assert (first["bytes"], first["huge"], first["nan"]) == ("<3 bytes>", f"{1 << 70}", None)
    assert (second["event"], second["items"], second["level_"], second["logger"]) == (
        "%d ('no number',)",
        [3],
        "mine",
        "app",
    )
    assert len(third["event"]) < 10_000


def test_what_is_said_is_what_was_when_it_was_said() -> None:
    rows = [1]
    with written() as (_, lines):
        structlog.get_logger().info("now", rows=rows)
        rows.append(2)
        assert lines.said[0]["rows"] == [1]


def test_lines_that_come_too_fast_are_dropped_and_counted() -> None:
    blocked, go = threading.Event(), threading.Event()

    class Slow(Lines):
        def write(self, lines: bytes) -> None:
            blocked.set()
            go.wait(10)
            super().write(lines)

    slow = Slow()
    with Logs.open(LogOptions(most_waiting=5), slow) as logs:
        logger = structlog.get_logger()
        logger.info("first")
        assert blocked.wait(10)
        for number in range(20):
            logger.info("more", number=number)
        go.set()
    assert logs.stats.dropped == 15
    assert [line.get("number", line.get("count")) for line in slow.said] == [None, 0, 1, 2, 3, 4, 15]
    assert slow.said[-1]["event"] == "log lines were dropped"


def test_an_output_that_fails_disturbs_nobody() -> None:
    with written() as (logs, lines):
        lines.failing = True
        structlog.get_logger().info("lost")
        assert lines.text == ""
        lines.failing = False
        structlog.get_logger().info("written")
        assert [line["event"] for line in lines.said] == ["written"]
        assert (logs.stats.failed, logs.stats.written) == (1, 1)


def test_everything_is_written_before_it_closes(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    with Logs.open(LogOptions(file=path)) as logs:
        for number in range(100):
            structlog.get_logger().info("line", number=number)
    logs.close()
    logs.put(request())
    assert len(path.read_text().splitlines()) == 100
    assert logs.stats.dropped == 1


def test_lines_go_to_the_standard_output(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(stream))
    with Logs.open():
        structlog.get_logger().info("hello")
    assert b'"event":"hello"' in stream.getvalue()


def test_a_stream_that_is_gone_disturbs_nobody() -> None:
    stream = io.BytesIO()
    stream.close()
    with Logs.open(output=Stream(stream)) as logs:
        structlog.get_logger().info("lost")
        logs.flush()
        assert logs.stats.failed == 1
