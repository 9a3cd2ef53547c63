import asyncio
import time

import pytest

from keel.context import Budget, budget, current_budget, current_principal, principal


def test_outside_nobody_asks() -> None:
    assert current_principal() is None


def test_what_is_inside_is_done_in_somebodys_name() -> None:
    with principal("ada"):
        assert current_principal() == "ada"
        with principal(7):
            assert current_principal() == 7
        assert current_principal() == "ada"
    assert current_principal() is None


async def test_a_task_that_starts_inside_asks_in_the_same_name() -> None:
    async def who() -> object:
        await asyncio.sleep(0)
        return current_principal()

    with principal("ada"):
        asked = asyncio.get_running_loop().create_task(who())
    assert await asked == "ada"


def test_outside_there_is_no_budget_and_a_request_opens_one() -> None:
    assert current_budget() is None
    with budget() as opened:
        assert current_budget() is opened
        with budget(None):
            assert current_budget() is None
    assert current_budget() is None


def test_what_was_waited_is_taken_off() -> None:
    spent = Budget(0.1)
    spent.begin()
    time.sleep(0.02)
    assert 0.05 < spent.left_s < 0.081
    spent.end()
    left = spent.left_s
    time.sleep(0.01)
    assert spent.left_s == left


def test_waits_that_overlap_count_once() -> None:
    spent = Budget(1.0)
    for _ in range(10):
        spent.begin()
    time.sleep(0.02)
    for _ in range(10):
        spent.end()
    assert spent.left_s == pytest.approx(0.98, abs=0.015)


def test_a_budget_is_never_less_than_nothing() -> None:
    spent = Budget(0.0)
    spent.begin()
    time.sleep(0.002)
    spent.end()
    assert spent.left_s == 0.0
