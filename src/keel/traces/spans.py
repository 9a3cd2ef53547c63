"""`span`: a part of what is under way, with its name, from where its block begins to where it ends.

What is current is kept in a context variable, so that tasks inherit it. A span that is opened within a generator is
bound to its frame (`keel.context.Doing`), unless `contextlib` has made a block of the generator: there what is done in
the block is meant.
"""

import contextlib
import sys
from collections.abc import Mapping
from inspect import CO_ASYNC_GENERATOR, CO_GENERATOR
from time import perf_counter_ns
from types import FrameType, TracebackType
from typing import Any, Final, Self

from keel.context import MOST_SPANS, OVER, Doing, Segment, SpanRecord, doing, running_task, standing
from keel.current import NoKeel, current
from keel.logs.exceptions import type_name
from keel.traces.propagation import Parent, new_span_id
from keel.traces.recorder import Traces

_GENERATOR: Final = CO_GENERATOR | CO_ASYNC_GENERATOR
_CONTEXTLIB: Final = contextlib.__dict__


class Span:
    """What `span` makes; it is entered once. `attributes` are named by OpenTelemetry's conventions."""

    __slots__ = (
        "_began_ns",
        "_is_recorded",
        "_parent_id",
        "_traces",
        "attributes",
        "bound",
        "kind",
        "name",
        "outer",
        "segment",
        "span_id",
        "task",
    )

    segment: Segment
    outer: Doing | None
    task: object

    def __init__(self, name: str, kind: str, attributes: Mapping[str, Any] | None) -> None:
        self.name = name
        self.kind = kind
        self.attributes = attributes
        self.bound: object | None = None
        self.span_id = 0
        self._is_recorded = False
        self._traces: Traces | None = None

    def set(self, name: str, value: Any) -> None:  # noqa: ANN401 - whatever JSON has
        """Say more of what is done."""
        self.attributes = {**(self.attributes or {}), name: value}

    def begin(self) -> bool:
        """Take its place under what is current; answers whether there is anything that it can be recorded in.

        Without a segment, or in a task that has outlived its own, it becomes a segment itself.
        """
        outer = self.outer = doing.get()
        parent = outer if outer is None or outer.bound is None else standing(outer)
        if parent is None or parent.segment.ended_ns:
            return self._begin_segment(parent)
        segment = self.segment = parent.segment
        self._parent_id = parent.span_id
        segment.begun_spans += 1
        self._is_recorded = segment.begun_spans <= MOST_SPANS
        self.span_id = new_span_id() if self._is_recorded else parent.span_id
        self._began_ns = perf_counter_ns()
        return True

    def _begin_segment(self, parent: Doing | None) -> bool:
        try:
            self._traces = current().traces
        except NoKeel:
            return False
        segment = self.segment = self._traces.begin("job", self.name, _parent(parent))
        self.span_id = segment.span_id
        if parent is not None:
            before = parent.segment
            segment.request_id, segment.correlation_id = before.request_id, before.correlation_id
            segment.user_id, segment.tracestate = before.user_id, before.tracestate
        return True

    def end(self, error: BaseException | None) -> None:
        """It is over, with this error if any."""
        if self._is_recorded and not self.segment.ended_ns:
            ended = perf_counter_ns()
            failed = "" if error is None or isinstance(error, GeneratorExit) else type_name(error)
            self.segment.spans.append(
                _made(
                    SpanRecord,
                    (
                        self.span_id,
                        self._parent_id,
                        self.name,
                        self.kind,
                        self._began_ns,
                        ended,
                        self.attributes,
                        failed,
                    ),
                )
            )
        elif self._traces is not None:
            self.segment.attributes = self.attributes
            if isinstance(error, Exception):
                self.segment.error = error
            self._traces.end(self.segment)

    def leave(self) -> None:
        """Be current no more."""
        if doing.get() is self:
            outer = self.outer
            while outer is not None and outer.bound is OVER:
                outer = outer.outer
            doing.set(outer)
            self.bound = None
        else:  # others that began within it are still open, or this is another context
            self.bound = OVER

    def bind(self, frame: FrameType) -> None:
        """Be current only while the generator runs that `frame` is of."""
        caller = frame.f_back
        if caller is None or caller.f_globals is not _CONTEXTLIB:
            self.bound, self.task = frame, running_task()

    def __enter__(self) -> Self:
        if self.begin():
            frame = sys._getframe(1)  # noqa: SLF001 - the only way to know that it is a generator's
            if frame.f_code.co_flags & _GENERATOR:
                self.bind(frame)
            doing.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()
        self.end(error)

    async def __aenter__(self) -> Self:
        if self.begin():
            frame = sys._getframe(1)  # noqa: SLF001 - as above
            if frame.f_code.co_flags & _GENERATOR:
                self.bind(frame)
            doing.set(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()
        self.end(error)


_made: Final = tuple.__new__


def span(name: str, attributes: Mapping[str, Any] | None = None, *, kind: str = "internal") -> Span:
    """A part of what is under way, for a `with` or an `async with`, which do the same.

    `attributes` are more about it, by the names of OpenTelemetry's conventions; `part.set(name, value)` adds to them.
    `kind` is `internal`, `client`, `producer` or `consumer`. Where nothing is under way it begins a trace of its own;
    where no Keel runs, it is not recorded.
    """
    return Span(name, kind, attributes)


def record(
    name: str,
    began_ns: int,
    attributes: Mapping[str, Any] | None = None,
    *,
    kind: str = "client",
    error: str = "",
) -> None:
    """A part that began at `began_ns` (`time.perf_counter_ns`) and ends now, for who is told only when it is over."""
    now = doing.get()
    if now is None:
        return
    parent = now if now.bound is None else standing(now)
    if parent is None or (segment := parent.segment).ended_ns:
        return
    segment.begun_spans += 1
    if segment.begun_spans <= MOST_SPANS:
        content = (new_span_id(), parent.span_id, name, kind, began_ns, perf_counter_ns(), attributes, error)
        segment.spans.append(_made(SpanRecord, content))


def _parent(doing_before: Doing | None) -> Parent | None:
    if doing_before is None:
        return None
    segment = doing_before.segment
    return Parent(segment.trace_id, doing_before.span_id, segment.is_sampled)
