"""How often a process collects garbage: seldom enough for rows by the 100,000, often enough for requests."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

SERVING: Final = (2_000, 10, 1_000)
"""Thresholds while requests are answered. Every answer from the database leaves SQLAlchemy's statements in cycles: by a
first threshold of 50,000 some 30,000 objects are freed at once, which holds the event loop for 80 ms; by these one
collection takes 0.7 ms and every tenth 2 ms, all together a fifth."""
COMPUTING: Final = (10_000, 10, 1_000)
"""Thresholds while an import makes rows by the 100,000, none of them in a cycle. By the defaults (700, 10, 10)
collecting takes a third of its CPU time; with 100,000 executions it takes 0.7 s by those of `SERVING`, and 0.4 s by
these, most often 9 ms at a time."""


def for_serving() -> None:
    """Collect as it suits requests."""
    gc.set_threshold(*SERVING)


@contextmanager
def for_computing() -> Iterator[None]:
    """Collect as it suits an import. Of several at once, the first to end lets requests come first again."""
    gc.set_threshold(*COMPUTING)
    try:
        yield
    finally:
        for_serving()
