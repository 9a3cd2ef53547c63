"""What callers see while the server is mistreated, and when it is well again."""

import asyncio
import logging
import time
from pathlib import Path

import pytest

from keel.redis.connecting import connect
from keel.redis.contract import CommandRefused, RedisUnavailable, Script
from keel.redis.observer import State
from tests.keel.redis.telling import Diary, answers, duration_of_failure, soon
from tests.valkey import Valkey, free_port

AT_ONCE_S = 0.05


async def test_a_server_that_is_not_there_is_tried_until_it_is(valkey: Valkey) -> None:
    valkey.kill()
    diary = Diary()
    began = time.monotonic()
    async with connect(valkey.url) as redis:
        assert time.monotonic() - began < 0.2
        redis.watch(diary)
        assert not redis.available
        assert await duration_of_failure(redis.call("GET", "a")) < AT_ONCE_S
        await asyncio.sleep(1.5)
        valkey.start()
        assert await answers(redis) < 2
        assert diary.entries == ["up"]


async def test_an_address_where_nobody_answers_delays_nobody_for_long(valkey: Valkey) -> None:
    valkey.pause()
    began = time.monotonic()
    async with connect(valkey.url) as redis:
        assert time.monotonic() - began < 0.4
        assert await duration_of_failure(redis.call("GET", "a")) < AT_ONCE_S
        valkey.resume()
        assert await answers(redis) < 2


async def test_a_killed_server_fails_calls_at_once_and_is_back_within_two_seconds(valkey: Valkey) -> None:
    diary = Diary()
    async with connect(valkey.url) as redis:
        redis.watch(diary)
        valkey.pause()
        under_way = redis.call("GET", "a", timeout_s=5)
        await asyncio.sleep(0.05)
        valkey.kill()
        assert await duration_of_failure(under_way) < 0.1
        await soon(lambda: not redis.available)
        assert await duration_of_failure(redis.call("GET", "a")) < AT_ONCE_S
        assert diary.entries == ["up", "down"]
        await asyncio.sleep(1)
        valkey.start()
        assert await answers(redis) < 2
        assert diary.entries == ["up", "down", "up"]
        first, second = diary.identities
        assert first != second


async def test_a_silent_server_is_given_up_after_five_calls_each_of_which_waits_150_ms(valkey: Valkey) -> None:
    diary, observer = Diary(), Diary()
    async with connect(valkey.url, observer=observer) as redis:
        redis.watch(diary)
        valkey.pause()
        calls = [duration_of_failure(redis.call("GET", "a")) for _ in range(5)]
        assert max(await asyncio.gather(*calls)) < 0.25
        assert not redis.available
        assert await duration_of_failure(redis.call("GET", "a")) < AT_ONCE_S
        assert diary.entries == ["up", "down"]
        assert 5 in observer.entries
        valkey.resume()
        assert await answers(redis) < 2


async def test_calls_that_gave_the_server_little_time_say_nothing_about_it(valkey: Valkey) -> None:
    async with connect(valkey.url) as redis:
        valkey.pause()
        await asyncio.gather(*(duration_of_failure(redis.call("GET", "a", timeout_s=0.01)) for _ in range(20)))
        assert redis.available
        valkey.resume()
        assert await redis.call("GET", "a") is None


async def test_the_heartbeat_notices_a_silent_server_that_nobody_calls(valkey: Valkey) -> None:
    diary = Diary()
    async with connect(valkey.url) as redis:
        redis.watch(diary)
        redis.track("a:", diary)
        await soon(lambda: "live" in diary.entries)
        await asyncio.sleep(0.6)
        valkey.pause()
        assert await soon(lambda: not redis.available and "lost" in diary.entries) <= 1.6
        assert sorted(map(str, diary.entries)) == ["down", "live", "lost", "up"]
        await asyncio.sleep(1)
        valkey.resume()
        await soon(lambda: diary.entries.count("live") == 2)
        assert redis.available
        assert diary.identities[0] == diary.identities[1]


async def test_a_loop_that_was_held_up_blames_nobody(valkey: Valkey) -> None:
    async with connect(valkey.url) as redis:
        await asyncio.sleep(0.6)
        calls = [redis.call("ECHO", number) for number in range(10)]
        await asyncio.sleep(0)
        time.sleep(1.2)  # noqa: ASYNC251 - that is the point
        assert await asyncio.gather(*calls) == [str(number).encode() for number in range(10)]
        await asyncio.sleep(0.1)
        assert redis.available


async def test_a_connection_that_is_killed_is_made_again_before_anybody_goes_without(valkey: Valkey) -> None:
    diary = Diary()
    async with connect(valkey.url) as redis:
        redis.watch(diary)
        await asyncio.sleep(1.1)
        (client,) = valkey.clients()
        valkey.ask("CLIENT", "KILL", "ID", client["id"])
        await asyncio.sleep(0)
        await soon(lambda: diary.entries == ["up", "up"])
        assert await redis.call("GET", "a") is None
        assert diary.identities[0] == diary.identities[1]


async def test_a_connection_killed_again_and_again_is_not_made_again_in_a_frenzy(valkey: Valkey) -> None:
    diary = Diary()
    async with connect(valkey.url, observer=diary) as redis:
        for _ in range(60):
            valkey.ask("CLIENT", "KILL", "TYPE", "normal")
            await asyncio.sleep(0.01)
        assert diary.entries.count("commands") < 30
        assert await answers(redis) < 2


async def test_a_server_that_is_restarted_empty_has_another_identity_and_forgotten_its_scripts(valkey: Valkey) -> None:
    diary = Diary()
    echo = Script.load("tests.keel.redis", "echo.lua")
    async with connect(valkey.url) as redis:
        redis.watch(diary)
        assert await redis.run(echo, ["a"], ["x"]) == [b"a", b"x"]
        valkey.restart()
        assert await answers(redis) < 2
        assert await redis.run(echo, ["a"], ["x"]) == [b"a", b"x"]
        assert diary.identities[0] != diary.identities[-1]


async def test_a_server_that_becomes_a_replica_is_away_until_it_is_a_master_again(valkey: Valkey) -> None:
    diary = Diary()
    async with connect(valkey.url) as redis:
        redis.watch(diary)
        valkey.ask("REPLICAOF", "127.0.0.1", free_port())
        with pytest.raises(RedisUnavailable, match="READONLY"):
            await redis.call("SET", "a", 1)
        assert not redis.available
        await asyncio.sleep(1)
        assert await duration_of_failure(redis.call("GET", "a")) < AT_ONCE_S
        valkey.ask("REPLICAOF", "NO", "ONE")
        assert await answers(redis) < 2
        assert diary.entries == ["up", "down", "up"]
        assert diary.identities[0] == diary.identities[1]


async def test_the_heartbeat_notices_a_server_that_became_a_replica(valkey: Valkey) -> None:
    async with connect(valkey.url) as redis:
        valkey.ask("REPLICAOF", "127.0.0.1", free_port())
        await soon(lambda: not redis.available, 1)


async def test_a_server_that_is_loading_is_away(valkey: Valkey) -> None:
    valkey.kill()
    valkey.start("--enable-debug-command", "yes")
    valkey.ask("DEBUG", "POPULATE", 100, "key", 4096)
    valkey.ask("SAVE")
    valkey.kill()
    valkey.launch("--key-load-delay", "10000", "--loading-process-events-interval-bytes", "1024")
    diary = Diary()
    async with connect(valkey.url, observer=diary) as redis:
        await soon(lambda: any("LOADING" in reason for reason in diary.reasons))
        with pytest.raises(RedisUnavailable, match="LOADING"):
            await redis.call("GET", "key:1")
        await soon(lambda: redis.available, 4)
        assert valkey.info("persistence")["loading"] == 0


async def test_a_full_server_refuses_writes_and_is_not_away(valkey: Valkey) -> None:
    async with connect(valkey.url) as redis:
        valkey.ask("CONFIG", "SET", "maxmemory", 1)
        for _ in range(10):
            with pytest.raises(CommandRefused) as refused:
                await redis.call("SET", "a", "x" * 1000)
            assert refused.value.code == "OOM"
        assert await redis.call("GET", "a") is None
        assert redis.available


async def test_a_wrong_password_is_said_once_and_never_shown(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    server = Valkey(tmp_path, password="the right one")
    caplog.set_level(logging.DEBUG)
    diary = Diary()
    try:
        server.start()
        wrong = server.url.replace("the right one", "hunter2").replace(" ", "%20")
        async with connect(wrong, observer=diary) as redis:
            with pytest.raises(RedisUnavailable, match="password") as refused:
                await redis.call("GET", "a")
            await asyncio.sleep(0.5)
        said = caplog.text + str(refused.value) + refused.value.detail + "".join(diary.reasons)
        assert "hunter2" not in said
        assert caplog.text.count("is away: invalid username-password pair") == 1
        async with connect(server.url.replace(" ", "%20")) as redis:
            assert await redis.call("PING") == b"PONG"
    finally:
        server.kill()


async def test_a_server_with_no_room_for_another_client_is_away(valkey: Valkey) -> None:
    diary = Diary()
    async with connect(valkey.url) as holder:
        assert holder.available
        valkey.ask("CONFIG", "SET", "maxclients", 1)
        async with connect(valkey.url, observer=diary) as redis:
            assert not redis.available
            assert any("max number of clients" in reason for reason in diary.reasons)
            await holder.call("CONFIG", "SET", "maxclients", 100)
            assert await answers(redis) < 2


async def test_changes_of_state_are_one_line_each(valkey: Valkey, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "keel.redis")
    diary = Diary()
    async with connect(valkey.url, observer=diary) as redis:
        valkey.kill()
        await asyncio.sleep(1)
        valkey.start()
        await answers(redis)
    lines = [record.getMessage() for record in caplog.records if record.name.startswith("keel.redis")]
    assert [word for line in lines for word in ("is up", "is away") if word in line] == ["is up", "is away", "is up"]
    assert len(lines) == 3
    assert [entry for entry in diary.entries if isinstance(entry, State)] == [State.UP, State.DOWN, State.UP]


async def test_a_busy_script_makes_calls_fail_and_the_next_ones_succeed(valkey: Valkey) -> None:
    valkey.ask("CONFIG", "SET", "busy-reply-threshold", 10)
    async with connect(valkey.url) as redis, connect(valkey.url) as other:
        endless = other.call("EVAL", "while true do end", 0, timeout_s=5)
        await asyncio.sleep(0.05)
        with pytest.raises(RedisUnavailable, match="BUSY"):
            await redis.call("GET", "a")
        await redis.call("SCRIPT", "KILL")
        with pytest.raises(CommandRefused):
            await endless
        assert await redis.call("GET", "a") is None


@pytest.mark.parametrize(
    "answer",
    [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"+OK\r\n", b"%1\r\n$5\r\nproto\r\n:3\r\n" + b"*0\r\n" * 6, b""],
    ids=["a web server", "a yes-man", "one that plays a part", "one that hangs up"],
)
async def test_something_that_is_no_redis_is_away(answer: bytes) -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(answer)
        writer.close()

    port = free_port()
    babbler = await asyncio.start_server(babble, "127.0.0.1", port)
    async with babbler, connect(f"redis://127.0.0.1:{port}") as redis:
        assert not redis.available
        assert await duration_of_failure(redis.call("GET", "a")) < AT_ONCE_S


async def test_a_part_of_a_cluster_asks_for_another_url(tmp_path: Path) -> None:
    server = Valkey(tmp_path, "--cluster-enabled", "yes", "--cluster-port", str(free_port()))
    try:
        async with connect(server.start().url) as redis:
            with pytest.raises(RedisUnavailable, match=r"redis\+cluster"):
                await redis.call("GET", "a")
    finally:
        server.kill()


async def test_commands_that_its_user_may_not_give_are_done_without(valkey: Valkey) -> None:
    async def without(command: str) -> None:
        user = command.replace("|", "-")
        valkey.ask("ACL", "SETUSER", user, "on", ">pw", "~*", "&*", "+@all", f"-{command}")
        async with connect(f"redis://{user}:pw@127.0.0.1:{valkey.port}") as redis:
            assert await redis.call("GET", "a") is None
            await asyncio.sleep(0.6)
            assert redis.available

    await asyncio.gather(*map(without, ("role", "info", "cluster|info", "client|setname", "client|tracking", "ping")))
