"""`check_rate_limit` and `@rate_limit`."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from keel import check_rate_limit, rate_limit
from keel.context import principal
from keel.current import NoKeel
from keel.opening import Keel
from keel.ratelimit.asking import Asking, asking
from keel.ratelimit.contract import LimitExceeded
from keel.ratelimit.handles import NobodyAsks


@pytest.fixture
async def keel() -> AsyncIterator[Keel]:
    async with Keel.open() as opened:
        yield opened


async def test_without_a_keel_it_says_how_to_start_one() -> None:
    with pytest.raises(NoKeel, match=r"Keel\.open"):
        await check_rate_limit("api:1", 100, 60)


@pytest.mark.usefixtures("keel")
async def test_a_function_is_called_no_more_often_than_its_limit_admits_per_key() -> None:
    @rate_limit("2/min", key="export:{account}")
    async def export(account: str, *, kind: str = "csv") -> str:
        return f"{account}.{kind}"

    assert [await export("a"), await export("a", kind="xlsx"), await export(account="b")] == [
        "a.csv",
        "a.xlsx",
        "b.csv",
    ]
    with pytest.raises(LimitExceeded):
        await export("a")
    assert await export("b") == "b.csv"
    assert export.__name__ == "export"


@pytest.mark.usefixtures("keel")
async def test_words_of_a_key_cannot_be_taken_for_more_than_one() -> None:
    @rate_limit("1/min", key="{one}:{other}")
    async def call(one: str, other: str) -> None:
        """Do nothing."""

    await call("a:b", "c")
    await call("a", "b:c")
    await call("a%3Ab", "c")
    with pytest.raises(LimitExceeded):
        await call("a:b", "c")


@pytest.mark.usefixtures("keel")
async def test_without_a_key_whoever_asks_is_counted() -> None:
    @rate_limit("1/min")
    async def call() -> None:
        """Do nothing."""

    @rate_limit("1/min")
    async def another() -> None:
        """Do nothing."""

    for user in (1, 10):
        with principal(user):
            await call()
            await another()
            with pytest.raises(LimitExceeded):
                await call()
    with asking(Asking("192.0.2.1")) as request:
        await call()
        with pytest.raises(LimitExceeded):
            await call()
        assert [each.allowed for each in request.decisions] == [True, False]
    with pytest.raises(NobodyAsks, match="test_handles"):
        await call()


@pytest.mark.usefixtures("keel")
async def test_a_key_may_be_worked_out_and_a_cost_charged() -> None:
    @rate_limit("5/min", "100/day", key=lambda rows: f"rows:{len(rows) > 2}", cost=3)
    async def load(rows: list[int]) -> int:
        return len(rows)

    assert await load([1]) == 1
    assert await load([1, 2, 3]) == 3
    with pytest.raises(LimitExceeded):
        await load([1])


@pytest.mark.usefixtures("keel")
async def test_a_concurrency_is_held_for_as_long_as_the_call_lasts() -> None:
    gate = asyncio.Event()

    @rate_limit("1 at once", key="all")
    async def slow() -> None:
        await gate.wait()

    first = asyncio.get_running_loop().create_task(slow())
    await asyncio.sleep(0)
    with pytest.raises(LimitExceeded):
        await slow()
    gate.set()
    await first
    await slow()


def test_only_async_functions_can_be_limited() -> None:
    with pytest.raises(TypeError, match="no async function"):

        @rate_limit("1/s")  # type: ignore[arg-type]
        def plain() -> None:
            """Do nothing."""
