"""Whatever runs at once, each span is part of what it was begun for: programs drawn at random, with known trees."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from keel import monitor_performance, span
from keel.context import Segment, doing
from keel.traces.recorder import Traces

KINDS = ("block", "together", "task", "cancelled", "thread", "steps", "async steps", "monitored steps", "context")


@dataclass(frozen=True)
class Part:
    """What a program does, and within that."""

    kind: str
    parts: tuple["Part", ...] = ()


programs = st.recursive(
    st.builds(Part, st.sampled_from(KINDS)),
    lambda parts: st.builds(Part, st.sampled_from(KINDS), st.lists(parts, max_size=3).map(tuple)),
    max_leaves=10,
)


@dataclass
class Run:
    """A program that runs, with the parent that each of its spans should have, by name."""

    name: str
    expected: dict[str, str] = field(default_factory=dict)

    def span_name(self, place: str, parent: str) -> str:
        name = f"{self.name}:{place}"
        self.expected[name] = parent
        return name

    async def do(self, part: Part, place: str, parent: str) -> None:
        works: dict[str, Callable[[Part, str, str], Awaitable[None]]] = {
            "together": self.together,
            "task": self.task,
            "cancelled": self.cancelled,
            "thread": self.thread,
            "steps": self.steps,
            "async steps": self.async_steps,
            "monitored steps": self.monitored_steps,
            "context": self.context,
        }
        await works.get(part.kind, self.block)(part, place, parent)

    async def block(self, part: Part, place: str, parent: str) -> None:
        name = self.span_name(place, parent)
        async with span(name):
            await self.parts(part, place, name)

    async def parts(self, part: Part, place: str, parent: str) -> None:
        for number, each in enumerate(part.parts):
            await asyncio.sleep(0)
            await self.do(each, f"{place}.{number}", parent)

    async def together(self, part: Part, place: str, parent: str) -> None:
        name = self.span_name(place, parent)
        with span(name):
            await asyncio.gather(*(self.do(each, f"{place}.{n}", name) for n, each in enumerate(part.parts)))

    async def task(self, part: Part, place: str, parent: str) -> None:
        """The task goes on when the span in which it began is over."""
        name = self.span_name(place, parent)
        with span(name):
            task = asyncio.get_running_loop().create_task(self.parts(part, place, name))
        await task

    async def cancelled(self, part: Part, place: str, parent: str) -> None:
        name = self.span_name(place, parent)
        with span(name):
            task = asyncio.get_running_loop().create_task(self.parts(part, place, name))
            for _ in range(len(place) % 4):
                await asyncio.sleep(0)
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def thread(self, part: Part, place: str, parent: str) -> None:
        name = self.span_name(place, parent)
        inner = self.span_name(f"{place}.inner", name)

        def work() -> None:
            with span(name), span(inner):
                pass

        await asyncio.to_thread(work)
        await self.parts(part, f"{place}.after", parent)

    async def steps(self, part: Part, place: str, parent: str) -> None:
        """What the consumer does between the steps of two generators is part of neither."""
        both = [self._generator(part, f"{place}.{which}", parent) for which in "ab"]
        for number, each in enumerate(part.parts):
            for generator in both:
                next(generator)
            await self.do(each, f"{place}.{number}", parent)
        for generator in both:
            list(generator)

    def _generator(self, part: Part, place: str, parent: str) -> Iterator[None]:
        name = self.span_name(place, parent)
        with span(name):
            for number in range(len(part.parts)):
                with span(self.span_name(f"{place}.{number}", name)):
                    pass
                yield

    async def async_steps(self, part: Part, place: str, parent: str) -> None:
        number = 0
        async for _ in self._async_generator(part, f"{place}.steps", parent):
            await self.do(part.parts[number], f"{place}.{number}", parent)
            number += 1

    async def _async_generator(self, part: Part, place: str, parent: str) -> AsyncIterator[None]:
        """A task that it starts is part of what the generator is part of: it may outlive the step."""
        name = self.span_name(place, parent)
        async with span(name):
            for number in range(len(part.parts)):
                inner = self.span_name(f"{place}.{number}", name)
                with span(inner):
                    await self.block(Part("block"), f"{place}.{number}.awaited", inner)
                    await asyncio.gather(self.block(Part("block"), f"{place}.{number}.task", parent))
                yield

    async def monitored_steps(self, part: Part, place: str, parent: str) -> None:
        name = self.span_name(f"{place}.steps", parent)

        @monitor_performance(name)
        def generator() -> Iterator[Part]:
            for number, each in enumerate(part.parts):
                with span(self.span_name(f"{place}.steps.{number}", name)):
                    pass
                yield each

        for number, each in enumerate(generator()):
            await self.do(each, f"{place}.{number}", parent)

    async def context(self, part: Part, place: str, parent: str) -> None:
        name = self.span_name(place, parent)

        @asynccontextmanager
        async def block() -> AsyncIterator[None]:
            await asyncio.sleep(0)
            with span(name):
                yield

        async with block():
            await self.parts(part, place, name)


async def ran(name: str, program: Part) -> tuple[Segment, Run]:
    """Run a program for a segment of its own."""
    segment, run = Traces().begin("job", name), Run(name)
    doing.set(segment)
    with suppress(asyncio.CancelledError):
        await run.do(program, "0", name)
    assert doing.get() is segment
    return segment, run


def _compare(segment: Segment, run: Run) -> None:
    names = {each.span_id: each.name for each in segment.spans} | {segment.span_id: run.name}
    found = {each.name: names[each.parent_id] for each in segment.spans}
    assert len(found) == len(segment.spans)
    assert found == {name: run.expected[name] for name in found}


@settings(max_examples=150)
@given(st.lists(programs, min_size=1, max_size=4))
def test_no_span_is_ever_part_of_what_it_was_not_begun_for(drawn: list[Part]) -> None:
    async def all_at_once() -> None:
        loop = asyncio.get_running_loop()
        tasks = [loop.create_task(ran(f"{n}", program)) for n, program in enumerate(drawn)]
        runs = await asyncio.gather(*tasks)
        await loop.shutdown_default_executor()  # a thread goes on when whoever waits for it is cancelled
        for each in runs:
            _compare(*each)

    asyncio.run(all_at_once())
