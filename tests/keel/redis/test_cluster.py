"""Three masters, each with a replica."""

import asyncio

import pytest

from keel.redis.connecting import connect
from keel.redis.contract import CommandRefused, RedisUnavailable, Script
from keel.redis.router import slot_of
from tests.keel.redis.telling import Diary, answers, soon
from tests.valkey import Cluster, Valkey

PATIENCE_S = 30.0
"""What servers agree upon among themselves takes as long as the machine is busy."""
KEYS = [f"key:{number}" for number in range(200)]


def master_of(cluster: Cluster, slot: int) -> Valkey:
    return cluster.masters[min(slot * 3 // 16384, 2)]


def name_of(node: Valkey) -> str:
    return str(node.ask("CLUSTER", "MYID"))


async def test_keys_go_to_whoever_serves_their_slot(shared_cluster: Cluster) -> None:
    async with connect(shared_cluster.url) as redis:
        assert redis.available
        assert redis.is_cluster
        await asyncio.gather(*(redis.call("SET", key, key) for key in KEYS))
        assert await redis.read_many([*KEYS, "absent"]) == [*(key.encode() for key in KEYS), None]
        assert all(node.ask("DBSIZE") > 20 for node in shared_cluster.masters)
        assert await redis.call("PING") == b"PONG"
        echo = Script.load("tests.keel.redis", "echo.lua")
        for key in KEYS[:20]:
            assert await redis.run(echo, [key], ["x"]) == [key.encode(), b"x"]
        with pytest.raises(CommandRefused) as refused:
            await redis.call("MGET", *KEYS)
        assert refused.value.code == "CROSSSLOT"


async def test_pushes_come_from_every_master(shared_cluster: Cluster) -> None:
    tracker, receiver = Diary(), Diary()
    async with connect(shared_cluster.url) as redis:
        redis.track("key:", tracker)
        for key in KEYS[:20]:
            redis.subscribe(key, receiver.receive)
        await soon(lambda: tracker.entries == ["live"])
        for key in KEYS[:20]:
            await redis.call("SET", key, 1)
            assert await redis.call("SPUBLISH", key, key) == 1
        await soon(lambda: len(receiver.entries) == 20)
        assert set(tracker.keys) == {key.encode() for key in KEYS[:20]}


async def test_a_promoted_replica_is_found_when_a_master_dies(cluster: Cluster) -> None:
    diary, tracker, receiver = Diary(), Diary(), Diary()
    async with connect(cluster.url) as redis:
        redis.watch(diary)
        redis.track("key:", tracker)
        redis.subscribe("news", receiver.receive)
        await soon(lambda: tracker.entries == ["live"])
        await asyncio.gather(*(redis.call("SET", key, key) for key in KEYS))
        lost, replica = cluster.masters[slot_of("news") * 3 // 16384], cluster.nodes[3 + slot_of("news") * 3 // 16384]
        await soon(lambda: replica.ask("DBSIZE") == lost.ask("DBSIZE"), PATIENCE_S)
        cluster.lose(lost)
        await soon(lambda: not redis.available)
        elsewhere = next(key for key in KEYS if master_of(cluster, slot_of(key)) is not lost)
        await soon(lambda: replica.info("replication")["role"] == "master", PATIENCE_S)
        await soon(lambda: redis.available, PATIENCE_S)
        assert await redis.call("GET", elsewhere, timeout_s=PATIENCE_S) == elsewhere.encode()
        assert await redis.read_many(KEYS, timeout_s=PATIENCE_S) == [key.encode() for key in KEYS]
        assert (diary.entries[:2], diary.entries[-1]) == (["up", "down"], "up")
        assert diary.identities[0] != diary.identities[-1]
        await soon(lambda: tracker.entries[-1] == "live", PATIENCE_S)
        assert "lost" in tracker.entries
        await soon(lambda: replica.ask("SPUBLISH", "news", "x") and receiver.entries, PATIENCE_S)


async def test_slots_that_move_are_followed_while_they_move(cluster: Cluster) -> None:
    key = KEYS[0]
    slot = slot_of(key)
    source = master_of(cluster, slot)
    target = next(node for node in cluster.masters if node is not source)
    receiver, diary = Diary(), Diary()
    async with connect(cluster.url) as redis:
        redis.watch(diary)
        redis.subscribe(key, receiver.receive)
        await redis.call("SET", key, "before")
        target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", name_of(source))
        source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", name_of(target))
        source.ask("MIGRATE", "127.0.0.1", target.port, key, 0, 5000)
        assert await redis.call("GET", key, timeout_s=PATIENCE_S) == b"before"
        assert await redis.call("SET", key, "asked", timeout_s=PATIENCE_S) == b"OK"
        apart = "{" + key + "}:absent"
        trying = redis.call("MGET", key, apart, timeout_s=PATIENCE_S)
        await asyncio.sleep(0.05)
        for node in sorted(cluster.masters, key=lambda node: node is not target):  # or both would send callers away
            node.ask("CLUSTER", "SETSLOT", slot, "NODE", name_of(target))
        assert await trying == [b"asked", None]
        again = (redis.call("GET", key, timeout_s=PATIENCE_S) for _ in range(10))
        assert await asyncio.gather(*again) == [b"asked"] * 10
        await soon(lambda: len(set(diary.identities)) == 2, PATIENCE_S)
        await soon(lambda: target.ask("SPUBLISH", key, "x") and receiver.entries, PATIENCE_S)
        assert redis.available


async def test_keys_that_are_torn_apart_for_long_are_given_up_in_time(shared_cluster: Cluster) -> None:
    key, slot = KEYS[0], slot_of(KEYS[0])
    source = master_of(shared_cluster, slot)
    target = next(node for node in shared_cluster.masters if node is not source)
    async with connect(shared_cluster.url) as redis:
        await redis.call("SET", key, "here")
        target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", name_of(source))
        source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", name_of(target))
        with pytest.raises(RedisUnavailable, match="in time"):
            await redis.call("MGET", key, "{" + key + "}:absent")
        assert await redis.call("GET", key) == b"here"
    for node in (source, target):
        node.ask("CLUSTER", "SETSLOT", slot, "STABLE")


async def test_a_manual_failover_is_followed(cluster: Cluster) -> None:
    diary = Diary()
    async with connect(cluster.url) as redis:
        redis.watch(diary)
        cluster.nodes[3].ask("CLUSTER", "FAILOVER")
        await soon(lambda: len(set(diary.identities)) == 2, PATIENCE_S)
        for key in KEYS:
            await redis.call("SET", key, 1, timeout_s=PATIENCE_S)
        assert redis.available


async def test_a_majority_lost_is_away_and_comes_back(cluster: Cluster) -> None:
    async with connect(cluster.url) as redis:
        for node in cluster.nodes[1:]:
            node.kill()
        await soon(lambda: not redis.available, PATIENCE_S)
        with pytest.raises(RedisUnavailable):
            await redis.call("GET", "a")


async def test_more_masters_than_connections_are_said_clearly(shared_cluster: Cluster) -> None:
    async with connect(shared_cluster.url, max_connections=5) as redis:
        assert not redis.available
        with pytest.raises(RedisUnavailable, match="there are 3 masters, which take 6, and 5 connections are allowed"):
            await redis.call("GET", "a")
    async with connect(shared_cluster.url, max_connections=6) as redis:
        tracker = Diary()
        redis.track("a:", tracker)
        await soon(lambda: tracker.entries == ["live"])
        assert await answers(redis) < 1
        await asyncio.sleep(1.2)
        assert sum(len(node.clients()) for node in shared_cluster.nodes) == 6


async def test_where_tracking_is_refused_changes_are_heard_across_the_cluster(shared_cluster: Cluster) -> None:
    for node in shared_cluster.nodes:
        node.ask("ACL", "SETUSER", "default", "-client|tracking")
    tracker = Diary()
    async with connect(shared_cluster.url) as redis:
        assert redis.tracking_mode == "channel"
        redis.track("ns:", tracker)
        await soon(lambda: tracker.entries == ["live"])
        shared_cluster.masters[2].ask("PUBLISH", "ns:", "ns:a")
        await soon(lambda: tracker.entries[1:] == [[b"ns:a"]] * 3)
    for node in shared_cluster.nodes:
        node.ask("ACL", "SETUSER", "default", "+client|tracking")
