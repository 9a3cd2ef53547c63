"""Metrics by prometheus_client, in a registry of their own."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Final, Generic, Protocol, TypeVar

import anyio.to_thread
import prometheus_client as prometheus
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry

from keel.context import RequestObserver, Segment
from keel.metrics.contract import (
    DURATIONS_S,
    MOST_CHILDREN,
    OTHER,
    Counter,
    Gauge,
    Histogram,
    Kind,
    Reading,
    Rendered,
    Source,
)
from keel.metrics.rendering import Form, render
from keel.metrics.requests import RequestMetrics

Child_co = TypeVar("Child_co", covariant=True)

_FAMILIES: Final = {Kind.COUNTER: CounterMetricFamily, Kind.GAUGE: GaugeMetricFamily}


class _Parent(Protocol[Child_co]):
    """A metric of prometheus_client's."""

    def labels(self, *values: str) -> Child_co:
        """The child with these values."""


class _Children(Generic[Child_co]):
    """The children of one metric, at most so many, each looked up once in its life."""

    def __init__(self, parent: _Parent[Child_co], labels: Sequence[str], most: int) -> None:
        self._parent = parent
        self._other = (OTHER,) * len(labels)
        self._most = most
        self._found: dict[tuple[str, ...], Child_co] = {}

    def __call__(self, labels: tuple[str, ...]) -> Child_co:
        found = self._found.get(labels)
        return self._find(labels) if found is None else found

    def _find(self, labels: tuple[str, ...]) -> Child_co:
        if len(labels) != len(self._other):
            raise ValueError(f"{len(self._other)} labels are wanted, not {len(labels)}")
        if len(self._found) >= self._most:
            labels = self._other
        if labels not in self._found:
            self._found[labels] = self._parent.labels(*labels) if labels else self._parent  # type: ignore[assignment]
        return self._found[labels]


class _Counter:
    def __init__(self, children: _Children[prometheus.Counter]) -> None:
        self._children = children

    def inc(self, *labels: str, by: float = 1) -> None:
        self._children(labels).inc(by)


class _Gauge:
    def __init__(self, children: _Children[prometheus.Gauge]) -> None:
        self._children = children

    def set(self, value: float, *labels: str) -> None:
        self._children(labels).set(value)


class _Histogram:
    def __init__(self, children: _Children[prometheus.Histogram]) -> None:
        self._children = children

    def observe(self, value: float, *labels: str) -> None:
        self._children(labels).observe(value)


Made = TypeVar("Made", _Counter, _Gauge, _Histogram)


class PrometheusMetrics:
    """Implements `Metrics`. What the process itself uses is among them: memory, CPU, files, collections of garbage."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._made: dict[str, _Counter | _Gauge | _Histogram] = {}
        self._sources: list[Source] = []
        self._turn = asyncio.Lock()
        prometheus.ProcessCollector(registry=self._registry)
        prometheus.PlatformCollector(registry=self._registry)
        prometheus.GCCollector(registry=self._registry)

    def counter(self, name: str, text: str, labels: Sequence[str] = (), *, most: int = MOST_CHILDREN) -> Counter:
        """A counter."""

        def make() -> _Counter:
            return _Counter(_Children(prometheus.Counter(name, text, labels, registry=self._registry), labels, most))

        return self._once(name, _Counter, make)

    def gauge(self, name: str, text: str, labels: Sequence[str] = (), *, most: int = MOST_CHILDREN) -> Gauge:
        """A gauge."""

        def make() -> _Gauge:
            return _Gauge(_Children(prometheus.Gauge(name, text, labels, registry=self._registry), labels, most))

        return self._once(name, _Gauge, make)

    def histogram(
        self,
        name: str,
        text: str,
        labels: Sequence[str] = (),
        *,
        buckets: Sequence[float] = DURATIONS_S,
        most: int = MOST_CHILDREN,
    ) -> Histogram:
        """A histogram."""

        def make() -> _Histogram:
            parent = prometheus.Histogram(name, text, labels, registry=self._registry, buckets=buckets)
            return _Histogram(_Children(parent, labels, most))

        return self._once(name, _Histogram, make)

    def read(self, source: Source) -> Callable[[], None]:
        """Ask `source` whenever somebody collects."""
        self._sources.append(source)

        def stop() -> None:
            if source in self._sources:
                self._sources.remove(source)

        return stop

    def collect_from(self, collector: Collector) -> None:
        """Let a collector of prometheus_client's, asked in a thread, tell of metrics that it keeps itself."""
        self._registry.register(collector)

    def requests(self, under_way: Callable[[], Iterable[Segment]]) -> RequestObserver:
        """What is to be told of every request."""
        requests = RequestMetrics(under_way)
        self.collect_from(requests)
        self.read(requests.readings)
        return requests

    async def render(self, accept: str = "") -> Rendered:
        """Everything; it is read in the loop, and written in a thread, for one who asks at a time."""
        form = Form.wanted(accept)
        async with self._turn:
            readings = [reading for source in self._sources for reading in source()]
            body = await anyio.to_thread.run_sync(self._written, form, readings)
        return Rendered(form.media_type, body)

    def _written(self, form: Form, readings: Iterable[Reading]) -> bytes:
        return render(form, chain(self._registry.collect(), _families(readings)))

    def _once(self, name: str, kind: type[Made], make: Callable[[], Made]) -> Made:
        found = self._made.get(name)
        if found is None:
            found = self._made[name] = make()
        if not isinstance(found, kind):
            raise TypeError(f"{name} is another kind of metric already")
        return found


def _families(readings: Iterable[Reading]) -> Iterator[Metric]:
    """Readings by their names."""
    found: dict[str, list[Reading]] = {}
    for reading in readings:
        found.setdefault(reading.name, []).append(reading)
    for name, its in found.items():
        labels = tuple(its[0].labels)
        family = _FAMILIES[its[0].kind](name, its[0].text, labels=labels)
        for each in its:
            family.add_metric([*_values(each.labels, labels)], each.value)
        yield family


def _values(given: Mapping[str, str], labels: Iterable[str]) -> Iterator[str]:
    return (given[label] for label in labels)
