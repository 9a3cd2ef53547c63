"""`span`: a part of what is under way, with its name, from where its block begins to where it ends.

What is current is kept in a context variable, so that tasks inherit it. A span that is opened within a generator is not
(`keel.context.InGenerator`), unless `contextlib` has made a block of the generator: there what is done in the block is
meant. A task that is started directly in a generator's span is part of what the generator is part of.
"""

import contextlib
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from inspect import CO_ASYNC_GENERATOR, CO_GENERATOR
from random import getrandbits
from time import perf_counter_ns
from types import FrameType, TracebackType
from typing import Any, Final, Self

from keel.context import (
    MOST_SPANS,
    Doing,
    Segment,
    SpanRecord,
    current_segment,
    doing,
    running_task,
    within_generators,
)
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
        "_is_stranded",
        "_outer",
        "_traces",
        "attributes",
        "frame",
        "kind",
        "name",
        "parent",
        "segment",
        "span_id",
        "task",
    )

    segment: Segment
    parent: Doing | None
    frame: FrameType
    task: object

    def __init__(self, name: str, kind: str, attributes: Mapping[str, Any] | None) -> None:
        self.name = name
        self.kind = kind
        self.attributes = attributes
        self.span_id = 0
        self.task: object = None
        self._is_stranded = False
        self._is_recorded = False
        self._traces: Traces | None = None

    def set(self, name: str, value: Any) -> None:  # noqa: ANN401 - whatever JSON has
        """Say more of what is done."""
        self.attributes = {**(self.attributes or {}), name: value}

    def begin(self) -> bool:
        """Take its place under what is current; answers whether there is anything that it can be recorded in.

        Without a segment, or in a task that has outlived its own, it becomes a segment itself.
        """
        parent = self._outer = doing.get()
        if parent is None or parent.segment.ended_ns:
            return self._begin_segment(parent)
        segment = self.segment = parent.segment
        if segment.generators:
            parent = within_generators(parent)
        self.parent = parent
        segment.begun_spans += 1
        self._is_recorded = segment.begun_spans <= MOST_SPANS
        self.span_id = (getrandbits(64) or 1) if self._is_recorded else parent.span_id
        self._began_ns = perf_counter_ns()
        return True

    def _begin_segment(self, parent: Doing | None) -> bool:
        try:
            self._traces = current().traces
        except NoKeel:
            return False
        segment = self.segment = self._traces.begin("job", self.name, _parent(parent))
        self.span_id, self.parent = segment.span_id, None
        if parent is not None:
            before = parent.segment
            segment.request_id, segment.correlation_id = before.request_id, before.correlation_id
            segment.user_id, segment.tracestate = before.user_id, before.tracestate
        return True

    def end(self, error: BaseException | None) -> None:
        """It is over, with this error if any."""
        if self._is_recorded and self.parent is not None and not self.segment.ended_ns:
            ended = perf_counter_ns()
            failed = "" if error is None or isinstance(error, GeneratorExit) else type_name(error)
            self.segment.spans.append(
                _made(
                    SpanRecord,
                    (
                        self.span_id,
                        self.parent.span_id,
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

    def enter(self, frame: FrameType) -> None:
        """Be current from now on: in this context, or where the generator runs that `frame` is of."""
        if frame.f_code.co_flags & _GENERATOR:
            caller = frame.f_back
            if caller is None or caller.f_globals is not _CONTEXTLIB:
                self.frame, self.task = frame, running_task()
                self.segment.generators = [*(self.segment.generators or ()), self]
                return
        doing.set(self)

    def leave(self) -> None:
        """Be current no more."""
        if self.task is not None:
            self.segment.generators = [each for each in self.segment.generators or () if each is not self]
        elif doing.get() is self:
            outer = self._outer
            while isinstance(outer, Span) and outer._is_stranded:  # noqa: SLF001 - a Span
                outer = outer._outer  # noqa: SLF001 - as before
            doing.set(outer)
        else:  # it was left before what began within it: that must not make it current again
            self._is_stranded = True

    def __enter__(self) -> Self:
        if self.begin():
            self.enter(sys._getframe(1))  # noqa: SLF001 - the only way to know that it is a generator's
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()
        self.end(error)

    async def __aenter__(self) -> Self:
        if self.begin():
            self.enter(sys._getframe(1))  # noqa: SLF001 - as above
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


def part(
    name: str, attributes: Mapping[str, Any] | None = None, *, kind: str = "internal"
) -> AbstractContextManager[object]:
    """`span` for what is worth no trace of its own: nothing where nothing is under way."""
    return nullcontext() if current_segment() is None else Span(name, kind, attributes)


def record(
    name: str,
    began_ns: int,
    attributes: Mapping[str, Any] | None = None,
    *,
    kind: str = "client",
    error: str = "",
    within: Doing | None = None,
) -> None:
    """A part that began at `began_ns` (`time.perf_counter_ns`) and ends now, for who is told only when it is over.

    It is a part of `within`, else of what is current.
    """
    parent = within or doing.get()
    if parent is None or (segment := parent.segment).ended_ns:
        return
    if segment.generators and within is None:
        parent = within_generators(parent)
    segment.begun_spans += 1
    if segment.begun_spans <= MOST_SPANS:
        content = (new_span_id(), parent.span_id, name, kind, began_ns, perf_counter_ns(), attributes, error)
        segment.spans.append(_made(SpanRecord, content))


def _parent(doing_before: Doing | None) -> Parent | None:
    if doing_before is None:
        return None
    segment = doing_before.segment
    return Parent(segment.trace_id, doing_before.span_id, segment.is_sampled)
