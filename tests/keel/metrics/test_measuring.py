"""What the parts of a Keel tell of themselves, from one end to the other."""

import asyncio

import pytest
from prometheus_client.parser import text_string_to_metric_families as read_text

from keel.locks.contract import LeaseLost, LockNotAcquired, LockUnavailable
from keel.metrics.contract import Metrics
from keel.metrics.null import NullMetrics
from keel.opening import Keel
from keel.sessions.contract import SessionUnknown
from tests.valkey import Valkey

Told = dict[tuple[str, ...], float]


async def told(metrics: Metrics) -> dict[str, Told]:
    found: dict[str, Told] = {}
    for family in read_text((await metrics.render()).body.decode()):
        for each in family.samples:
            labels = sorted((name, value) for name, value in each.labels.items() if name != "server")
            found.setdefault(each.name, {})[tuple(value for _, value in labels)] = each.value
    return found


async def test_the_cache_and_the_limits_are_read() -> None:
    async with Keel.open() as keel:
        for _ in range(3):
            await keel.cache.get_or_set("portfolio:7", lambda: asyncio.sleep(0, "value"), ttl=60)
        for _ in range(3):
            await keel.limits.check("user:7", "2/min")
        await keel.health.report()
        found = await told(keel.metrics)
    requests = found["cache_requests_total"]
    assert requests["portfolio", "memory_hit"] == 2
    assert requests["portfolio", "miss"] == 1
    assert found["cache_loads_total"] == {("portfolio",): 1}
    assert found["cache_memory_entries"] == {(): 1}
    assert found["cache_mode"] == {("memory",): 1}
    assert found["rate_limit_decisions_total"]["default", "allowed"] == 2
    assert found["rate_limit_decisions_total"]["default", "refused"] == 1
    assert sum(found["rate_limit_sources_total"].values()) == 3
    assert found["health_check_status"][("event_loop",)] in {0.0, 0.5, 1.0}


async def test_locks_tell_what_became_of_them() -> None:
    async with Keel.open() as keel:
        async with keel.locks.lock("rebuild:42"):
            with pytest.raises(LockNotAcquired):
                await keel.locks.lock("rebuild:42", wait=0).__aenter__()
            waiting = keel.tasks.start("waiting", keel.locks.lock("rebuild:42").__aenter__())
            await asyncio.sleep(0.01)
            waiting.cancel()
        found = await told(keel.metrics)
    assert found["lock_requests_total"] == {("rebuild", "acquired"): 1, ("rebuild", "refused"): 1}
    assert found["lock_held_seconds_count"] == {("rebuild",): 1}
    assert found["lock_wait_seconds_count"] == {("rebuild",): 2}


async def test_events_tell_of_messages_and_streams() -> None:
    async with Keel.open() as keel:
        async with keel.events.subscribe("user:7") as stream:
            await keel.events.publish("user:7", {"n": 1})
            during = await told(keel.metrics)
        found = await told(keel.metrics)
        del stream
    assert during["event_streams"] == {("user",): 1}
    assert found["event_streams"] == {("user",): 0}
    assert found["event_messages_total"] == {("user", "shared"): 1}
    assert found["event_streams_closed_total"] == {("user", "left"): 1}


async def test_sessions_tell_of_logins_and_refusals() -> None:
    async with Keel.open() as keel:
        token = await keel.sessions.create_session(7, {})
        await keel.sessions.get(token)
        await keel.sessions.touch(token)
        await keel.sessions.invalidate_user_sessions(7)
        with pytest.raises(SessionUnknown):
            await keel.sessions.get("made up")
        found = await told(keel.metrics)
    assert found["sessions_began_total"] == {(): 1}
    assert found["sessions_ended_total"] == {(): 1}
    assert found["session_reads_total"] == {("memory",): 2, ("store",): 0}
    assert found["session_refusals_total"] == {("session_unknown",): 1}


async def test_redis_tells_how_it_stands(valkey: Valkey) -> None:
    async with Keel.open(valkey.url) as keel:
        assert (await told(keel.metrics))["redis_up"] == {(): 1}
        valkey.kill()
        async with asyncio.timeout(5):
            while keel.redis is not None and keel.redis.available:  # noqa: ASYNC110 - it is noticed in its own time
                await asyncio.sleep(0.02)
        with pytest.raises(LockUnavailable):
            await keel.locks.lock("it", wait=0).__aenter__()
        found = await told(keel.metrics)
    assert found["redis_up"] == {(): 0}
    assert found["redis_state_changes_total"] == {("down",): 1, ("up",): 1}
    assert found["redis_connections_total"] == {("commands",): 1, ("pushes",): 1}
    assert found["redis_failures_total"][()] >= 1
    assert found["lock_requests_total"]["it", "unavailable"] == 1


async def lost(keel: Keel, valkey: Valkey) -> None:
    async with keel.locks.lock("it", ttl=0.3):
        valkey.ask("FLUSHALL")
        await asyncio.sleep(0.2)


async def test_a_lease_that_is_lost_is_counted(valkey: Valkey) -> None:
    async with Keel.open(valkey.url, "it") as keel:
        with pytest.raises(LeaseLost):
            await lost(keel, valkey)
        assert (await told(keel.metrics))["lock_lost_total"] == {("it",): 1}


async def test_requests_are_counted_by_whoever_observes_them() -> None:
    async with Keel.open() as keel:
        segment = keel.traces.begin("http", "GET /trades")
        segment.method, segment.route, segment.status = "GET", "/trades", 200
        assert (await told(keel.metrics))["http_server_active_requests"] == {(): 1}
        keel.traces.end(segment)
        found = await told(keel.metrics)
    assert found["http_server_active_requests"] == {(): 0}
    assert found["http_server_request_duration_seconds_count"] == {("GET", "/trades", "200"): 1}


async def test_a_keel_can_be_measured_by_nobody() -> None:
    async with Keel.open(metrics=NullMetrics()) as keel:
        keel.traces.end(keel.traces.begin("http", "GET /"))
        assert await told(keel.metrics) == {}
