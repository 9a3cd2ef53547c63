"""The checks that come with keel: disk, memory, the event loop, Redis."""

import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import pytest

from keel.health.contract import Answer
from keel.health.loop import LoopCheck
from keel.health.machine import DiskCheck, MemoryCheck
from keel.health.redis import RedisCheck
from keel.metrics.looplag import LoopLag
from keel.redis.connecting import connect
from tests.valkey import Valkey, free_port


def said(answer: object) -> Mapping[str, object]:
    return cast("Mapping[str, object]", answer)


def test_a_disk_is_told_by_what_is_free(tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    assert said(DiskCheck(tmp_path, scarce=1, full=1)())["status"] == "healthy"
    assert said(DiskCheck(tmp_path, scarce=free * 2, full=1)())["status"] == "degraded"
    assert said(DiskCheck(tmp_path, scarce=free * 2, full=free * 2)())["status"] == "unhealthy"
    with pytest.raises(OSError, match="missing"):
        DiskCheck(tmp_path / "missing")()


def memory(folder: Path, available: int, total: int) -> MemoryCheck:
    (folder / "meminfo").write_text(f"MemTotal: {total} kB\nMemFree: 1 kB\nMemAvailable: {available} kB\n")
    return MemoryCheck(folder, folder)


@pytest.mark.parametrize(("available", "status"), [(50, "healthy"), (9, "degraded"), (2, "unhealthy")])
def test_memory_is_told_by_what_is_available(tmp_path: Path, available: int, status: str) -> None:
    assert said(memory(tmp_path, available, 100)())["status"] == status


def test_the_limit_of_the_group_goes_before_the_machine(tmp_path: Path) -> None:
    check = memory(tmp_path, 90, 100)
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.current").write_text("990\n")
    (tmp_path / "memory.stat").write_text("anon 900\ninactive_file 40\n")
    assert said(check()) == {"status": "degraded", "message": "0 MiB left", "available": 50, "total": 1000}
    (tmp_path / "memory.max").write_text("max\n")
    assert said(check())["total"] == 100 * 1024


def test_a_system_that_does_not_tell_is_taken_for_well(tmp_path: Path) -> None:
    assert said(MemoryCheck(tmp_path, tmp_path)())["status"] == "healthy"
    assert said(MemoryCheck()())["status"] in {"healthy", "degraded", "unhealthy"}


class Late:
    def __init__(self, late_s: float) -> None:
        self._late_s = late_s

    def worst_s(self) -> float:
        return self._late_s


@pytest.mark.parametrize(("late_s", "status"), [(0.01, "healthy"), (0.5, "degraded"), (3.0, "unhealthy")])
async def test_a_loop_is_told_by_its_worst_delay(late_s: float, status: str) -> None:
    assert said(await LoopCheck(Late(late_s))())["status"] == status


async def test_the_lag_of_the_loop_is_seen_while_it_lasts_and_afterwards() -> None:
    seen: list[float] = []
    lag = LoopLag(seen.append)
    try:
        time.sleep(0.35)  # noqa: ASYNC251 - what must not be done
        assert lag.worst_s() > 0.05
    finally:
        lag.close()


async def test_redis_is_asked_and_told_by_its_answer(valkey: Valkey) -> None:
    async with connect(valkey.url) as redis:
        check = RedisCheck(redis)
        answer = said(await check())
        assert (answer["status"], answer["breaker"]) == ("healthy", "closed")
        valkey.pause()
        try:
            answer = said(await check())
        finally:
            valkey.resume()
        assert answer["status"] == "unhealthy"


async def test_a_redis_that_is_away_costs_no_time() -> None:
    async with connect(f"redis://127.0.0.1:{free_port()}/0") as redis:
        answer: Answer = await RedisCheck(redis)()
        assert answer == {"status": "unhealthy", "message": "Redis is away", "breaker": "open"}
