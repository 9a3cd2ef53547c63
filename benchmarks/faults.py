"""What requests are answered while the servers fail.

`python -m benchmarks.faults [--pause SECONDS] [--only WORDS]`. Two caches of two Keels read and invalidate at some
hundred requests a second, of a source that takes 5 ms, each request with its 150 ms for Redis. A row per fault: how
long requests took from its moment on, whether any was refused or stale beyond what KEEL.md allows, how late another
process's memory was, and how soon after the server's return both caches were live again.
"""

import argparse
import asyncio
import logging
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Final, NamedTuple

import uvloop

from benchmarks.racing.faulting import Traffic, traffic
from benchmarks.racing.faults import FAULTS, PAUSED, fail_over, lose_a_master
from tests.valkey import Cluster, Sentinels, Valkey

WARM_S: Final = 1.0
AFTER_S: Final = 1.5
PAUSE_S: Final = 30.0


class Row(NamedTuple):
    """A fault to be measured."""

    name: str
    make: Callable[[Path], Valkey | Cluster | Sentinels]
    begin: Callable[[object], object]
    end: Callable[[object], object]
    lasts_s: float


def rows(pause_s: float) -> list[Row]:
    """All of them."""
    found = []
    for fault in FAULTS:
        each = replace(fault, lasts_s=pause_s) if fault is PAUSED else fault
        found.append(Row(each.name, Valkey, each.begin, each.end, each.lasts_s))  # type: ignore[arg-type]
    found.append(Row("Sentinel: master lost", Sentinels, fail_over, _nothing, 0.0))  # type: ignore[arg-type]
    found.append(Row("cluster: one master lost", Cluster, lose_a_master, _nothing, 0.0))  # type: ignore[arg-type]
    return found


def _nothing(_: object) -> None:
    """It passes by itself."""


async def measure(row: Row, servers: Valkey | Cluster | Sentinels) -> str:
    """A line of the table."""
    async with traffic(servers.url) as its:
        await asyncio.sleep(WARM_S)
        began = monotonic()
        await asyncio.to_thread(row.begin, servers)
        await asyncio.sleep(row.lasts_s)
        await asyncio.to_thread(row.end, servers)
        returned = monotonic()
        async with asyncio.timeout(60):
            await its.normal()
        normal = monotonic()
        await asyncio.sleep(AFTER_S)
    return _line(row, its, began, returned, normal)


def _line(row: Row, its: Traffic, began: float, returned: float, normal: float) -> str:
    first, whole = (began, began + 1.0), (began, normal)
    latencies = "".join(f"{its.quantile_s(share, *span) * 1e3:9.1f}" for span in (first, whole) for share in (0.99, 1))
    return (
        f"{row.name:28}{len(its.between(*whole)):9,}{latencies}{sum(its.errors.values()):8}{len(its.stale):7}"
        f"{max(its.lags_s, default=0.0) * 1e3:9.0f}{its.away:9}{normal - returned:9.2f}"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pause", type=float, default=PAUSE_S)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    print("latencies in ms: of requests in the fault's first second, and until all was normal again\n")
    print(
        f"{'':28}{'requests':>9}{'p99 1 s':>9}{'max 1 s':>9}{'p99':>9}{'max':>9}{'errors':>8}{'stale':>7}{'lag ms':>9}"
        f"{'kept back':>9}{'normal s':>9}"
    )
    for row in rows(options.pause):
        if options.only in row.name:
            _run(row)


def _run(row: Row) -> None:
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        servers = row.make(Path(folder))
        try:
            print(runner.run(measure(row, servers.start())), flush=True)
        finally:
            servers.kill()


if __name__ == "__main__":
    main()
