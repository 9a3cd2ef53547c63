"""Requests, counted: by route, in bounded numbers, with the traces of some."""

from collections.abc import Iterator

import pytest
from prometheus_client.metrics_core import Metric

from keel.context import Segment
from keel.metrics.contract import OTHER
from keel.metrics.requests import NO_STATUS, UNMATCHED, RequestMetrics

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def ended(
    route: str | None = "/trades/{trade_id}", status: int = 200, *, took_s: float = 0.003, kind: str = "http"
) -> Segment:
    segment = Segment(kind, "importing", TRACE, 1)
    segment.method, segment.route, segment.status = "GET", route, status
    segment.ended_ns = segment.began_ns + round(took_s * 1e9)
    return segment


def told(metrics: RequestMetrics) -> dict[str, Metric]:
    found = {}
    for family in metrics.collect():
        family.samples = list(family.samples)
        found[family.name] = family
    return found


def samples(family: Metric, suffix: str) -> Iterator[tuple[dict[str, str], float]]:
    return ((each.labels, each.value) for each in family.samples if each.name == family.name + suffix)


def test_requests_are_counted_by_method_route_and_status() -> None:
    metrics = RequestMetrics()
    for each in (ended(), ended(), ended(status=404), ended(None, 404), ended(status=0)):
        metrics.observed(each)
    family = told(metrics)["http_server_request_duration_seconds"]
    counts = {(its["route"], its["status"]): value for its, value in samples(family, "_count")}
    route = "/trades/{trade_id}"
    assert counts == {(route, "200"): 2, (route, "404"): 1, (UNMATCHED, "404"): 1, (route, NO_STATUS): 1}
    assert {its["method"] for its, _ in samples(family, "_count")} == {"GET"}


def test_durations_fall_into_buckets_that_add_up() -> None:
    metrics = RequestMetrics()
    for took_s in (0.0005, 0.001, 0.003, 0.03, 99):
        metrics.observed(ended(took_s=took_s))
    family = told(metrics)["http_server_request_duration_seconds"]
    buckets = {its["le"]: value for its, value in samples(family, "_bucket")}
    assert (buckets["0.001"], buckets["0.005"], buckets["0.05"], buckets["10.0"], buckets["+Inf"]) == (2, 3, 4, 4, 5)
    assert next(samples(family, "_sum"))[1] == pytest.approx(99.0345)


def test_a_bucket_names_a_trace_that_is_kept() -> None:
    metrics = RequestMetrics()
    kept, dropped = ended(took_s=0.03), ended(took_s=0.004)
    kept.is_kept = True
    metrics.observed(kept)
    metrics.observed(dropped)
    family = told(metrics)["http_server_request_duration_seconds"]
    (exemplar,) = [each.exemplar for each in family.samples if each.exemplar]
    assert exemplar.labels == {"trace_id": TRACE}
    assert exemplar.value == pytest.approx(0.03)
    assert exemplar.timestamp == pytest.approx(kept.started_ns / 1e9 + 0.03)


def test_sizes_and_queries_are_added_up_by_route() -> None:
    metrics = RequestMetrics()
    for status in (200, 404):
        request = ended(status=status)
        request.request_bytes, request.response_bytes, request.queries, request.queries_s = 10, 200, 3, 0.25
        metrics.observed(request)
    found = told(metrics)
    size = found["http_server_response_body_size_bytes"]
    assert [value for _, value in samples(size, "_count")] == [2]
    assert [value for _, value in samples(size, "_sum")] == [400]
    assert [value for _, value in samples(found["http_server_request_body_size_bytes"], "_sum")] == [20]
    assert [value for _, value in samples(found["http_server_db_queries"], "_total")] == [6]
    assert [value for _, value in samples(found["http_server_db_seconds"], "_total")] == [0.5]


def test_websockets_and_jobs_are_counted_by_themselves() -> None:
    metrics = RequestMetrics()
    socket, job, failed = ended("/ws", 101, kind="websocket"), ended(kind="job", status=0), ended(kind="job", status=0)
    socket.close_code = 1001
    failed.error = ValueError()
    for each in (socket, job, failed):
        metrics.observed(each)
    found = told(metrics)
    assert not list(samples(found["http_server_request_duration_seconds"], "_count"))
    assert list(samples(found["websocket_connection_duration_seconds"], "_count")) == [
        ({"route": "/ws", "code": "1001"}, 1)
    ]
    assert list(samples(found["job_duration_seconds"], "_count")) == [
        ({"name": "importing", "result": "done"}, 1),
        ({"name": "importing", "result": "failed"}, 1),
    ]


def test_what_is_under_way_is_told_by_its_kind() -> None:
    metrics = RequestMetrics(lambda: [ended(), ended(), ended(kind="websocket")])
    values = {each.name: each.value for each in metrics.readings()}
    assert values == {"http_server_active_requests": 2, "websocket_active_connections": 1, "job_active": 0}


def test_children_are_bounded_and_nothing_goes_uncounted() -> None:
    metrics = RequestMetrics(most=10)
    for number in range(5000):
        metrics.observed(ended(f"/made/up/{number}"))
        metrics.observed(ended(f"/made/up/{number}", kind="job"))
    family = told(metrics)["http_server_request_duration_seconds"]
    counts = {its["route"]: value for its, value in samples(family, "_count")}
    assert len(counts) == 11
    assert counts[OTHER] == 4990
    assert sum(counts.values()) == 5000
    assert len(metrics._bound) <= 1000
