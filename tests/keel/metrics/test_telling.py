from keel.logs.contract import LogStats
from keel.metrics.telling import of_logs, of_traces
from keel.traces.contract import TraceStats


def test_what_was_dropped_is_told_of() -> None:
    lines = {each.labels["outcome"]: each.value for each in of_logs(LogStats(written=5, dropped=2, failed=1))}
    assert lines == {"written": 5, "dropped": 2, "failed": 1}
    segments = {each.labels["outcome"]: each.value for each in of_traces(TraceStats(kept=3, dropped=7))}
    assert segments == {"kept": 3, "dropped": 7, "brought_back": 0}
