"""What a server keeps of limits, and whose clock it goes by."""

import asyncio
import time
from typing import Final

import pytest

from keel.opening import Keel
from keel.ratelimit.quota import parse
from tests.valkey import Valkey

ALL: Final = [
    "3/hour",
    "3/hour token bucket",
    "3/hour sliding window",
    "3/hour fixed window",
    "3/day in Asia/Tokyo",
    "3/month",
    "3 at once",
]
YEAR_S: Final = 366 * 86_400.0


@pytest.mark.parametrize("text", ALL)
async def test_a_clock_that_jumps_on_the_client_changes_nothing(
    redis_url: str, redis_namespace: str, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    decisions, now_s = [], time.time()  # noqa: TID251 - the clock that jumps
    async with Keel.open(redis_url, redis_namespace) as keel:
        for jump_s in (0.0, YEAR_S, -YEAR_S, 2 * YEAR_S, 0.0):
            with monkeypatch.context() as patch:
                patch.setattr(time, "time", lambda jump_s=jump_s: now_s + jump_s)
                patch.setattr(time, "time_ns", lambda jump_s=jump_s: int((now_s + jump_s) * 1e9))
                decisions.append(await keel.limits.check("user:1", text))
    assert [each.allowed for each in decisions] == [True, True, True, False, False]
    assert [each.remaining for each in decisions] == [2, 1, 0, 0, 0]
    moments = [each.at_us for each in decisions]
    assert moments == sorted(moments)
    assert abs(moments[0] / 1e6 - now_s) < 60


async def test_what_is_counted_lasts_for_as_long_as_it_counts_and_not_much_longer(valkey: Valkey) -> None:
    texts = ["1000/s", "5/s sliding window", "100/min burst 5", "7/min fixed window", "2 at once for 3s"]
    limits = [parse(text, f"limit{number}") for number, text in enumerate(texts)]
    async with Keel.open(valkey.url, "ns") as keel:
        for _ in range(3):
            for several in (limits[1:], limits[:3], limits[:1]):
                decision = await keel.limits.check("user:1", several)
                needed_ms = max((each.reset_us for each in decision.verdicts if each.charged), default=0) / 1000
                # By the server's clock, however long this test was not let run between the two.
                lives_ms = valkey.ask("PEXPIRETIME", "ns:r:{user:1}") - decision.at_us / 1000
                assert needed_ms - 1 <= lives_ms <= 120_251
            await asyncio.sleep(0.01)
        await keel.limits.check("user:2", [parse("6/min burst 1", "slow")])
        assert 0 < valkey.ask("PTTL", "ns:r:{user:2}") <= 20_002
        assert 0 < valkey.ask("PTTL", "ns:r:{user:1}:limit4:c3000000") <= 3002
        await keel.limits.reset("user:1", limits)
        assert valkey.ask("HKEYS", "ns:r:{user:1}") == ["ends"], "which goes with the key"
        assert not valkey.ask("EXISTS", "ns:r:{user:1}:limit4:c3000000")
