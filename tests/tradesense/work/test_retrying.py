"""Pauses that grow, and errors told without secrets."""

import random
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.exc import IntegrityError

from tradesense.work.service.retrying import FIRST, JITTER, LONGEST, pause, told


@given(st.integers(1, 10_000), st.integers())
def test_pauses_double_up_to_a_bound_and_some_of_each_is_chance(attempt: int, seed: int) -> None:
    whole = min(FIRST * 2 ** min(attempt - 1, 20), LONGEST)
    assert whole * JITTER <= pause(attempt, random.Random(seed)) <= whole


def test_pauses_differ() -> None:
    assert len({pause(3) for _ in range(20)}) > 1
    assert timedelta(0) < pause(1) <= FIRST


def test_an_error_is_told_in_a_line_with_its_place_and_without_secrets() -> None:
    try:
        raise ValueError("token=abc123abc123 of me@example.com is wrong\nand more")
    except ValueError as error:
        said = told(error)
    assert said.startswith("ValueError: token=")
    assert "abc123" not in said
    assert "me@example.com" not in said
    assert "\n" not in said
    assert "(in test_an_error_is_told_in_a_line_with_its_place_and_without_secrets, line" in said


def test_of_a_databases_error_the_parameters_are_left_out() -> None:
    said = told(IntegrityError("INSERT INTO users VALUES (?)", ("a secret thing",), Exception("UNIQUE failed")))
    assert said == "IntegrityError: UNIQUE failed"
