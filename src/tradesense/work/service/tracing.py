"""Work in the background as part of the trace in which it was asked for."""

from collections.abc import Iterator
from contextlib import contextmanager

from keel.context import doing
from keel.current import NoKeel, current
from keel.traces.propagation import outgoing, parse


def traceparent() -> str | None:
    """Whose trace this is done for (W3C Trace Context); None where for none."""
    return outgoing().get("traceparent")


@contextmanager
def job(name: str, parent: str | None) -> Iterator[None]:
    """Record what is inside as a job of its own, in the trace of this `traceparent` or in a new one."""
    try:
        traces = current().traces
    except NoKeel:
        yield
        return
    segment = traces.begin("job", name, None if parent is None else parse(parent))
    before = doing.set(segment)
    try:
        yield
    except Exception as error:
        segment.error = error
        raise
    finally:
        doing.reset(before)
        traces.end(segment)
