"""How often a process collects garbage: seldom enough for rows by the 100,000, often enough for requests."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

SERVING: Final = (250, 10, 8_000)
"""Thresholds while requests are answered. Every answer from the database leaves SQLAlchemy's statements in cycles, and
what frees them holds the event loop. Under a realistic load (`python -m benchmarks.workload`) a collection takes 0.06
ms by a first threshold of 250, by 2,000 it takes 1.6 ms and each tenth 6 to 9, by 50,000 80; all together the same."""
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
