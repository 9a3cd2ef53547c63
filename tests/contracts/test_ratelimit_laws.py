"""Each algorithm against its definition, in memory and on a server: any requests, at any time, at any cost.

A server's clock cannot be turned, but it says with each decision what time it was: the definition is asked about that.
"""

import asyncio
import time
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from copy import deepcopy
from typing import Any, ClassVar, Final
from uuid import uuid4

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from keel.ratelimit.contract import Algorithm, Counters, Decision, Limit, Unit
from keel.ratelimit.memory import MemoryCounters
from keel.ratelimit.redis import RedisCounters
from keel.redis.connecting import connect
from tests.keel.ratelimit.models import Model, cost_of, model_of

EXAMPLES: Final = settings(
    max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
START_US: Final = 1_790_000_000_000_000
ZONES: Final = ("UTC", "Europe/Berlin", "Asia/Kathmandu", "America/Sao_Paulo")
SUBJECT: Final = "user:{42}"


def rates(periods_ms: st.SearchStrategy[int]) -> st.SearchStrategy[Limit]:
    """Limits of all kinds that people could have written."""
    counts, periods = st.integers(1, 7), periods_ms.map(lambda each: each * 1000)
    meters = st.builds(
        Limit,
        counts,
        periods,
        st.sampled_from([Algorithm.GCRA, Algorithm.TOKEN_BUCKET]),
        burst=st.none() | st.integers(1, 9),
    )
    others = st.sampled_from([Algorithm.SLIDING_WINDOW, Algorithm.FIXED_WINDOW, Algorithm.CONCURRENCY])
    calendars = st.builds(
        Limit,
        counts,
        st.just(86_400_000_000),
        st.just(Algorithm.FIXED_WINDOW),
        unit=st.sampled_from(Unit),
        zone=st.sampled_from(ZONES),
    )
    return meters | st.builds(Limit, counts, periods, others) | calendars


def several(limits: st.SearchStrategy[Limit]) -> st.SearchStrategy[tuple[Limit, ...]]:
    """Up to three at once, some of them shadows."""
    drawn = st.lists(st.tuples(limits, st.booleans()), min_size=1, max_size=3)
    return drawn.map(
        lambda them: tuple(
            Limit(
                each.count,
                each.period_us,
                each.algorithm,
                each.burst,
                f"limit{number}",
                each.unit,
                each.zone,
                shadow=shadow and number > 0,
            )
            for number, (each, shadow) in enumerate(them)
        )
    )


class Laws(RuleBasedStateMachine):
    """Counters beside the definitions of their limits."""

    counters: Counters
    periods_ms: ClassVar[st.SearchStrategy[int]]

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.limits: tuple[Limit, ...] = ()
        self.models: list[Model] = []
        self.last: Decision | None = None

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:  # noqa: ANN401 - whatever it gives
        return self.runner.run(work)

    def teardown(self) -> None:
        self.run(self.stack.aclose())
        self.runner.close()

    def begin(self, limits: tuple[Limit, ...]) -> None:
        self.limits = limits
        self.models = [model_of(limit) for limit in limits]

    @rule(cost=st.integers(1, 4))
    def take(self, cost: int) -> None:
        decision: Decision = self.run(self.counters.take(SUBJECT, self.limits, cost))
        self.check(decision, cost)
        if decision.allowed:
            for limit, model, verdict in zip(self.limits, self.models, decision.verdicts, strict=True):
                assert verdict.charged == verdict.fits
                if verdict.charged:
                    model.charge(decision.at_us, cost_of(limit, cost))
        assert [each.remaining for each in decision.verdicts] == self.rooms(decision.at_us)
        for limit, model, verdict in zip(self.limits, self.models, decision.verdicts, strict=True):
            assert deepcopy(model).room(decision.at_us + verdict.reset_us) == limit.capacity
        self.last = decision if decision.allowed else None

    @rule(cost=st.integers(1, 4))
    def peek(self, cost: int) -> None:
        decision: Decision = self.run(self.counters.peek(SUBJECT, self.limits, cost))
        self.check(decision, cost)
        assert not any(each.charged for each in decision.verdicts)
        self.last = None

    @rule()
    def reset(self) -> None:
        self.run(self.counters.reset(SUBJECT, self.limits))
        self.begin(self.limits)
        self.last = None

    def rooms(self, now_us: int) -> list[int]:
        return [max(0, model.room(now_us)) for model in self.models]

    def check(self, decision: Decision, cost: int) -> None:
        """All limits say what their definitions say, and when they will have changed their minds."""
        now = decision.at_us
        for limit, model, verdict in zip(self.limits, self.models, decision.verdicts, strict=True):
            needed = cost_of(limit, cost)
            assert verdict.fits == (model.room(now) >= needed), (limit, decision)
            if verdict.fits:
                assert verdict.retry_after_us == 0
            elif needed <= limit.capacity:
                assert deepcopy(model).room(now + verdict.retry_after_us) >= needed
                assert deepcopy(model).room(now + verdict.retry_after_us - 1) < needed
        assert decision.allowed == all(each.fits or each.limit.shadow for each in decision.verdicts)


class MemoryLaws(Laws):
    @initialize(limits=several(rates(st.integers(1, 100_000))))
    def open(self, limits: tuple[Limit, ...]) -> None:
        self.now_us = START_US
        self.counters = MemoryCounters(lambda: self.now_us)
        self.begin(limits)

    @rule(passed=st.integers(0, 10**8) | st.integers(0, 3 * 86_400 * 10**6))
    def wait(self, passed: int) -> None:
        self.now_us += passed

    @precondition(lambda self: self.last is not None)
    @rule()
    def give_back(self) -> None:
        assert self.last is not None
        self.run(self.counters.give_back(self.last, self.last.cost))
        for limit, model, verdict in zip(self.limits, self.models, self.last.verdicts, strict=True):
            if verdict.charged:
                model.take_back(self.now_us, cost_of(limit, self.last.cost))
        self.last = None


class RedisLaws(Laws):
    url: ClassVar[str]
    namespace: ClassVar[str]

    @initialize(limits=several(rates(st.integers(1, 30))))
    def open(self, limits: tuple[Limit, ...]) -> None:
        self.run(self._open())
        self.begin(limits)

    async def _open(self) -> None:
        redis = await self.stack.enter_async_context(connect(self.url))
        self.counters = RedisCounters(redis, f"{self.namespace}:{uuid4().hex}")

    @rule(milliseconds=st.sampled_from([0, 1, 5, 20]))
    def wait(self, milliseconds: int) -> None:
        time.sleep(milliseconds / 1000)


def test_in_memory_each_algorithm_is_its_definition() -> None:
    run_state_machine_as_test(MemoryLaws, settings=EXAMPLES)


def test_on_a_server_each_algorithm_is_its_definition(redis_url: str, redis_namespace: str) -> None:
    class Laws(RedisLaws):
        url, namespace = redis_url, redis_namespace

    run_state_machine_as_test(Laws, settings=EXAMPLES)
