"""What trackers and receivers are told, and in which order."""

import asyncio
import logging

import pytest

from keel.redis.client import Client
from keel.redis.connecting import connect
from keel.redis.link import BEAT_S
from tests.keel.redis.telling import Diary, answers, soon
from tests.valkey import Valkey


async def test_a_tracker_hears_of_every_change_under_its_prefix_and_of_no_other(valkey: Valkey) -> None:
    diary = Diary()
    async with connect(valkey.url) as redis:
        redis.track("ns:inv:", diary)
        await soon(lambda: diary.entries == ["live"])
        assert redis.tracking_mode == "tracking"
        valkey.ask("MSET", "ns:inv:a", 1, "ns:v:a", 1)
        valkey.ask("DEL", "ns:inv:a")
        valkey.ask("SET", "ns:inv:b", 1, "PX", 20)
        await redis.call("SET", "ns:inv:own", 1)
        expected = {b"ns:inv:a", b"ns:inv:b", b"ns:inv:own"}
        await soon(lambda: set(diary.keys) == expected and len(diary.keys) == 5)
        assert diary.keys.count(b"ns:inv:a") == 2
        assert diary.keys.count(b"ns:inv:b") == 2


@pytest.mark.parametrize("command", ["FLUSHALL", "FLUSHDB"])
async def test_emptying_the_server_changes_everything(valkey: Valkey, command: str) -> None:
    diary = Diary()
    async with connect(valkey.url) as redis:
        redis.track("ns:", diary)
        await soon(lambda: diary.entries == ["live"])
        valkey.ask(command)
        await soon(lambda: diary.entries == ["live", None])


async def test_a_gap_is_told_before_what_comes_after_it(valkey: Valkey) -> None:
    diary = Diary()
    async with connect(valkey.url) as redis:
        redis.track("ns:", diary)
        await soon(lambda: diary.entries == ["live"])
        (tracking,) = (client for client in valkey.clients() if "B" in client["flags"])
        valkey.ask("CLIENT", "KILL", "ID", tracking["id"])
        await soon(lambda: diary.entries == ["live", "lost", "live"])
        valkey.ask("SET", "ns:a", 1)
        await soon(lambda: diary.entries == ["live", "lost", "live", [b"ns:a"]])
        assert redis.available


async def test_a_killed_server_is_tracked_again_when_it_is_back(valkey: Valkey) -> None:
    diary = Diary()
    async with connect(valkey.url) as redis:
        redis.track("ns:", diary)
        await soon(lambda: diary.entries == ["live"])
        valkey.kill()
        await soon(lambda: diary.entries == ["live", "lost"])
        await asyncio.sleep(0.6)
        valkey.start()
        await soon(lambda: diary.entries == ["live", "lost", "live"])
        valkey.ask("SET", "ns:a", 1)
        await soon(lambda: diary.entries[-1] == [b"ns:a"])


async def test_a_server_that_becomes_a_replica_is_no_longer_relied_upon(valkey: Valkey) -> None:
    diary = Diary()
    async with connect(valkey.url) as redis:
        redis.track("ns:", diary)
        await soon(lambda: diary.entries == ["live"])
        valkey.ask("REPLICAOF", "127.0.0.1", 1)
        await soon(lambda: diary.entries == ["live", "lost"])
        await asyncio.sleep(0.7)
        assert diary.entries == ["live", "lost"]
        valkey.ask("REPLICAOF", "NO", "ONE")
        await soon(lambda: diary.entries == ["live", "lost", "live"])


async def test_more_prefixes_and_more_trackers_join_without_a_gap(valkey: Valkey) -> None:
    first, second, same = Diary(), Diary(), Diary()
    async with connect(valkey.url) as redis:
        redis.track("a:", first)
        await soon(lambda: first.entries == ["live"])
        stop = redis.track("b:", second)
        redis.track("a:", same)
        await soon(lambda: second.entries == ["live"] and same.entries == ["live"])
        valkey.ask("MSET", "a:1", 1, "b:1", 1)
        await soon(lambda: second.entries == ["live", [b"b:1"]])
        assert first.entries == same.entries == ["live", [b"a:1"]]
        stop()
        stop()
        valkey.ask("SET", "b:2", 1)
        await asyncio.sleep(0.1)
        redis.track("b:", second)
        await soon(lambda: second.entries == ["live", [b"b:1"], "live"])


async def test_prefixes_that_overlap_are_a_mistake(redis_url: str) -> None:
    async with connect(redis_url) as redis:
        redis.track("ns:inv:", Diary())
        for prefix in ("ns:", "ns:inv:k:", ""):
            with pytest.raises(ValueError, match="overlaps"):
                redis.track(prefix, Diary())


async def test_where_tracking_is_refused_changes_are_heard_on_a_channel(valkey: Valkey) -> None:
    valkey.ask("ACL", "SETUSER", "poor", "on", ">pw", "~*", "&*", "+@all", "-client|tracking")
    diary = Diary()
    async with connect(f"redis://poor:pw@127.0.0.1:{valkey.port}") as redis:
        assert redis.tracking_mode == "channel"
        redis.track("ns:inv:", diary)
        await soon(lambda: diary.entries == ["live"])
        assert not redis.confirms_tracking
        await redis.call("PUBLISH", "ns:inv:", "ns:inv:k:a")
        await redis.call("PUBLISH", "ns:inv:", "")
        await soon(lambda: diary.entries == ["live", [b"ns:inv:k:a"], None])
        valkey.ask("CLIENT", "KILL", "TYPE", "pubsub")
        await soon(lambda: diary.entries[3:] == ["lost", "live"])


async def test_a_server_that_silently_tracks_no_more_is_a_gap(valkey: Valkey) -> None:
    diary = Diary()
    async with connect(valkey.url) as redis:
        redis.track("ns:", diary)
        await soon(lambda: diary.entries == ["live"])
        await soon(lambda: redis.confirms_tracking)
        assert isinstance(redis, Client)
        link = redis.router.masters[0].pushes._link
        assert link is not None
        await link.ask("CLIENT", "TRACKING", "OFF")
        await soon(lambda: diary.entries == ["live", "lost", "live"])
        valkey.ask("SET", "ns:a", 1)
        await soon(lambda: diary.entries[-1] == [b"ns:a"])


async def test_a_server_that_may_not_be_asked_what_it_tracks_tracks_all_the_same(valkey: Valkey) -> None:
    valkey.ask("ACL", "SETUSER", "poor", "on", ">pw", "~*", "&*", "+@all", "-client|trackinginfo")
    diary = Diary()
    async with connect(f"redis://poor:pw@127.0.0.1:{valkey.port}") as redis:
        redis.track("ns:", diary)
        await soon(lambda: diary.entries == ["live"])
        await asyncio.sleep(2 * BEAT_S)
        assert diary.entries == ["live"]
        assert (redis.tracking_mode, redis.confirms_tracking) == ("tracking", False)
        valkey.ask("ACL", "SETUSER", "poor", "+client|trackinginfo")
        await soon(lambda: redis.confirms_tracking)


async def test_tracking_that_is_allowed_after_a_restart_is_used(valkey: Valkey) -> None:
    refused = ("ACL", "SETUSER", "default", "-client|tracking")
    valkey.ask(*refused)
    diary = Diary()
    async with connect(valkey.url) as redis:
        redis.track("ns:", diary)
        await soon(lambda: diary.entries == ["live"])
        modes = [redis.tracking_mode]
        valkey.restart()
        await answers(redis)
        modes.append(redis.tracking_mode)
        assert modes == ["channel", "tracking"]
        await soon(lambda: diary.entries[-1] == "live" and "lost" in diary.entries)
        await soon(lambda: any("B" in client["flags"] for client in valkey.clients()))
        valkey.ask("SET", "ns:a", 1)
        await soon(lambda: diary.entries[-1] == [b"ns:a"])


async def test_tracking_refused_only_later_keeps_the_tracker_waiting(
    valkey: Valkey, caplog: pytest.LogCaptureFixture
) -> None:
    diary = Diary()
    async with connect(valkey.url) as redis:
        valkey.ask("ACL", "SETUSER", "default", "-client|tracking")
        redis.track("ns:", diary)
        await asyncio.sleep(0.7)
        assert diary.entries == []
        assert caplog.text.count("does not tell of changes") == 1
        valkey.ask("ACL", "SETUSER", "default", "+client|tracking")
        await soon(lambda: diary.entries == ["live"])


async def test_messages_reach_every_receiver_until_it_stops(valkey: Valkey) -> None:
    first, second = Diary(), Diary()
    async with connect(valkey.url) as redis:
        stop_first, stop_second = redis.subscribe("news", first.receive), redis.subscribe("news", second.receive)
        await soon(lambda: valkey.ask("PUBLISH", "news", "1"))
        await soon(lambda: first.entries == second.entries == [b"1"])
        stop_first()
        valkey.ask("PUBLISH", "news", "2")
        await soon(lambda: second.entries == [b"1", b"2"])
        assert first.entries == [b"1"]
        stop_second()
        await soon(lambda: valkey.ask("PUBLISH", "news", "3") == 0)
        redis.subscribe("news", first.receive)
        await soon(lambda: valkey.ask("PUBLISH", "news", "4"))
        await soon(lambda: first.entries == [b"1", b"4"])


async def test_a_subscription_outlives_its_connection(valkey: Valkey) -> None:
    diary = Diary()
    async with connect(valkey.url) as redis:
        redis.subscribe("news", diary.receive)
        await soon(lambda: valkey.ask("PUBLISH", "news", "1"))
        valkey.ask("CLIENT", "KILL", "TYPE", "pubsub")
        await soon(lambda: valkey.ask("PUBLISH", "news", "2"))
        await soon(lambda: diary.entries == [b"1", b"2"])


async def test_a_channel_that_is_refused_is_said_and_hurts_no_other(
    valkey: Valkey, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    valkey.ask("ACL", "SETUSER", "poor", "on", ">pw", "~*", "resetchannels", "&news", "+@all")
    diary = Diary()
    async with connect(f"redis://poor:pw@127.0.0.1:{valkey.port}") as redis:
        redis.subscribe("secret", diary.receive)
        redis.subscribe("news", diary.receive)
        redis.track("ns:", diary)
        await soon(lambda: diary.entries == ["live"])
        valkey.ask("PUBLISH", "news", "1")
        await soon(lambda: diary.entries == ["live", b"1"])
    assert "refuses a channel" in caplog.text


async def test_a_receiver_is_told_when_messages_begin_to_be_heard_and_again_after_every_gap(valkey: Valkey) -> None:
    first, second = Diary(), Diary()
    async with connect(valkey.url) as redis:
        stop = redis.subscribe("news", first.receive, first.live)
        await soon(lambda: first.entries == ["live"])
        assert valkey.ask("PUBLISH", "news", "1") == 1
        await soon(lambda: first.entries == ["live", b"1"])
        redis.subscribe("news", second.receive, second.live)
        await soon(lambda: second.entries == ["live"])
        valkey.ask("CLIENT", "KILL", "TYPE", "pubsub")
        await soon(lambda: first.entries == ["live", b"1", "live"] and second.entries == ["live", "live"])
        stop()
        stop_again = redis.subscribe("other", first.receive, first.live)
        stop_again()
        redis.subscribe("other", first.receive, first.live)
        await soon(lambda: first.entries == ["live", b"1", "live", "live"])
        assert valkey.ask("PUBLISH", "other", "2") == 1
