"""Metrics that nobody wants."""

from collections.abc import Callable, Iterable, Sequence

from keel.context import RequestObserver, Segment
from keel.metrics.contract import (
    DURATIONS_S,
    MOST_CHILDREN,
    Counter,
    Gauge,
    Histogram,
    Rendered,
    Source,
)
from keel.metrics.rendering import Form, render


class _Nothing:
    """Takes everything and keeps nothing."""

    def inc(self, *labels: str, by: float = 1) -> None:
        """Nothing."""

    def set(self, value: float, *labels: str) -> None:
        """Nothing."""

    def observe(self, value: float, *labels: str) -> None:
        """Nothing."""

    def observed(self, request: Segment) -> None:
        """Nothing."""


class NullMetrics:
    """Implements `Metrics`; measures nothing."""

    def counter(self, name: str, text: str, labels: Sequence[str] = (), *, most: int = MOST_CHILDREN) -> Counter:  # noqa: ARG002 - the contract's
        """One that counts nothing."""
        return _Nothing()

    def gauge(self, name: str, text: str, labels: Sequence[str] = (), *, most: int = MOST_CHILDREN) -> Gauge:  # noqa: ARG002 - the contract's
        """One that holds nothing."""
        return _Nothing()

    def histogram(
        self,
        name: str,  # noqa: ARG002 - the contract's
        text: str,  # noqa: ARG002 - the same
        labels: Sequence[str] = (),  # noqa: ARG002 - the same
        *,
        buckets: Sequence[float] = DURATIONS_S,  # noqa: ARG002 - the same
        most: int = MOST_CHILDREN,  # noqa: ARG002 - the same
    ) -> Histogram:
        """One that sorts nothing."""
        return _Nothing()

    def read(self, source: Source) -> Callable[[], None]:  # noqa: ARG002 - the contract's
        """Never ask."""
        return _nothing

    def requests(self, under_way: Callable[[], Iterable[Segment]]) -> RequestObserver:  # noqa: ARG002 - the contract's
        """One that counts nothing."""
        return _Nothing()

    async def render(self, accept: str = "") -> Rendered:
        """Nothing, in the form that is wanted."""
        form = Form.wanted(accept)
        return Rendered(form.media_type, render(form, ()))


def _nothing() -> None:
    """Nothing."""
