"""How many requests there were, how long they took and how large they were, by method, route and status.

It is told of every request, so it counts in plain numbers and lets them be written down when somebody collects. What is
told in the loop may be read in a thread meanwhile: a number may then be one request ahead of another.
"""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily, Metric, SummaryMetricFamily
from prometheus_client.samples import Exemplar, Sample

from keel.context import Segment
from keel.metrics.contract import DURATIONS_S, OTHER, Reading

UNMATCHED: Final = "unmatched"
"""The route of whatever no route has the path of."""
NO_STATUS: Final = "none"
"""The status of what ended before an answer was begun."""
MOST_CHILDREN: Final = 1000
LIFETIMES_S: Final = (1.0, 10.0, 60.0, 600.0, 3600.0, 6 * 3600.0)
_LABELS: Final = ("method", "route", "status")
_UNDER_WAY: Final = {
    "http": ("http_server_active_requests", "Requests that are being answered."),
    "websocket": ("websocket_active_connections", "WebSockets that are open."),
    "job": ("job_active", "Jobs that are being done."),
}


class Exemplary(NamedTuple):
    """One of those that a bucket has counted, whose trace is kept."""

    trace_id: str
    value: float
    at: float


class Tally:
    """What was measured of one kind of request: how often each bucket was hit, and sums."""

    __slots__ = (
        "_bounds",
        "counts",
        "exemplars",
        "queries",
        "queries_s",
        "request_bytes",
        "response_bytes",
        "total_s",
    )

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.exemplars: dict[int, Exemplary] = {}
        self.total_s = 0.0
        self.request_bytes = self.response_bytes = self.queries = 0
        self.queries_s = 0.0

    def add(self, request: Segment) -> None:
        """Count one."""
        took_s = (request.ended_ns - request.began_ns) / 1e9
        bucket = bisect_left(self._bounds, took_s)
        self.counts[bucket] += 1
        self.total_s += took_s
        self.request_bytes += request.request_bytes
        self.response_bytes += request.response_bytes
        self.queries += request.queries
        self.queries_s += request.queries_s
        if request.is_kept:
            self.exemplars[bucket] = Exemplary(request.trace_id, took_s, request.started_ns / 1e9 + took_s)

    def samples(self, name: str, labels: dict[str, str]) -> Iterator[Sample]:
        """As a histogram; made one by one, as there are many."""
        counts, so_far = list(self.counts), 0
        for bucket, bound in enumerate((*self._bounds, float("inf"))):
            so_far += counts[bucket]
            text = "+Inf" if bucket == len(self._bounds) else repr(bound)
            found = self.exemplars.get(bucket)
            exemplar = None if found is None else Exemplar({"trace_id": found.trace_id}, found.value, found.at)
            yield Sample(f"{name}_bucket", {**labels, "le": text}, float(so_far), None, exemplar)
        yield Sample(f"{name}_count", labels, float(so_far))
        yield Sample(f"{name}_sum", labels, self.total_s)


class Tallies:
    """The tallies of one metric, at most so many: what comes after those is counted together."""

    def __init__(self, name: str, text: str, labels: tuple[str, ...], bounds: tuple[float, ...], most: int) -> None:
        self.name = name
        self._text = text
        self._labels = labels
        self._bounds = bounds
        self._most = most
        self._found: dict[tuple[str, ...], Tally] = {}

    def of(self, *values: str) -> Tally:
        """The tally of what has these values of the labels."""
        if values not in self._found and len(self._found) >= self._most:
            values = (OTHER,) * len(self._labels)
        return self._found.setdefault(values, Tally(self._bounds))

    def items(self) -> list[tuple[dict[str, str], Tally]]:
        """Each with its labels, as they are now."""
        return [(dict(zip(self._labels, values, strict=True)), tally) for values, tally in list(self._found.items())]

    def family(self) -> Metric:
        """As a histogram of prometheus_client's."""
        family = HistogramMetricFamily(self.name, self._text)
        family.samples = self._samples()  # type: ignore[assignment] # it is iterated over once
        return family

    def _samples(self) -> Iterator[Sample]:
        for labels, tally in self.items():
            yield from tally.samples(self.name, labels)


class RequestMetrics:
    """A `RequestObserver`, and a collector of prometheus_client's. `under_way` are the segments that have not ended."""

    def __init__(self, under_way: Callable[[], Iterable[Segment]] = tuple, *, most: int = MOST_CHILDREN) -> None:
        self._under_way = under_way
        self._requests = Tallies(
            "http_server_request_duration_seconds",
            "How long requests took, until everything was done for them.",
            _LABELS,
            DURATIONS_S,
            most,
        )
        self._sockets = Tallies(
            "websocket_connection_duration_seconds",
            "How long WebSockets were open, by the code that they were closed with.",
            ("route", "code"),
            LIFETIMES_S,
            most,
        )
        self._jobs = Tallies(
            "job_duration_seconds", "How long jobs took.", ("name", "result"), (*DURATIONS_S, 60.0, 600.0), most
        )
        self._bound: dict[tuple[str, str | None, int], Tally] = {}

    def observed(self, request: Segment) -> None:
        """Count a segment that has ended."""
        if request.kind == "http":
            key = (request.method, request.route, request.status)
            tally = self._bound.get(key)
            if tally is None:
                tally = self._bind(key)
            tally.add(request)
        elif request.kind == "websocket":
            code = request.close_code or request.status
            self._sockets.of(request.route or UNMATCHED, str(code)).add(request)
        else:
            self._jobs.of(request.name, "failed" if request.failed else "done").add(request)

    def readings(self) -> Iterator[Reading]:
        """What is under way: a `Source`."""
        now = Counter(each.kind for each in self._under_way())
        for kind, (name, text) in _UNDER_WAY.items():
            yield Reading(name, now[kind], {}, text)

    def collect(self) -> Iterator[Metric]:
        """Everything that was counted, for a thread."""
        yield self._requests.family()
        yield from self._by_route()
        yield self._sockets.family()
        yield self._jobs.family()

    def _bind(self, key: tuple[str, str | None, int]) -> Tally:
        method, route, status = key
        tally = self._requests.of(method, route or UNMATCHED, str(status) if status else NO_STATUS)
        if len(self._bound) < MOST_CHILDREN:
            self._bound[key] = tally
        return tally

    def _by_route(self) -> Iterator[Metric]:
        """What is told without the status: sizes, and what was asked of the database."""
        together: defaultdict[tuple[str, str], list[Tally]] = defaultdict(list)
        for labels, tally in self._requests.items():
            together[labels["method"], labels["route"]].append(tally)
        came = SummaryMetricFamily("http_server_request_body_size_bytes", "Sizes of bodies sent.", labels=_LABELS[:2])
        went = SummaryMetricFamily("http_server_response_body_size_bytes", "Sizes of answers.", labels=_LABELS[:2])
        queries = CounterMetricFamily("http_server_db_queries", "Statements run for requests.", labels=_LABELS[:2])
        took = CounterMetricFamily("http_server_db_seconds", "Time that they took.", labels=_LABELS[:2])
        for values, tallies in together.items():
            count = sum(sum(each.counts) for each in tallies)
            came.add_metric(values, count, sum(each.request_bytes for each in tallies))
            went.add_metric(values, count, sum(each.response_bytes for each in tallies))
            queries.add_metric(values, sum(each.queries for each in tallies))
            took.add_metric(values, sum(each.queries_s for each in tallies))
        yield from (came, went, queries, took)
