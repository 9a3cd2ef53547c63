"""The failures of a Keel: of requests and of its own tasks, here or shared."""

import asyncio

from keel.failures.recorder import BACKGROUND
from keel.opening import Keel


async def fails() -> None:
    raise LookupError


async def test_what_requests_and_tasks_meet_is_kept() -> None:
    async with Keel.open(own=("tests",)) as keel:
        segment = keel.traces.begin("http", "GET /trades")
        segment.method, segment.route, segment.error = "GET", "/trades", ValueError()
        keel.traces.end(segment)
        await asyncio.wait([keel.tasks.start("failing", fails())])
        await asyncio.sleep(0)
        found = {group.type: group for group in (await keel.failures.newest()).groups}
        assert found.keys() == {"ValueError", "LookupError"}
        assert found["ValueError"].sample.trace_id == segment.trace_id
        assert found["LookupError"].routes == {BACKGROUND: 1}
        assert found["LookupError"].where.endswith("fails")
        assert keel.failures.scope == "instance"


async def test_all_processes_see_them(redis_url: str, redis_namespace: str) -> None:
    async with Keel.open(redis_url, redis_namespace) as one, Keel.open(redis_url, redis_namespace) as two:
        for each in (one, two):
            each.failures.record(ValueError())
            await each.failures.flush()
        (group,) = (await one.failures.newest()).groups
        assert (group.count, one.failures.scope) == (2, "shared")
