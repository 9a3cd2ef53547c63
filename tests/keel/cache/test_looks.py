"""What one tick of the loop asks for, as one request."""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest

from keel.cache.contract import Places, Versions
from keel.cache.looks import Looks
from keel.context import budget
from keel.redis.contract import Redis, RedisUnavailable, Waiter

ALPHA = Places("alpha", ("root", "tag"))
BETA = Places("beta", ("root", "tag"))
GAMMA = Places("gamma", ("root", "other"))


class Server:
    """Answers each key with its own name, when it is told to."""

    is_cluster = False

    def __init__(self) -> None:
        self.asked: list[Sequence[str]] = []
        self.waiters: list[Waiter] = []
        self.alone: list[Sequence[str]] = []

    def read_at_once(self, keys: Sequence[str], waiter: Waiter) -> None:
        self.asked.append(keys)
        self.waiters.append(waiter)

    async def read_many(self, keys: Sequence[str]) -> list[bytes | None]:
        self.alone.append(keys)
        return [key.encode() for key in keys]

    def answer(self) -> None:
        for keys, waiter in zip(self.asked, self.waiters, strict=True):
            waiter.set_result([key.encode() for key in keys])


@pytest.fixture
def server() -> Server:
    return Server()


def look(server: Server, *, is_cluster: bool = False) -> Looks:
    server.is_cluster = is_cluster
    return Looks(cast("Redis", server))


def taken(who: str, found: bytes | None, versions: Versions) -> tuple[Any, ...]:
    return who, found, versions


async def test_what_is_asked_for_in_one_tick_travels_together_and_what_is_shared_travels_once(server: Server) -> None:
    looks = look(server)
    waiting = [looks.read(places, taken, "asker") for places in (ALPHA, BETA, GAMMA, ALPHA)]
    await asyncio.sleep(0)
    assert server.asked == [["root", "tag", "alpha", "beta", "other", "gamma"]]
    server.answer()
    assert await asyncio.gather(*waiting) == [
        ("asker", b"alpha", (b"root", b"tag")),
        ("asker", b"beta", (b"root", b"tag")),
        ("asker", b"gamma", (b"root", b"other")),
        ("asker", b"alpha", (b"root", b"tag")),
    ]


async def test_the_next_tick_asks_again(server: Server) -> None:
    looks = look(server)
    first = looks.read(ALPHA, taken, "first")
    await asyncio.sleep(0)
    second = looks.read(ALPHA, taken, "second")
    await asyncio.sleep(0)
    assert len(server.asked) == 2
    server.answer()
    assert [(await each)[0] for each in (first, second)] == ["first", "second"]


async def test_who_gives_up_or_cannot_be_told_disturbs_nobody_else(server: Server) -> None:
    def refuse(who: str, _found: bytes | None, _versions: Versions) -> None:
        raise LookupError(who)

    looks = look(server)
    gone = cast("asyncio.Future[object]", looks.read(ALPHA, taken, "gone"))
    failing, other = looks.read(ALPHA, refuse, "failing"), looks.read(ALPHA, taken, "other")
    await asyncio.sleep(0)
    gone.cancel()
    server.answer()
    assert server.waiters[0].done()
    assert (await other)[0] == "other"
    with pytest.raises(LookupError, match="failing"):
        await failing


async def test_where_nothing_comes_everybody_is_told(server: Server) -> None:
    looks = look(server)
    waiting = [looks.read(places, taken, "asker") for places in (ALPHA, BETA)]
    gone = cast("asyncio.Future[object]", looks.read(GAMMA, taken, "gone"))
    await asyncio.sleep(0)
    gone.cancel()
    server.waiters[0].set_exception(RedisUnavailable("cut"))
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert [str(each) for each in outcomes] == ["Redis is away: cut"] * 2


async def test_where_nothing_can_be_sent_everybody_is_told() -> None:
    class Unreachable(Server):
        def read_at_once(self, keys: Sequence[str], waiter: Waiter) -> None:
            raise LookupError(f"nowhere to send {len(keys)} keys for {type(waiter).__name__}")

    looks = look(Unreachable())
    waiting = [looks.read(places, taken, "asker") for places in (ALPHA, BETA)]
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert [str(each) for each in outcomes] == ["nowhere to send 4 keys for _Batch"] * 2


async def test_a_wait_is_taken_from_the_budget_until_the_reply_comes(server: Server) -> None:
    looks = look(server)
    with budget(0.2) as left:
        waiting = looks.read(ALPHA, taken, "asker")
        await asyncio.sleep(0.01)
        server.answer()
        await waiting
        assert left is not None
        spent = 0.2 - left.left_s
        await asyncio.sleep(0.01)
        assert 0.2 - left.left_s == pytest.approx(spent)
        assert spent >= 0.009


@pytest.mark.parametrize(("seconds", "is_cluster"), [(0.1, False), (None, True)], ids=["hurried", "cluster"])
async def test_who_has_little_time_left_and_everybody_on_a_cluster_asks_alone(
    server: Server, seconds: float | None, *, is_cluster: bool
) -> None:
    looks = look(server, is_cluster=is_cluster)
    with budget(seconds):
        assert await looks.read(ALPHA, taken, "asker") == ("asker", b"alpha", (b"root", b"tag"))
    assert (server.alone, server.asked) == ([["alpha", "root", "tag"]], [])
