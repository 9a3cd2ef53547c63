"""Locks while servers and processes are mistreated."""

import asyncio
import signal
import subprocess
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager

import pytest

from keel.locks.contract import LeaseLost, LockNotAcquired, Locks, LockUnavailable
from keel.opening import Keel
from keel.redis.router import slot_of
from tests.keel.locks.contest import contender, contest, overlaps
from tests.keel.redis.telling import soon
from tests.valkey import Cluster, Sentinels, Valkey, until

PLACE = "ns:lk:{a}"


async def hold(locks: Locks, *, wait: float = 0) -> int:
    async with locks.lock("a", ttl=60, wait=wait) as lease:
        return lease.fence


def test_two_processes_are_never_inside_together(redis_url: str, redis_namespace: str) -> None:
    visits = contest(redis_url, redis_namespace, 150)
    assert len({visit.fence for visit in visits}) == 300
    assert overlaps(visits) == 0


@contextmanager
def standing(url: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A process that holds the lock, and its fence."""
    process = contender(url, "ns", 1, "stand")
    assert process.stdout is not None
    try:
        word, fence = process.stdout.readline().split()
        assert word == "held"
        yield process, int(fence)
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            pipe.close()


async def test_a_holder_that_stood_still_beyond_its_ttl_finds_out_and_its_write_is_refused(valkey: Valkey) -> None:
    with standing(valkey.url) as (process, old_fence):
        process.send_signal(signal.SIGSTOP)
        async with Keel.open(valkey.url, "ns") as keel, keel.locks.lock("contended", ttl=60, wait=60) as lease:
            highest = lease.fence
            process.send_signal(signal.SIGCONT)
            told, _ = await asyncio.to_thread(process.communicate, "go on\n", timeout=60)
            assert told.splitlines() == ["lost True", "it was not renewed in time"]
            assert old_fence < highest  # so that a write `WHERE fence <= :fence` changes nothing


async def test_the_lock_of_a_process_that_dies_is_free_after_its_ttl(valkey: Valkey) -> None:
    with standing(valkey.url) as (process, _):
        process.kill()
        async with Keel.open(valkey.url, "ns") as keel, keel.locks.lock("contended", wait=60):
            assert process.wait() == -signal.SIGKILL


async def test_waiting_costs_less_than_five_commands_a_second_for_each_who_waits(valkey: Valkey) -> None:
    def asked() -> int:
        stats = valkey.info("commandstats")
        names = ("evalsha", "eval", "subscribe", "unsubscribe")
        return sum(int(stats.get(f"cmdstat_{name}", {"calls": 0})["calls"]) for name in names)

    async with AsyncExitStack() as stack:
        keels = [await stack.enter_async_context(Keel.open(valkey.url, "ns")) for _ in range(3)]
        async with keels[0].locks.lock("a", ttl=1.0):
            loop = asyncio.get_running_loop()
            began, before = loop.time(), asked()
            one_here = [loop.create_task(hold(keels[1].locks, wait=60))]
            many_there = [loop.create_task(hold(keels[2].locks, wait=60)) for _ in range(50)]
            await asyncio.sleep(4)
            took_s, commands = loop.time() - began, asked() - before
        # 51 ask for the first time, the holder renews three times a second, and one in each process asks again.
        assert commands - 51 - took_s * 3 < 2 * took_s * 5
        await asyncio.gather(*one_here, *many_there)


async def test_a_release_wakes_who_waits_without_their_asking(valkey: Valkey) -> None:
    async with Keel.open(valkey.url, "ns") as here, Keel.open(valkey.url, "ns") as there:
        loop = asyncio.get_running_loop()
        async with here.locks.lock("a", ttl=60):
            waiting = [loop.create_task(hold(there.locks, wait=60)) for _ in range(20)]
            await asyncio.sleep(0.5)
            before = _scripts_run(valkey)
        await asyncio.gather(*waiting)
        assert _scripts_run(valkey) - before <= 1 + 20 * 4  # a poll takes 0.5 s at least, and so would 20 of them
        assert int(valkey.info("clients")["pubsub_clients"]) <= 2  # one of each process at most
        assert valkey.ask("PUBSUB", "NUMSUB", PLACE) == [PLACE, 1]


def _scripts_run(valkey: Valkey) -> int:
    stats = valkey.info("commandstats")
    return int(stats["cmdstat_evalsha"]["calls"])


async def test_without_a_server_nothing_is_acquired_and_a_held_lease_ends_by_the_clock(valkey: Valkey) -> None:
    async with Keel.open(valkey.url, "ns") as keel:
        assert keel.redis is not None
        redis = keel.redis

        async def work() -> None:
            async with keel.locks.lock("a", ttl=3) as lease:
                valkey.kill()
                await soon(lambda: not redis.available, 20)
                assert not lease.is_lost
                with pytest.raises(LockUnavailable):
                    await hold(keel.locks, wait=60)
                await soon(lambda: lease.is_lost, 20)

        with pytest.raises(LeaseLost, match="not renewed in time"):
            await work()
        valkey.start()
        await soon(lambda: redis.available, 20)
        await hold(keel.locks)


async def test_a_lease_outlives_an_outage_that_is_shorter_than_its_ttl(valkey: Valkey) -> None:
    async with Keel.open(valkey.url, "ns") as keel:
        async with keel.locks.lock("a", ttl=20) as lease:
            valkey.pause()
            assert keel.redis is not None
            redis = keel.redis
            await soon(lambda: not redis.available, 20)
            valkey.resume()
            await soon(lambda: redis.available, 20)
            lease.raise_if_lost()
        assert await hold(keel.locks) > lease.fence


async def test_what_could_not_be_given_back_in_an_outage_is_given_back_after_it(valkey: Valkey) -> None:
    async with Keel.open(valkey.url, "ns") as keel:
        assert keel.redis is not None
        redis = keel.redis
        async with keel.locks.lock("a", ttl=600):
            valkey.pause()
            await soon(lambda: not redis.available, 20)
        valkey.resume()
        await soon(lambda: valkey.ask("EXISTS", PLACE) == 0, 20)
        await soon(lambda: redis.available, 20)
        await hold(keel.locks)


async def test_an_acquisition_that_was_not_answered_leaves_no_lease(valkey: Valkey) -> None:
    async with Keel.open(valkey.url, "ns") as keel:
        await hold(keel.locks)
        valkey.pause()
        with pytest.raises(LockUnavailable):
            await hold(keel.locks)
        valkey.resume()
        await soon(lambda: valkey.ask("EXISTS", PLACE) == 0, 20)
        await soon(lambda: keel.redis is not None and keel.redis.available, 20)
        await hold(keel.locks)


async def test_fences_grow_across_a_flush_and_who_held_finds_out(valkey: Valkey) -> None:
    async with Keel.open(valkey.url, "ns") as keel:

        async def work() -> None:
            async with keel.locks.lock("a", ttl=1) as lease:
                valkey.ask("FLUSHALL")
                assert await hold(keel.locks) > lease.fence
                await soon(lambda: lease.is_lost, 20)

        with pytest.raises(LeaseLost, match="not there any more"):
            await work()


async def test_a_clock_that_goes_back_lowers_no_fence(valkey: Valkey) -> None:
    async with Keel.open(valkey.url, "ns") as keel:
        ahead = await hold(keel.locks) + 10**12
        valkey.ask("SET", "ns:lf:{a}", ahead)
        assert await hold(keel.locks) == ahead + 1


async def test_scripts_that_are_forgotten_are_sent_again(valkey: Valkey) -> None:
    async with Keel.open(valkey.url, "ns") as keel, keel.locks.lock("a", ttl=0.6) as lease:
        valkey.ask("SCRIPT", "FLUSH")
        await asyncio.sleep(0.7)
        lease.raise_if_lost()
        valkey.ask("SCRIPT", "FLUSH")


async def test_a_full_server_refuses_new_leases_and_keeps_those_that_are_held(valkey: Valkey) -> None:
    async with Keel.open(valkey.url, "ns") as keel:
        async with keel.locks.lock("a", ttl=1.5) as lease:
            valkey.ask("CONFIG", "SET", "maxmemory", 1)
            with pytest.raises(LockUnavailable):
                async with keel.locks.lock("b"):
                    pytest.fail("there is no room")
            await asyncio.sleep(1.6)
            lease.raise_if_lost()
        assert valkey.ask("EXISTS", PLACE) == 0
        valkey.ask("CONFIG", "SET", "maxmemory", 0)


async def test_after_a_failover_the_old_holder_finds_out_or_still_holds(sentinels: Sentinels) -> None:
    async with Keel.open(sentinels.url, "ns") as keel:
        assert keel.redis is not None
        redis = keel.redis
        await soon(lambda: redis.available, 20)
        fence = await hold(keel.locks)
        holding = keel.locks.lock("a", ttl=60)
        lease = await holding.__aenter__()
        until(lambda: sentinels.replica.ask("EXISTS", PLACE) == 1)
        sentinels.lose_master()
        await soon(lambda: not redis.available, 20)
        with pytest.raises(LockUnavailable):
            await hold(keel.locks)
        await soon(lambda: redis.available, 60)
        with pytest.raises(LockNotAcquired):
            await hold(keel.locks)
        lease.raise_if_lost()
        await holding.__aexit__(None, None, None)
        assert await hold(keel.locks) > lease.fence > fence


async def test_on_a_cluster_every_lock_lives_where_its_slot_is(shared_cluster: Cluster, redis_namespace: str) -> None:
    names = [f"lock:{number}" for number in range(12)]
    places = {slot_of(f"{redis_namespace}:lk:{{{name}}}") * 3 // 16384 for name in names}
    assert len(places) == 3
    loop = asyncio.get_running_loop()
    async with (
        Keel.open(shared_cluster.url, redis_namespace) as here,
        Keel.open(shared_cluster.url, redis_namespace) as there,
    ):

        async def wait_for(name: str) -> None:
            async with there.locks.lock(name, wait=30):
                pass

        async with AsyncExitStack() as stack:
            for name in names:
                await stack.enter_async_context(here.locks.lock(name, ttl=600, wait=0))
            waiting = [loop.create_task(wait_for(name)) for name in names]
            await asyncio.sleep(0.3)
            assert not any(task.done() for task in waiting)
        await asyncio.gather(*waiting)
