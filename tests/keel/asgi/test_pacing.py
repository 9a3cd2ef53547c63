"""The loop that looks at its sockets between callbacks: what is in what order, and what is called at all."""

import asyncio
import socket
import time
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import pytest

from keel.asgi.pacing import TURN_S, PacedLoop


@pytest.fixture
def loop() -> Iterator[PacedLoop]:
    loop = PacedLoop()
    yield loop
    loop.close()


def take_long(seen: list[object], number: int) -> None:
    """Longer than a turn."""
    time.sleep(2 * TURN_S)
    seen.append(number)


def run(loop: PacedLoop) -> None:
    """Until nothing waits any more."""
    loop.call_soon(loop.call_soon, loop.stop)
    loop.run_forever()


def test_what_comes_in_waits_for_one_long_call_and_not_for_all(loop: PacedLoop) -> None:
    seen: list[object] = []
    near, far = socket.socketpair()
    with near, far:
        loop.add_reader(near, lambda: seen.append(near.recv(1)))
        far.send(b"x")
        for number in range(4):
            loop.call_soon(take_long, seen, number)
        run(loop)
        loop.remove_reader(near)
    assert seen == [0, b"x", 1, 2, 3]


def test_calls_are_made_in_their_order_with_those_that_they_add_after_them(loop: PacedLoop) -> None:
    seen: list[int] = []

    def note(number: int) -> None:
        seen.append(number)
        if number < 10:
            loop.call_soon(note, number + 10)

    for number in range(5):
        loop.call_soon(note, number)
    run(loop)
    assert seen == [0, 1, 2, 3, 4, 10, 11, 12, 13, 14]


def test_what_is_cancelled_is_not_called_and_what_fails_stops_no_other(loop: PacedLoop) -> None:
    seen: list[object] = []
    loop.set_exception_handler(lambda _, context: seen.append(repr(context["exception"])))
    loop.call_soon(seen.append, "cancelled").cancel()
    loop.call_soon([].pop)
    loop.call_soon(seen.append, "the next")
    run(loop)
    assert seen == ["IndexError('pop from empty list')", "the next"]


def test_who_interrupts_it_takes_no_call_from_others(loop: PacedLoop) -> None:
    seen: list[str] = []

    def interrupt() -> None:
        raise KeyboardInterrupt

    loop.call_soon(interrupt)
    loop.call_soon(seen.append, "the rest")
    with pytest.raises(KeyboardInterrupt):
        loop.run_forever()
    run(loop)
    assert seen == ["the rest"]


def test_calls_are_made_in_the_context_that_was_given_or_was_there(loop: PacedLoop) -> None:
    seen: list[int] = []
    variable = ContextVar("variable", default=0)

    async def inner(value: int) -> None:
        variable.set(value)
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_soon(lambda: seen.append(variable.get()))
        await asyncio.sleep(0)

    async def main() -> None:
        await asyncio.gather(*map(inner, (1, 2, 3)))

    loop.run_until_complete(main())
    assert seen == [1, 2, 3]


def test_a_closed_loop_takes_no_calls() -> None:
    loop = PacedLoop()
    loop.call_soon(list)
    loop.close()
    with pytest.raises(RuntimeError, match="closed"):
        loop.call_soon(list)


def test_threads_timers_and_streams_work_on_it(loop: PacedLoop) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        await writer.drain()
        writer.close()

    async def main() -> list[Any]:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(b"hello\n")
            answer = await reader.read()
            writer.close()
            await writer.wait_closed()
        return [answer, await asyncio.to_thread(int, "7"), await asyncio.sleep(0.001, "slept")]

    assert loop.run_until_complete(main()) == [b"hello\n", 7, "slept"]
