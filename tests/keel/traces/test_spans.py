"""What is part of what: across tasks, generators of both kinds, threads, and cancellation."""

import asyncio
import contextlib
import contextvars
import gc
import weakref
from collections.abc import AsyncIterator, Generator, Iterator

import pytest

from keel import monitor_performance, span
from keel.context import MOST_SPANS, Segment, current_segment, doing
from keel.opening import Keel
from keel.traces.recorder import Traces
from keel.traces.spans import record


@pytest.fixture
def segment() -> Iterator[Segment]:
    """A segment that is under way."""
    begun = Traces().begin("job", "test")
    token = doing.set(begun)
    yield begun
    assert doing.get() is begun
    doing.reset(token)


def tree(segment: Segment) -> dict[str, str]:
    """The parent of each span, by name; all have different names."""
    names = {each.span_id: each.name for each in segment.spans} | {segment.span_id: "segment"}
    found = {each.name: names[each.parent_id] for each in segment.spans}
    assert len(found) == len(segment.spans)
    return found


async def test_spans_form_a_tree(segment: Segment) -> None:
    with span("a", {"size": 3}) as a:
        async with span("b"):
            pass
        with span("c"):
            await asyncio.sleep(0)
        a.set("more", "x")
    assert tree(segment) == {"a": "segment", "b": "a", "c": "a"}
    recorded = segment.spans[-1]
    assert recorded.attributes == {"size": 3, "more": "x"}
    assert recorded.began_ns <= segment.spans[0].began_ns <= segment.spans[0].ended_ns <= recorded.ended_ns


async def test_tasks_that_run_at_once_keep_their_spans_apart(segment: Segment) -> None:
    async def work(name: str) -> None:
        async with span(name):
            await asyncio.sleep(0)
            with span(f"{name} inside"):
                await asyncio.sleep(0)

    with span("all"):
        await asyncio.gather(*(work(name) for name in "xyz"))
    assert tree(segment) == {"all": "segment"} | {k: v for n in "xyz" for k, v in ((n, "all"), (f"{n} inside", n))}


async def test_what_a_task_does_later_is_still_part_of_the_span_that_it_was_started_in(segment: Segment) -> None:
    go = asyncio.Event()

    async def later() -> None:
        await go.wait()
        with span("later"):
            pass

    with span("starting"):
        task = asyncio.get_running_loop().create_task(later())
    go.set()
    await task
    assert tree(segment) == {"starting": "segment", "later": "starting"}


async def test_a_thread_works_for_the_span_that_it_was_started_in(segment: Segment) -> None:
    def work() -> None:
        with span("in a thread"):
            pass

    with span("asking"):
        await asyncio.to_thread(work)
    assert tree(segment) == {"asking": "segment", "in a thread": "asking"}


def test_generators_that_take_turns_keep_their_spans_apart(segment: Segment) -> None:
    def steps(name: str) -> Iterator[None]:
        with span(name):
            yield
            with span(f"{name} child"):
                yield
            yield

    first, second = steps("first"), steps("second")
    for _ in range(3):
        next(first)
        next(second)
    with span("consumer"):
        pass
    assert list(first) == list(second) == []
    assert tree(segment) == {
        "first": "segment",
        "second": "segment",
        "first child": "first",
        "second child": "second",
        "consumer": "segment",
    }


async def test_asynchronous_generators_that_take_turns_keep_their_spans_apart(segment: Segment) -> None:
    async def steps(name: str) -> AsyncIterator[int]:
        async with span(name):
            for number in range(2):
                await asyncio.sleep(0)
                with span(f"{name} {number}"):
                    await inner(f"{name} {number} inside")
                    await asyncio.gather(inner(f"{name} {number} task"))
                    yield number

    async def inner(name: str) -> None:
        with span(name):
            await asyncio.sleep(0)

    first, second = steps("first"), steps("second")
    async for number in first:
        await anext(second)
        with span(f"consumer {number}"):
            pass
    with contextlib.suppress(StopAsyncIteration):
        await anext(second)
    expected = {"consumer 0": "segment", "consumer 1": "segment"}
    for name in ("first", "second"):
        expected |= {name: "segment", f"{name} 0": name, f"{name} 1": name}
        expected |= {f"{name} 0 inside": f"{name} 0", f"{name} 1 inside": f"{name} 1"}
        expected |= {f"{name} 0 task": "segment", f"{name} 1 task": "segment"}
    assert tree(segment) == expected


async def test_a_generator_that_makes_a_block_means_what_is_done_in_the_block(segment: Segment) -> None:
    @contextlib.contextmanager
    def block() -> Iterator[None]:
        with span("block"):
            yield

    @contextlib.asynccontextmanager
    async def async_block() -> AsyncIterator[None]:
        await asyncio.sleep(0)
        with span("async block"):
            yield

    with block():
        async with async_block():
            await asyncio.sleep(0)
            with span("inside"):
                pass
    assert tree(segment) == {"block": "segment", "async block": "block", "inside": "async block"}


def test_a_generator_that_is_abandoned_ends_its_span_at_once(segment: Segment) -> None:
    def steps() -> Iterator[int]:
        with span("abandoned"):
            yield from range(3)

    gc.disable()
    try:
        for _ in steps():
            break
        assert [each.name for each in segment.spans] == ["abandoned"]
    finally:
        gc.enable()


async def test_a_generator_closed_in_another_task_disturbs_nobody(segment: Segment) -> None:
    async def steps() -> AsyncIterator[int]:
        with span("steps"):
            yield 1
            yield 2

    generator = steps()

    async def elsewhere() -> None:
        await anext(generator)

    await asyncio.get_running_loop().create_task(elsewhere())
    with span("here"):
        await generator.aclose()  # type: ignore[attr-defined] # it is a generator
        with span("still here"):
            pass
    assert tree(segment) == {"steps": "segment", "here": "segment", "still here": "here"}


async def test_cancellation_ends_spans_and_says_so(segment: Segment) -> None:
    async def work() -> None:
        with span("cancelled"):
            await asyncio.Event().wait()

    task = asyncio.get_running_loop().create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [(each.name, each.error) for each in segment.spans] == [("cancelled", "asyncio.exceptions.CancelledError")]


def test_an_error_passes_and_is_noted(segment: Segment) -> None:
    with pytest.raises(ValueError, match="secret"), span("failing"):
        raise ValueError("secret")
    assert [(each.name, each.error) for each in segment.spans] == [("failing", "ValueError")]


def test_only_so_many_spans_are_recorded_and_none_loses_its_parent(segment: Segment) -> None:
    with span("outer"):
        for number in range(MOST_SPANS + 50):
            with span(f"{number}"), span(f"{number} inside"):
                record(f"{number} noted", 0)
    assert len(segment.spans) == MOST_SPANS
    assert set(tree(segment).values()) <= {
        "segment",
        "outer",
        *(f"{n}" for n in range(400)),
        *(f"{n} inside" for n in range(400)),
    }
    assert segment.begun_spans == 1 + 3 * (MOST_SPANS + 50)


async def test_what_is_known_only_at_its_end_is_part_of_what_is_current(segment: Segment) -> None:
    with span("asking"):
        record("SELECT trades", segment.began_ns, {"db.system.name": "sqlite"}, error="TimeoutError")
    assert tree(segment) == {"asking": "segment", "SELECT trades": "asking"}
    assert segment.spans[0].began_ns == segment.began_ns


def test_without_a_keel_nothing_is_recorded_and_nothing_fails() -> None:
    @monitor_performance("lonely")
    def work() -> int:
        with span("within"):
            record("noted", 0)
            return 7

    assert work() == 7
    assert doing.get() is None


async def test_where_nothing_is_under_way_a_span_begins_a_trace() -> None:
    async with Keel.open() as keel:
        with pytest.raises(ValueError, match="no"), span("script", {"n": 1}), span("part"):
            raise ValueError("no")
        (segment,) = keel.traces.ring.newest()
    assert (segment.kind, segment.name, segment.attributes) == ("job", "script", {"n": 1})
    assert segment.exception is not None
    assert (segment.exception["type"], segment.error) == ("ValueError", None)
    assert tree(segment) == {"part": "segment"}


async def test_what_outlives_its_segment_goes_on_in_one_of_the_same_trace() -> None:
    async with Keel.open() as keel:
        begun = keel.traces.begin("http", "GET /")
        begun.request_id = "tea-1"
        token = doing.set(begun)
        context = contextvars.copy_context()
        doing.reset(token)
        keel.traces.end(begun)
        later = context.run(_failing_span)
    assert (later.trace_id, later.parent_id, later.request_id) == (begun.trace_id, begun.span_id, "tea-1")
    assert keel.traces.ring.of(begun.trace_id) == [begun, later]  # brought back, as a part of its trace failed
    assert keel.traces.stats.brought_back == (0 if begun.is_sampled else 1)


def _failing_span() -> Segment:
    with contextlib.suppress(KeyError), span("later") as later:
        assert current_segment() is later.segment
        raise KeyError
    return later.segment


def test_a_segment_is_no_cycle() -> None:
    class Weighty:
        """What a segment holds."""

    held = Weighty()
    gone = weakref.ref(held)
    token = doing.set(Segment("job", "test", "0" * 32, 1, attributes={"held": held}))
    with span("a"), span("b"):
        pass
    doing.reset(token)
    gc.disable()
    try:
        del held, token
        assert gone() is None
    finally:
        gc.enable()


# Decorated functions


async def test_decorated_functions_are_spans_and_stay_what_they_are(segment: Segment) -> None:
    @monitor_performance
    async def get_trades(user_id: int) -> list[int]:
        await asyncio.sleep(0)
        return [user_id]

    @monitor_performance("analysis")
    def analyze(trades: list[int]) -> int:
        return len(trades)

    @monitor_performance("portfolio_calculation")
    async def calculate(user_id: int) -> int:
        return analyze(await get_trades(user_id))

    assert asyncio.iscoroutinefunction(calculate)
    assert await calculate(7) == 1
    own = "test_decorated_functions_are_spans_and_stay_what_they_are.<locals>.get_trades"
    assert tree(segment) == {
        "portfolio_calculation": "segment",
        "analysis": "portfolio_calculation",
        own: "portfolio_calculation",
    }
    assert segment.spans[0].attributes == {"code.function.name": f"{__name__}.{own}"}


def test_a_decorated_generator_is_one_span_without_what_its_consumer_does(segment: Segment) -> None:
    @monitor_performance("steps")
    def steps(first: int) -> Generator[int, int, str]:
        with span("open"):
            given = yield first
            try:
                yield given
            except KeyError:
                with span("handled"):
                    yield -1
        return "over"

    generator = steps(1)
    assert next(generator) == 1
    with span("between"):
        assert generator.send(2) == 2
    assert generator.throw(KeyError("x")) == -1
    with pytest.raises(StopIteration) as over:
        next(generator)
    assert over.value.value == "over"
    assert tree(segment) == {"between": "segment", "steps": "segment", "open": "steps", "handled": "open"}
    list(iter(steps(1).close, None))


def test_a_decorated_generator_ends_where_it_is_closed_or_fails(segment: Segment) -> None:
    closed = []

    @monitor_performance("steps")
    def steps(*, fails: bool) -> Iterator[int]:
        try:
            yield 1
            if fails:
                raise ValueError("no")
            yield 2
        finally:
            closed.append(fails)

    for _ in steps(fails=False):
        break
    with pytest.raises(ValueError, match="no"):
        list(steps(fails=True))
    assert closed == [False, True]
    assert [each.error for each in segment.spans] == ["", "ValueError"]


async def test_a_decorated_asynchronous_generator_is_one_span(segment: Segment) -> None:
    @monitor_performance("steps")
    async def steps() -> AsyncIterator[int]:
        for number in range(2):
            with span(f"step {number}"):
                await asyncio.sleep(0)
            yield number

    async for number in steps():
        with span(f"consumer {number}"):
            await asyncio.sleep(0)
    generator = steps()
    await anext(generator)
    await generator.aclose()  # type: ignore[attr-defined] # it is a generator
    parents = [each.name for each in segment.spans]
    assert parents == ["step 0", "consumer 0", "step 1", "consumer 1", "steps", "step 0", "steps"]
    names = {each.span_id: each.name for each in segment.spans} | {segment.span_id: "segment"}
    assert [names[each.parent_id] for each in segment.spans] == [
        "steps",
        "segment",
        "steps",
        "segment",
        "segment",
        "steps",
        "segment",
    ]
