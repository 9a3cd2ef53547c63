"""A process that takes one lock again and again, and writes down when it was inside: `fence entered left` in ns.

    python -m tests.keel.locks.contender URL NAMESPACE TIMES [stand]

With `stand` it takes the lock once, says so, and writes what it knows of its lease whenever a line is sent to it.
"""

import asyncio
import sys
import time
from datetime import timedelta

from keel.locks.contract import LeaseLost
from keel.opening import Keel


async def contend(url: str, namespace: str, times: int) -> None:
    """Take the lock so many times."""
    visits = []
    async with Keel.open(url, namespace) as keel:
        for _ in range(times):
            async with keel.locks.lock("contended", ttl=60, wait=timedelta(minutes=5)) as lease:
                entered = time.monotonic_ns()
                await asyncio.sleep(0)
                visits.append((lease.fence, entered, time.monotonic_ns()))
    sys.stdout.writelines(f"{fence} {entered} {left}\n" for fence, entered, left in visits)


async def stand(url: str, namespace: str) -> None:
    """Hold the lock, and say on demand whether it is still there, before anything else of the loop's can run."""
    async with Keel.open(url, namespace) as keel:
        try:
            async with keel.locks.lock("contended", ttl=2) as lease:
                sys.stdout.write(f"held {lease.fence}\n")
                sys.stdout.flush()
                sys.stdin.readline()  # it holds the loop: so does whatever makes a process stand still
                sys.stdout.write(f"lost {lease.is_lost}\n")
        except LeaseLost as lost:
            sys.stdout.write(f"{lost.reason}\n")


if __name__ == "__main__":
    given_url, given_namespace, given_times, *rest = sys.argv[1:]
    asyncio.run(stand(given_url, given_namespace) if rest else contend(given_url, given_namespace, int(given_times)))
