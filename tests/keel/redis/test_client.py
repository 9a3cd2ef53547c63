"""What every caller may rely on while the server is well."""

import asyncio
import gc
import hashlib
import random
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest

from keel.context import budget
from keel.redis.connecting import connect
from keel.redis.connections import Opener
from keel.redis.contract import CommandRefused, RedisUnavailable, Script
from keel.redis.link import MOST_WAITING
from keel.redis.urls import read_url
from tests.keel.redis.telling import Diary, duration_of_failure, soon
from tests.valkey import Valkey


def script(text: str) -> Script:
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


async def test_a_call_answers_in_bytes(redis_url: str, redis_namespace: str) -> None:
    async with connect(redis_url) as redis:
        assert await redis.call("SET", f"{redis_namespace}:a", "é") == b"OK"
        assert await redis.call("GET", f"{redis_namespace}:a") == "é".encode()
        assert await redis.call("GET", f"{redis_namespace}:b") is None
        assert await redis.call("PING") == b"PONG"


async def test_truth_numbers_and_maps_come_as_resp3_has_them(redis_url: str, redis_namespace: str) -> None:
    async with connect(redis_url) as redis:
        typed = script("redis.setresp(3); return {true, false, {double=1.5}, {map={a=1}}, 3}")
        assert await redis.run(typed, [redis_namespace]) == [True, False, 1.5, {b"a": 1}, 3]
        assert await redis.run(script("redis.setresp(3); return false"), [redis_namespace]) is False


async def test_many_are_read_at_once_in_their_order(redis_url: str, redis_namespace: str) -> None:
    async with connect(redis_url) as redis:
        await redis.call("SET", f"{redis_namespace}:a", "1")
        names: list[str | bytes] = [f"{redis_namespace}:b", f"{redis_namespace}:a".encode(), f"{redis_namespace}:b"]
        assert await redis.read_many(names) == [None, b"1", None]
        assert await redis.read_many([]) == []


async def test_a_refusal_names_its_code_and_disturbs_no_other_call(redis_url: str, redis_namespace: str) -> None:
    async with connect(redis_url) as redis:
        wrong = redis.call("LPUSH", f"{redis_namespace}:a", 1)
        answers = await asyncio.gather(
            wrong, redis.call("GET", f"{redis_namespace}:a"), redis.call("PING"), return_exceptions=True
        )
        assert isinstance(answers[1], CommandRefused)
        assert answers[1].code == "WRONGTYPE"
        assert (answers[0], answers[2]) == (1, b"PONG")
        assert redis.available


async def test_a_command_that_cannot_be_sent_is_the_callers_error(redis_url: str) -> None:
    async with connect(redis_url) as redis:
        with budget() as opened, pytest.raises(TypeError):
            await redis.call("SET", "a", object())  # type: ignore[arg-type]
        assert opened is not None
        left_s = opened.left_s
        assert await redis.call("PING") == b"PONG"
        assert opened.left_s == left_s


async def test_calls_of_one_tick_are_one_write(valkey: Valkey) -> None:
    async with connect(valkey.url) as redis:
        before = int(valkey.info("stats")["total_reads_processed"])
        await asyncio.gather(*(redis.call("INCR", "a") for _ in range(500)))
        after = int(valkey.info("stats")["total_reads_processed"])
        assert valkey.ask("GET", "a") == "500"
        assert after - before < 20


async def test_a_storm_of_cancellations_leaves_every_reply_with_its_caller(
    redis_url: str, redis_namespace: str
) -> None:
    chance = random.Random(20260302)

    async def echo(redis_call: int) -> None:
        text = f"{redis_call}:" + "x" * chance.choice([0, 10, 100, 20_000])
        assert await redis.call("ECHO", text, timeout_s=5) == text.encode()

    async with connect(redis_url) as redis:
        running: list[asyncio.Task[None]] = []
        for number in range(3000):
            running.append(asyncio.get_running_loop().create_task(echo(number)))
            if chance.random() < 0.2:
                chance.choice(running[-30:]).cancel()
            if chance.random() < 0.1:
                await asyncio.sleep(chance.choice([0, 0, 0.001]))
        outcomes = await asyncio.gather(*running, return_exceptions=True)
        assert sum(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes) > 100
        assert [outcome for outcome in outcomes if outcome and not isinstance(outcome, asyncio.CancelledError)] == []
        assert await redis.call("ECHO", redis_namespace) == redis_namespace.encode()


async def test_who_waits_too_long_gives_up_and_the_link_stays_in_step(valkey: Valkey) -> None:
    async with connect(valkey.url) as redis:
        valkey.pause()
        took = await duration_of_failure(redis.call("ECHO", "late", timeout_s=0.05))
        assert 0.04 < took < 0.15
        valkey.resume()
        assert await redis.call("ECHO", "next") == b"next"


async def test_very_long_values_go_both_ways(redis_url: str, redis_namespace: str) -> None:
    value = random.Random(1).randbytes(8_000_000)
    async with connect(redis_url) as redis:
        slow = redis.call("SET", f"{redis_namespace}:long", value, timeout_s=5)
        quick = redis.call("PING", timeout_s=5)
        assert (await slow, await quick) == (b"OK", b"PONG")
        assert await redis.call("GET", f"{redis_namespace}:long", timeout_s=5) == value


async def test_a_script_lies_beside_the_code_that_runs_it() -> None:
    loaded = Script.load("tests.keel.redis", "echo.lua")
    assert loaded.text == (Path(__file__).parent / "echo.lua").read_text()
    assert loaded.sha1 == hashlib.sha1(loaded.text.encode(), usedforsecurity=False).hexdigest()


async def test_a_script_that_the_server_forgot_is_loaded_again_unseen(valkey: Valkey) -> None:
    echo = Script.load("tests.keel.redis", "echo.lua")
    async with connect(valkey.url) as redis:
        for _ in range(2):
            assert await redis.run(echo, ["a"], ["x", 1]) == [b"a", b"x", b"1"]
            valkey.ask("SCRIPT", "FLUSH")
        assert await asyncio.gather(*(redis.run(echo, ["a"], [n]) for n in range(9))) == [
            [b"a", str(n).encode()] for n in range(9)
        ]
        assert int(valkey.info("commandstats")["cmdstat_evalsha"]["failed_calls"]) >= 1


async def test_a_script_without_keys_runs_too(redis_url: str) -> None:
    async with connect(redis_url) as redis:
        assert await redis.run(script("return 7"), []) == 7


async def test_an_error_in_a_script_is_a_refusal(redis_url: str, redis_namespace: str) -> None:
    async with connect(redis_url) as redis:
        with pytest.raises(CommandRefused, match="ODD") as refused:
            await redis.run(script("return redis.error_reply('ODD number')"), [redis_namespace])
        assert refused.value.code == "ODD"


async def test_a_request_waits_no_longer_than_its_budget_in_all(valkey: Valkey) -> None:
    async with connect(valkey.url) as redis:
        valkey.pause()
        with budget(0.1) as opened:
            assert opened is not None
            first = await duration_of_failure(redis.call("GET", "a", timeout_s=0.06))
            second = await duration_of_failure(redis.call("GET", "a"))
            third = await duration_of_failure(redis.call("GET", "a"))
            assert 0.05 < first < 0.15
            assert 0.09 < first + second < 0.2
            assert third < 0.02
        valkey.resume()
        assert await redis.call("GET", "a") is None


async def test_waits_at_the_same_time_are_taken_off_a_budget_once(valkey: Valkey) -> None:
    async with connect(valkey.url) as redis:
        with budget(10.0) as opened:
            assert opened is not None
            began = time.monotonic()
            await asyncio.gather(*(redis.call("PING") for _ in range(200)))
            assert 0 < 10.0 - opened.left_s <= time.monotonic() - began


async def test_too_many_commands_under_way_are_refused_at_once(valkey: Valkey) -> None:
    async with connect(valkey.url) as redis:
        valkey.pause()
        calls = [redis.call("GET", "a", timeout_s=5) for _ in range(MOST_WAITING + 10)]
        assert await duration_of_failure(calls[-1]) < 0.01
        valkey.resume()
        answers = await asyncio.gather(*calls, return_exceptions=True)
        assert answers.count(None) in {MOST_WAITING, MOST_WAITING - 1}


async def test_too_much_unsent_is_refused_at_once(valkey: Valkey) -> None:
    megabytes = b"x" * 6_000_000
    async with connect(valkey.url) as redis:
        valkey.pause()
        calls = [redis.call("SET", "a", megabytes, timeout_s=5) for _ in range(4)]
        assert await duration_of_failure(calls[-1]) < 0.1
        for _ in range(4):
            await asyncio.sleep(0.01)
            calls.append(redis.call("SET", "a", megabytes, timeout_s=5))
        assert await duration_of_failure(calls[-1]) < 0.1
        valkey.resume()
        answers = await asyncio.gather(*calls, return_exceptions=True)
        assert 3 <= answers.count(b"OK") < 8
        assert await redis.call("PING") == b"PONG"


async def test_the_state_is_known_when_the_block_is_entered(valkey: Valkey) -> None:
    diary = Diary()
    async with connect(valkey.url) as redis:
        assert redis.available
        assert not redis.is_cluster
        stop = redis.watch(diary)
        assert diary.entries == ["up"]
        stop()
        stop()
        valkey.kill()
        await soon(lambda: not redis.available)
        assert diary.entries == ["up"]


async def test_nothing_is_left_when_the_block_is_left(valkey: Valkey) -> None:
    before = asyncio.all_tasks()
    async with connect(valkey.url) as redis:
        redis.track("a:", Diary())
        await soon(lambda: len(valkey.clients()) == 2)
        pending = redis.call("GET", "a")
    with pytest.raises(RedisUnavailable):
        await pending
    with pytest.raises(RedisUnavailable):
        await redis.call("GET", "a")
    assert not redis.available
    assert asyncio.all_tasks() == before
    await soon(lambda: not valkey.clients())
    gc.collect()


async def test_a_block_left_by_an_error_leaves_nothing_either(valkey: Valkey) -> None:
    before = asyncio.all_tasks()
    with suppress(ZeroDivisionError):
        async with connect(valkey.url):
            raise ZeroDivisionError
    assert asyncio.all_tasks() == before
    await soon(lambda: not valkey.clients())


async def test_pushes_take_a_connection_only_when_somebody_listens(valkey: Valkey) -> None:
    async with connect(valkey.url) as redis:
        assert len(valkey.clients()) == 1
        redis.subscribe("news", Diary().receive)
        await soon(lambda: len(valkey.clients()) == 2)


async def test_fewer_connections_than_it_takes_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="three"):
        async with connect("redis://127.0.0.1:1", max_connections=2):
            pass


async def test_a_unix_socket_serves_as_well(tmp_path: Path, valkey: Valkey) -> None:
    path = tmp_path / "valkey.sock"
    valkey.kill()
    valkey.start("--unixsocket", str(path))
    async with connect(f"unix://{path}?db=3") as redis:
        await redis.call("SET", "a", 1)
        assert valkey.info("keyspace")["db3"]["keys"] == 1


async def test_somebody_who_raises_when_told_keeps_nothing_from_the_others(
    valkey: Valkey, caplog: pytest.LogCaptureFixture
) -> None:
    def complain(_message: bytes) -> None:
        raise ZeroDivisionError

    diary = Diary()
    async with connect(valkey.url) as redis:
        redis.subscribe("news", complain)
        redis.subscribe("news", diary.receive)
        await soon(lambda: valkey.ask("PUBLISH", "news", "x"))
        await soon(lambda: diary.entries == [b"x"])
    assert "raised" in caplog.text


async def test_a_connection_that_is_being_made_can_be_given_up_at_any_moment(redis_url: str) -> None:
    """redis-py swallows a cancellation that comes while it reads the answer to HELLO."""
    target = read_url(redis_url)
    opener = Opener(target, timedelta(seconds=5), 50)
    for turns in range(1000):
        opening = asyncio.get_running_loop().create_task(opener.open(target.addresses[0], lambda _push: None))
        for _ in range(turns):
            await asyncio.sleep(0)
        if opening.done():
            opening.result().cut("enough")
            break
        opening.cancel()
        await asyncio.wait([opening])
        assert opening.cancelled()
    assert turns > 0
    await opener.closed()
