"""Metrics as Prometheus reads them: the same suite for what measures and for what measures nothing."""

import asyncio
import json
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Final

import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import parser
from prometheus_client.parser import text_string_to_metric_families as read_text
from prometheus_client.samples import Sample

from keel.context import Segment
from keel.metrics.contract import OTHER, Kind, Metrics, Reading
from keel.metrics.null import NullMetrics
from keel.metrics.prometheus import PrometheusMetrics
from keel.metrics.rendering import PAUSE_S, STEP, Form, _Steps
from keel.metrics.requests import RequestMetrics
from tests.watchdog import watched_loop

OPENMETRICS: Final = "application/openmetrics-text"
ROUTES: Final = 50


def read_openmetrics(text: str) -> Iterable[Metric]:
    families: Iterable[Metric] = parser.text_string_to_metric_families(text)  # type: ignore[no-untyped-call]
    return families


@pytest.fixture
def metrics() -> PrometheusMetrics:
    return PrometheusMetrics()


async def told(metrics: Metrics) -> dict[str, dict[tuple[str, ...], float]]:
    """The samples by their names and the values of their labels."""
    rendered = await metrics.render()
    assert rendered.media_type.startswith("text/plain; version=0.0.4")
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in read_text(rendered.body.decode()):
        for each in family.samples:
            found.setdefault(each.name, {})[
                tuple(each.labels[name] for name in sorted(each.labels, key="le".__eq__))
            ] = each.value
    return found


async def test_what_is_counted_and_measured_is_told(metrics: PrometheusMetrics) -> None:
    metrics.counter("imports", "Imports.", ["broker", "result"]).inc("ibkr", "done")
    metrics.counter("imports", "Imports.", ["broker", "result"]).inc("ibkr", "done", by=2)
    metrics.counter("starts", "Starts.").inc()
    metrics.gauge("mode", "Mode.", ["mode"]).set(1, "live")
    metrics.histogram("waits_seconds", "Waits.", ["lock"], buckets=(0.1, 1)).observe(0.5, "rebuild")
    found = await told(metrics)
    assert found["imports_total"] == {("ibkr", "done"): 3}
    assert found["starts_total"] == {(): 1}
    assert found["mode"] == {("live",): 1}
    assert found["waits_seconds_bucket"] == {("rebuild", "0.1"): 0, ("rebuild", "1.0"): 1, ("rebuild", "+Inf"): 1}
    assert found["waits_seconds_sum"] == {("rebuild",): 0.5}
    assert "imports_created" not in found
    assert found["process_resident_memory_bytes"][()] > 1 << 20


async def test_what_others_keep_is_read_when_somebody_asks(metrics: PrometheusMetrics) -> None:
    entries = [3.0]

    def source() -> Iterator[Reading]:
        yield Reading("entries", entries[0], {"tier": "memory"}, "Entries.")
        yield Reading("entries", 7, {"tier": "shared"}, "Entries.")
        yield Reading("evictions", 2, {}, "Evictions.", Kind.COUNTER)

    stop = metrics.read(source)
    entries[0] = 4
    found = await told(metrics)
    assert found["entries"] == {("memory",): 4, ("shared",): 7}
    assert found["evictions_total"] == {(): 2}
    stop()
    stop()
    assert "entries" not in await told(metrics)


async def test_children_are_bounded(metrics: PrometheusMetrics) -> None:
    counter = metrics.counter("hostile", "Made up.", ["name"], most=3)
    for number in range(1000):
        counter.inc(f"name {number}")
    found = (await told(metrics))["hostile_total"]
    assert found == {("name 0",): 1, ("name 1",): 1, ("name 2",): 1, (OTHER,): 997}


async def test_mistakes_are_refused(metrics: PrometheusMetrics) -> None:
    counter = metrics.counter("imports", "Imports.", ["broker"])
    with pytest.raises(ValueError, match="1 labels are wanted"):
        counter.inc()
    with pytest.raises(TypeError, match="another kind"):
        metrics.gauge("imports", "Imports.")


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", Form.TEXT),
        ("*/*", Form.TEXT),
        ("text/html, text/plain;q=0.5", Form.TEXT),
        ("application/json", Form.JSON),
        ("Application/JSON; q=0.1, application/openmetrics-text; q=0.9", Form.OPENMETRICS),
        ("application/json;q=0, */*;q=0.1", Form.TEXT),
        ("application/json;q=nonsense", Form.TEXT),
        ("image/png", Form.TEXT),
        (
            "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            Form.OPENMETRICS,
        ),
    ],
)
def test_the_form_that_is_liked_best_is_given(accept: str, form: Form) -> None:
    assert Form.wanted(accept) is form


@pytest.fixture
async def busy(metrics: PrometheusMetrics) -> PrometheusMetrics:
    """With 500 children, exemplars among them, and labels that need care."""
    requests = RequestMetrics()
    metrics.collect_from(requests)
    metrics.counter("odd", 'A "text" with \\ and\nlines.', ["name"]).inc('quote " backslash \\ line \n ünï')
    for number in range(500):
        segment = Segment("http", "", f"{number:032x}", 1)
        segment.method, segment.route, segment.is_kept = "GET", f"/routes/{number % ROUTES}", True
        segment.status = 200 + number // ROUTES
        segment.ended_ns = segment.began_ns + number * 100_000
        requests.observed(segment)
    return metrics


async def test_openmetrics_carries_the_traces(busy: PrometheusMetrics) -> None:
    rendered = await busy.render(OPENMETRICS)
    assert rendered.media_type.startswith(OPENMETRICS)
    families = {each.name: each for each in read_openmetrics(rendered.body.decode())}
    durations = families["http_server_request_duration_seconds"].samples
    assert len([each for each in durations if each.name.endswith("_count")]) == 500
    assert {each.exemplar.labels["trace_id"] for each in durations if each.exemplar} == {
        f"{n:032x}" for n in range(500)
    }
    assert families["odd"].samples[0].labels == {"name": 'quote " backslash \\ line \n ünï'}


async def test_json_says_the_same(busy: PrometheusMetrics) -> None:
    rendered = await busy.render("application/json")
    assert rendered.media_type == "application/json"
    families = {each["name"]: each for each in json.loads(rendered.body)["metrics"]}
    assert families["odd"]["type"] == "counter"
    assert families["odd"]["samples"][0]["value"] == 1
    assert len(families["http_server_request_body_size_bytes"]["samples"]) == 2 * ROUTES


async def test_nobody_waits_for_them_to_be_written(busy: PrometheusMetrics) -> None:
    threads: set[int] = set()
    busy.collect_from(Witness(threads))
    with watched_loop(longest_ms=10):
        for accept in ("", OPENMETRICS, "application/json"):
            await asyncio.gather(busy.render(accept), busy.render(accept))
    assert threading.get_ident() not in threads
    assert threads


class Witness:
    """Sees in which thread it is asked."""

    def __init__(self, threads: set[int]) -> None:
        self._threads = threads

    def collect(self) -> Iterable[Metric]:
        self._threads.add(threading.get_ident())
        return ()


def test_they_are_written_in_steps_with_pauses_between() -> None:
    sample = Sample("x", {}, 1.0)
    began = time.perf_counter()
    assert len(list(_Steps([sample] * (10 * STEP)))) == 10 * STEP
    assert time.perf_counter() - began >= 10 * PAUSE_S
    assert list(_Steps([Sample("x_created", {}, 1.0), sample])) == [sample]


@pytest.mark.skipif(shutil.which("promtool") is None, reason="Prometheus is not installed")
async def test_promtool_finds_no_fault(busy: PrometheusMetrics) -> None:
    written = (await busy.render()).body
    checked = await asyncio.to_thread(
        lambda: subprocess.run(["promtool", "check", "metrics"], input=written, capture_output=True, check=False)  # noqa: S607 - of the PATH
    )
    assert checked.returncode == 0, checked.stderr.decode()[:2000] + checked.stdout.decode()[:2000]


@pytest.mark.parametrize("make", [PrometheusMetrics, NullMetrics])
@pytest.mark.parametrize("accept", ["", OPENMETRICS, "application/json"])
async def test_whoever_measures_need_not_know_whether_anybody_wants_it(
    make: Callable[[], Metrics], accept: str
) -> None:
    metrics = make()
    metrics.counter("a", "A.", ["x"]).inc("1")
    metrics.gauge("b", "B.").set(2)
    metrics.histogram("c", "C.").observe(3)
    metrics.read(tuple)()
    rendered = await metrics.render(accept)
    assert rendered.media_type == Form.wanted(accept).media_type
    if accept == "":
        list(read_text(rendered.body.decode()))
    elif accept == OPENMETRICS:
        list(read_openmetrics(rendered.body.decode()))
    else:
        assert json.loads(rendered.body)["metrics"] is not None
