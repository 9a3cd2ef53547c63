"""Four processes with a hundred callers each, on one limit: what was decided is what the definition says."""

import asyncio
import json
import sys
from typing import cast

import pytest

from keel.ratelimit.quota import parse
from keel.ratelimit.redis import RedisCounters
from keel.redis.connecting import connect
from keel.redis.contract import Redis
from tests.keel.ratelimit.crowd import SUBJECT, Patient
from tests.keel.ratelimit.models import model_of

PROCESSES, CALLERS, TIMES = 4, 100, 5


async def crowds(url: str, namespace: str, *texts: str) -> list[tuple[int, bool, int]]:
    """What all of them were told, in the order in which the server decided."""
    command = [sys.executable, "-m", "tests.keel.ratelimit.crowd", url, namespace, str(CALLERS), str(TIMES), *texts]
    processes = [
        await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE) for _ in range(PROCESSES)
    ]
    outputs = [await each.communicate() for each in processes]
    assert all(each.returncode == 0 for each in processes)
    return sorted(entry for output, _ in outputs for entry in map(tuple, json.loads(output)))


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        "200/s burst 50",
        "150/s token bucket",
        "100/200ms sliding window",
        "100/500ms fixed window",
        "700/day fixed window in Asia/Kathmandu",
        "30 at once for 100ms",
    ],
)
async def test_four_processes_are_admitted_exactly_what_the_definition_admits(
    redis_url: str, redis_namespace: str, text: str
) -> None:
    second = "1100/day fixed window"
    log = await crowds(redis_url, redis_namespace, text, second)
    assert len(log) == PROCESSES * CALLERS * TIMES
    limits = [parse(text, "limit0"), parse(second, "limit1")]
    models = [model_of(limit) for limit in limits]
    counts_leases = "at once" in text
    moments = [at for at, _, _ in log]
    for at, allowed, cost in log:
        needed = [1 if counts_leases else cost, cost]
        expected = all(model.room(at) >= each for model, each in zip(models, needed, strict=True))
        if moments.count(at) == 1:
            assert allowed == expected
        if allowed:
            for model, each in zip(models, needed, strict=True):
                model.charge(at, each)
    async with connect(redis_url) as redis:
        looked = await RedisCounters(cast("Redis", Patient(redis)), redis_namespace).peek(SUBJECT, (limits[1],), 1)
    # A request that the first limit refused was not charged to the second.
    assert 1100 - looked.verdicts[0].remaining == sum(cost for _, allowed, cost in log if allowed)
