"""Traces go on in the background, whoever does the work."""

from keel.context import Segment, doing
from keel.opening import Keel
from keel.traces.propagation import parse
from tests.application import Hands
from tradesense.db.engine import Database
from tradesense.work.service.queue import TaskQueue
from tradesense.work.service.running import TaskRun, TaskRunner
from tradesense.work.service.tracing import job, traceparent


class Seen:
    """What was observed."""

    def __init__(self) -> None:
        self.segments: list[Segment] = []

    def observed(self, request: Segment) -> None:
        self.segments.append(request)


async def test_a_task_belongs_to_the_trace_in_which_it_was_queued(database: Database) -> None:
    clock, seen = Hands(), Seen()
    queue, runner = TaskQueue(database, clock, lambda _task: None), TaskRunner(database, clock)
    within: list[str | None] = []

    async def handle(_run: TaskRun) -> None:
        within.append(traceparent())

    runner.handlers["look"] = handle
    async with Keel.open() as keel:
        keel.traces.observers.append(seen)
        request = keel.traces.begin("http", "POST /imports")
        before = doing.set(request)
        await queue.add("look")
        doing.reset(before)
        keel.traces.end(request)
        work = await runner.claim()
        assert work is not None
        await work
    asked, done = seen.segments
    assert (done.kind, done.name, done.trace_id) == ("job", "task look", asked.trace_id)
    assert done.parent_id == asked.span_id
    (parent,) = within
    assert parent is not None
    found = parse(parent)
    assert found is not None
    assert (found.trace_id, found.span_id) == (done.trace_id, done.span_id)


async def test_a_job_without_a_parent_begins_a_trace_and_tells_its_error() -> None:
    seen = Seen()
    async with Keel.open() as keel:
        keel.traces.observers.append(seen)
        try:
            with job("tidying", None):
                raise ValueError("why")
        except ValueError:
            assert traceparent() is None
    (segment,) = seen.segments
    assert (segment.name, segment.parent_id) == ("tidying", 0)
    assert segment.exception is not None


def test_without_a_keel_nothing_is_recorded() -> None:
    with job("tidying", None):
        assert traceparent() is None
