"""A master that Sentinels watch over."""

import asyncio

import pytest

from keel.redis.connecting import connect
from keel.redis.contract import RedisUnavailable
from tests.keel.redis.telling import Diary, answers, soon
from tests.valkey import Sentinels, Valkey, free_port

PATIENCE_S = 30.0
"""What servers agree upon among themselves takes as long as the machine is busy."""


async def test_the_promoted_replica_is_found_when_the_master_dies(sentinels: Sentinels) -> None:
    diary, tracker = Diary(), Diary()
    async with connect(sentinels.url) as redis:
        assert redis.available
        assert not redis.is_cluster
        redis.watch(diary)
        redis.track("ns:", tracker)
        await soon(lambda: tracker.entries == ["live"])
        await redis.call("SET", "a", 1)
        await soon(lambda: sentinels.replica.ask("EXISTS", "a"), PATIENCE_S)
        sentinels.lose_master()
        await soon(lambda: not redis.available)
        await soon(lambda: sentinels.replica.info("replication")["role"] == "master", PATIENCE_S)
        await answers(redis, PATIENCE_S)
        assert await redis.call("GET", "a", timeout_s=PATIENCE_S) == b"1"
        assert (diary.entries[:2], diary.entries[-1]) == (["up", "down"], "up")
        assert diary.identities[0] != diary.identities[-1]
        await soon(lambda: tracker.entries[-1] == "live", PATIENCE_S)
        assert tracker.entries[:3] == ["live", "lost", "live"]
        sentinels.replica.ask("SET", "ns:a", 1)
        await soon(lambda: [b"ns:a"] in tracker.entries, PATIENCE_S)


async def test_a_handover_without_a_death_is_followed(sentinels: Sentinels) -> None:
    diary = Diary()
    async with connect(sentinels.url) as redis:
        redis.watch(diary)
        sentinels.sentinels[0].ask("SENTINEL", "FAILOVER", "trade")
        await soon(lambda: len(set(diary.identities)) == 2, PATIENCE_S)
        await answers(redis, PATIENCE_S)
        assert sentinels.replica.ask("GET", "answers") == "1"


async def test_sentinels_that_die_are_done_without(sentinels: Sentinels) -> None:
    async with connect(sentinels.url) as redis:
        for sentinel in sentinels.sentinels:
            sentinel.kill()
            await asyncio.sleep(0.5)
            assert await redis.call("PING") == b"PONG"


async def test_no_sentinel_no_master_and_the_reason_is_said(valkey: Valkey, caplog: pytest.LogCaptureFixture) -> None:
    async with connect(f"redis+sentinel://127.0.0.1:{free_port()}/trade") as redis:
        assert not redis.available
        with pytest.raises(RedisUnavailable, match="Sentinel"):
            await redis.call("GET", "a")
        await asyncio.sleep(0.5)
    assert caplog.text.count("looking for the servers failed") == 1
    async with connect(f"redis+sentinel://127.0.0.1:{valkey.port}/trade") as redis:
        with pytest.raises(RedisUnavailable, match="unknown command"):
            await redis.call("GET", "a")


async def test_a_service_that_no_sentinel_knows_is_said(sentinels: Sentinels) -> None:
    async with connect(sentinels.url.replace("/trade/", "/other/")) as redis:
        with pytest.raises(RedisUnavailable, match="does not know the service other"):
            await redis.call("GET", "a")
