"""How often garbage is collected."""

import gc
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tradesense.work.service.collecting import COMPUTING, SERVING, for_computing, for_serving


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


def test_an_import_collects_less_and_however_it_ends_requests_come_first_again() -> None:
    for_serving()
    found = []
    with suppress(LookupError), for_computing():
        found.append(gc.get_threshold())
        raise LookupError
    assert [*found, gc.get_threshold()] == [COMPUTING, SERVING]
