"""Processes that contend for one lock."""

import subprocess
import sys
from itertools import pairwise
from typing import NamedTuple

from tests.conftest import CHECKOUT


class Visit(NamedTuple):
    """A time inside the lock, by the machine's monotonic clock in ns."""

    fence: int
    entered: int
    left: int


def contender(url: str, namespace: str, times: int, *more: str) -> subprocess.Popen[str]:
    """A process that has begun."""
    command = [sys.executable, "-m", "tests.keel.locks.contender", url, namespace, str(times), *more]
    return subprocess.Popen(command, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def contest(url: str, namespace: str, times: int, processes: int = 2) -> list[Visit]:
    """What all of them saw, `times` each, in the order of their fences."""
    contenders = [contender(url, namespace, times) for _ in range(processes)]
    try:
        told = [each.communicate(timeout=1200)[0] for each in contenders]
    finally:
        for each in contenders:
            each.kill()
            each.wait()
    assert [each.returncode for each in contenders] == [0] * processes
    return sorted(Visit(*map(int, line.split())) for text in told for line in text.splitlines())


def overlaps(visits: list[Visit]) -> int:
    """How many began before the one of the next lower fence had ended."""
    return sum(after.entered < before.left for before, after in pairwise(visits))
