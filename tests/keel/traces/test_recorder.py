from datetime import timedelta

import pytest

from keel.context import Segment, SpanRecord
from keel.traces import regrets
from keel.traces.contract import TraceOptions
from keel.traces.memory import TraceRing
from keel.traces.propagation import Parent, Sample, parse, well_formed_state
from keel.traces.recorder import Traces

ID = "4bf92f3577b34da6a3ce929d0e0e4736"
OUT = Parent(f"{1:032x}", 5, is_sampled=False)
"""A trace that is in no sample but that of everything."""
SPAN = SpanRecord(1, 0, "tea", "internal", 0, 1, None, "")


def ended(traces: Traces, parent: Parent | None = OUT, status: int = 200) -> Segment:
    segment = traces.begin("http", "GET /", parent)
    segment.status = status
    traces.end(segment)
    return segment


def test_what_falls_in_the_sample_is_kept_and_what_does_not_is_dropped() -> None:
    kept = Traces(TraceOptions(rate=1))
    dropped = Traces(TraceOptions(rate=0))
    segments = [ended(traces, None) for traces in (kept, dropped)]
    assert [segment.is_kept for segment in segments] == [True, False]
    assert (list(kept.ring.newest()), list(dropped.ring.newest())) == ([segments[0]], [])
    assert (kept.under_way, kept.stats.kept, dropped.stats.dropped) == (set(), 1, 1)


def test_what_fails_or_is_slow_is_kept_all_the_same() -> None:
    traces = Traces(TraceOptions(rate=0, slow=timedelta(0)))
    assert ended(traces).is_kept
    traces = Traces(TraceOptions(rate=0))
    assert ended(traces, status=500).is_kept
    assert not ended(traces, Parent(ID, 5, is_sampled=False), status=404).is_kept


def test_what_lasts_until_it_is_left_is_not_slow() -> None:
    traces = Traces(TraceOptions(rate=0, slow=timedelta(milliseconds=1)))
    kept: list[bool] = []
    for kind, waited_ns, is_left in (("websocket", 0, True), ("http", 1, True), ("http", 1, False), ("http", 0, True)):
        segment = traces.begin(kind, "", OUT._replace(trace_id=f"{len(kept):032x}"))
        segment.began_ns -= 10**9
        segment.body_began_ns = segment.began_ns + waited_ns if waited_ns else 0
        segment.disconnected = is_left
        traces.end(segment)
        kept.append(segment.is_kept)
    assert kept == [False, False, True, True]


def test_what_was_dropped_is_brought_back_when_another_part_of_its_trace_is_kept() -> None:
    traces, wanted = Traces(TraceOptions(rate=0)), list[str]()
    traces.wanted.append(wanted.append)
    first, other = ended(traces), ended(traces, Parent(ID, 5, is_sampled=False))
    failed = ended(traces, status=500)
    later = ended(traces)
    assert [each.is_kept for each in (first, failed, later, other)] == [True, True, True, False]
    assert traces.ring.of(OUT.trace_id) == [first, failed, later]
    assert (wanted, traces.stats.brought_back) == ([OUT.trace_id], 1)
    traces.bring_back(ID)  # as another instance says
    assert other.is_kept


def test_nothing_is_brought_back_after_its_time() -> None:
    traces = Traces(TraceOptions(rate=0, regret=timedelta(0)))
    first = ended(traces)
    ended(traces, status=500)
    assert not first.is_kept
    assert not ended(traces).is_kept


def test_what_was_dropped_is_remembered_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regrets, "MOST_SEGMENTS", 10)
    monkeypatch.setattr(regrets, "MOST_KEPT", 10)
    dropped = regrets.Regrets(10**12)
    segments = [Segment("http", "", f"{number // 2:032x}", number) for number in range(100)]
    for segment in segments:
        segment.ended_ns = segment.began_ns
        dropped.drop(segment)
    assert len(dropped) == 10
    assert len(dropped._dropped) == 5
    assert dropped.want(segments[0].trace_id, segments[0].began_ns) == []
    assert dropped.want(segments[-1].trace_id, segments[0].began_ns) == segments[-2:]
    assert dropped.want(segments[-1].trace_id, segments[0].began_ns) == []
    for number in range(100):
        dropped.want(f"{number}", 0)
    assert not dropped.is_wanted("1", 1)
    assert dropped.is_wanted("99", 1)


def test_of_a_trace_that_is_dropped_again_and_again_the_newest_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regrets, "MOST_SEGMENTS", 3)
    dropped = regrets.Regrets(10**12)
    segments = [Segment("http", "", ID, number, spans=[SPAN] * (number % 2)) for number in range(10)]
    for segment in segments:
        segment.ended_ns = segment.began_ns
        dropped.drop(segment)
    assert dropped.want(ID, segments[0].began_ns) == segments[-3:]
    assert (len(dropped), dropped._spans, len(dropped._dropped)) == (0, 0, 0)


def test_the_ring_keeps_the_newest() -> None:
    ring = TraceRing(3)
    segments = [Segment("http", "", ID, number) for number in range(5)]
    for segment in segments:
        ring.keep(segment)
    assert list(ring.newest()) == segments[:1:-1]
    assert ring.of("other") == []


def test_an_observer_or_sink_that_fails_disturbs_nobody(caplog: pytest.LogCaptureFixture) -> None:
    class Failing:
        def observed(self, request: Segment) -> None:
            raise ValueError(request.name)

        def keep(self, segment: Segment) -> None:
            raise ValueError(segment.name)

    traces = Traces(TraceOptions(rate=1))
    traces.observers.append(Failing())
    traces.sinks.insert(0, Failing())
    segment = ended(traces)
    assert list(traces.ring.newest()) == [segment]
    assert len(caplog.records) == 2


def test_callers_that_mark_their_traces_are_believed_so_many_times_a_second() -> None:
    traces = Traces(TraceOptions(rate=0, marked_per_s=3))
    marked = [traces.begin("http", "", OUT._replace(is_sampled=True)).is_sampled for _ in range(10)]
    assert marked == [True] * 3 + [False] * 7


# Propagation


def test_a_traceparent_is_understood() -> None:
    assert parse(f"00-{ID}-00f067aa0ba902b7-01") == (ID, 0x00F067AA0BA902B7, True)
    assert parse(f"00-{ID}-00f067aa0ba902b7-02") == (ID, 0x00F067AA0BA902B7, False)
    assert parse(f"cc-{ID}-00f067aa0ba902b7-01-what-the-future-will-be-like") == (ID, 0x00F067AA0BA902B7, True)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "00",
        f"00-{ID}-00f067aa0ba902b7",
        f"00-{ID}-00f067aa0ba902b7-1",
        f"00-{ID}-00f067aa0ba902b7-01-more",
        f"cc-{ID}-00f067aa0ba902b7-01.more",
        f"ff-{ID}-00f067aa0ba902b7-01",
        f"00-{ID.upper()}-00f067aa0ba902b7-01",
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-{ID}-{'0' * 16}-01",
        f" 00-{ID}-00f067aa0ba902b7-01",
        f"00-{ID}-00f067aa0ba902b7-01\n",
        f"00-{ID}-00f067aa0ba902b7-01,00-{ID}-00f067aa0ba902b7-01",
    ],
)
def test_a_traceparent_that_is_not_well_formed_is_none(header: str) -> None:
    assert parse(header) is None


def test_a_tracestate_is_passed_on_unless_it_is_broken_or_long() -> None:
    assert well_formed_state("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE") == "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"
    assert well_formed_state("a=b\nc") == well_formed_state("a" * 513) == ""


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 1.0])
def test_a_sample_is_a_share_and_everybodys_the_same(rate: float) -> None:
    sample, other = Sample(rate), Sample(rate)
    ids = [f"{number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % (1 << 128):032x}" for number in range(1, 2001)]
    chosen = [sample.has(each) for each in ids]
    assert chosen == [other.has(each) for each in ids]
    assert sum(chosen) / len(ids) == pytest.approx(rate, abs=0.03)


def test_a_sample_that_is_no_share_is_refused() -> None:
    with pytest.raises(ValueError, match="from 0 to 1"):
        Sample(10)
