"""Traces as trees: whatever was kept of them, each span is there once, after that within which it lies."""

from random import Random

from keel.store.contract import Part, SpanPart, Summary
from tradesense.monitoring.schemas.traces import TraceView

SECOND = 1_000_000_000


def part(span_id: str, parent_id: str = "", began_s: int = 0, *spans: SpanPart) -> Part:
    began_ns, instance = began_s * SECOND, f"on {span_id}"
    ids = ("ab" * 16, span_id, parent_id)
    about = Summary(*ids, "http", span_id, "GET", "/", 200, began_ns, 5_000_000, "", 0, instance)
    return Part(about, "r", "c", "", 0, 0, "", None, "", [], list(spans), 0)


def span(span_id: str, parent_id: str, offset_ms: int = 0) -> SpanPart:
    return SpanPart(span_id, parent_id, span_id, "internal", offset_ms * 1000, 1000, None, "")


def lines(*parts: Part) -> list[tuple[int, str]]:
    return [(each.depth, each.span_id) for each in TraceView.of("shared", list(parts)).spans]


def test_parts_hang_on_the_spans_that_they_were_done_for() -> None:
    web = part("a", "caller", 1, span("b", "a", 10), span("c", "b", 20), span("d", "a", 5))
    worker = part("e", "c", 2, span("f", "e"))
    assert lines(worker, web) == [(0, "a"), (1, "d"), (1, "b"), (2, "c"), (3, "e"), (4, "f")]


def test_what_lies_in_nothing_that_is_kept_is_a_root() -> None:
    assert lines(part("a", began_s=2), part("b", "lost", 1), part("c", "a", 3, span("d", "gone"))) == [
        (0, "b"),
        (0, "a"),
        (1, "c"),
        (0, "d"),
    ]


def test_times_are_from_the_beginning_of_the_trace() -> None:
    view = TraceView.of("shared", [part("a", "", 1, span("b", "a", 250)), part("c", "b", 4)])
    assert [each.offset_ms for each in view.spans] == [0, 250, 3000]
    assert (view.duration_ms, view.instances) == (8000, ["on a", "on c"])


def test_a_deep_trace_is_no_matter() -> None:
    numbers = list(range(1, 5000))
    Random(1).shuffle(numbers)
    spans = [span(f"{number:016x}", f"{number - 1:016x}") for number in numbers]
    assert [depth for depth, _ in lines(part(f"{0:016x}", "", 0, *spans))] == list(range(5000))
