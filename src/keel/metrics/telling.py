"""What became of log lines and traces, as metrics: dropped ones are told of, as they cannot tell of themselves."""

from collections.abc import Iterator

from keel.logs.contract import LogStats
from keel.metrics.contract import Kind, Reading
from keel.traces.contract import TraceStats


def of_traces(stats: TraceStats) -> Iterator[Reading]:
    """Segments of traces that were kept, and that were not."""
    for outcome, count in (("kept", stats.kept), ("dropped", stats.dropped), ("brought_back", stats.brought_back)):
        text = "Segments of traces; one that is brought back was dropped before."
        yield Reading("trace_segments", count, {"outcome": outcome}, text, Kind.COUNTER)


def of_logs(stats: LogStats) -> Iterator[Reading]:
    """Lines that were written, and that were not."""
    for outcome, count in (("written", stats.written), ("dropped", stats.dropped), ("failed", stats.failed)):
        yield Reading("log_lines", count, {"outcome": outcome}, "Log lines.", Kind.COUNTER)
