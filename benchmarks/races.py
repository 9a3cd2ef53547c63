"""Who is ever stale: readers, writers and a hostile network, in two processes over one Valkey.

`python -m benchmarks.races [--reads N] [--seed N] [--only NAME]`. A source counts up a version per key, which is then
invalidated (by key, tag, prefix, or all at once); a read is stale if it gives a version older than the newest one whose
invalidation had completed before the read began. Meanwhile connections are cut and stalled, the server is paused and
emptied, and readers give up. Reads from the shared tier (no copy in memory is used), in the process that wrote, and
with a version must never be stale; reads of another process's memory may lag by the push that tells of it.
"""

import argparse
import asyncio
import logging
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from time import monotonic
from typing import Final

import msgspec
import redis.asyncio
import uvloop
from redis.exceptions import RedisError

from benchmarks.racing.proxy import Proxy
from benchmarks.racing.racers import RACERS
from benchmarks.racing.runner import PROCESSES, STRICT, Read, Runner, Tally, places, quantile, read_tally
from benchmarks.racing.truth import Truth
from tests.valkey import Valkey, running

Outputs = list[tuple[bytes, bytes]]
READS: Final = 100_000
LONGEST_S: Final = 240.0
"""A race that has not come to its end by then is ended."""
PEER_SHARE: Final = 10
"""Peers check this part of the reads: theirs take longer, and they are found out sooner."""


@dataclass(frozen=True)
class Race:
    """Who races, how long, and whether they are disturbed."""

    name: str
    reads: int
    seed: int
    disturbed: bool
    slow_s: float = 0.03


async def race(each: Race, server: Valkey, folder: Path) -> Tally:
    """Run a race; what all processes have seen."""
    path = folder / "truth"
    truth = Truth.make(path, len(places()))
    total = Tally()
    async with Proxy.open(server.port) as proxy:
        runners = [await _spawn(each, number, proxy.port, path) for number in range(PROCESSES)]
        ended = asyncio.gather(*(runner.communicate() for runner in runners))
        if each.disturbed:
            await _disturb(proxy, server, Random(each.seed), ended, truth)
        for output, _ in await ended:
            total.add(read_tally(output))
    return total


async def _spawn(each: Race, number: int, port: int, path: Path) -> asyncio.subprocess.Process:
    arguments = [each.name, str(each.reads // PROCESSES), str(each.seed), str(each.slow_s)]
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.races", "--process", str(number), str(port), str(path), *arguments),
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parent.parent,
    )


async def _disturb(
    proxy: Proxy, server: Valkey, random: Random, ended: "asyncio.Future[Outputs]", truth: Truth
) -> None:
    """Do harm, at random, until all is over; then let them finish in peace."""
    await asyncio.sleep(1.0)
    while not ended.done() and not all(truth.flag(each) for each in range(PROCESSES)):
        await asyncio.sleep(random.uniform(0.05, 0.5))
        chance = random.random()
        if chance < 0.2:
            proxy.cut_one(random)
        elif chance < 0.25:
            proxy.cut_all()
        elif chance < 0.5:
            proxy.stall_one(random, random.choice((0.02, 0.1, 0.4, 1.5)))
        elif chance < 0.6:
            server.pause()
            await asyncio.sleep(random.choice((0.02, 0.1, 0.3)))
            server.resume()
        else:
            with suppress(RedisError, OSError):
                await _command(server, random)


async def _command(server: Valkey, random: Random) -> None:
    async with redis.asyncio.Redis(port=server.port, socket_timeout=1) as client:
        chance = random.random()
        if chance < 0.4:
            await client.flushall()
        elif chance < 0.5:
            await client.script_flush()
        else:
            clients = await client.client_list()
            await client.client_kill_filter(_id=random.choice(clients)["id"])


def main() -> None:
    """Race all of them, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reads", type=int, default=READS)
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--only", choices=RACERS)
    parser.add_argument("--process", nargs=7, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.process:
        _run_process(*options.process)
        return
    races = [Race(options.only or "keel", options.reads, options.seed, disturbed=True)]
    if options.only is None:
        peers = [name for name in RACERS if name != "keel"]
        few = max(options.reads // PEER_SHARE, 1)
        races += [Race(name, few, options.seed, disturbed) for name in peers for disturbed in (False, True)]
    print(f"two processes, one Valkey, seed {options.seed}; stale reads of all that were checked\n")
    print(f"{'':20}{'disturbed':11}" + "".join(f"{read:>23}" for read in Read) + f"{'errors':>9}{'seconds':>9}")
    ours_stale = 0
    for each in races:
        with tempfile.TemporaryDirectory() as folder, running(Valkey(Path(folder))) as server:
            began = monotonic()
            tally = asyncio.run(race(each, server, Path(folder)))
        _print(each, tally, monotonic() - began)
        ours_stale += sum(tally.stale[read] for read in STRICT) if each.name == "keel" else 0
    if ours_stale:
        sys.exit(f"{ours_stale} stale reads")


def _print(each: Race, tally: Tally, took_s: float) -> None:
    counts = "".join(f"{tally.stale[read]:>10,} of {tally.checked[read]:>8,} " for read in Read)
    errors = sum(tally.errors.values())
    print(f"{each.name:20}{'yes' if each.disturbed else 'no':11}{counts}{errors:>9,}{took_s:9.0f}")
    late = [value * 1e3 for value in tally.lags_s]
    if late:
        shares = ", ".join(f"{name} {quantile(late, share):.1f}" for name, share in _QUANTILES)
        print(f"{'':20}memory of another process: {len(late):,} late reads, by ms: {shares}, max {max(late):.1f}")
    if each.name == "keel":
        print(
            f"{'':20}{tally.loads:,} loads, {tally.invalidations:,} invalidations, {tally.in_outage:,} of them in an "
            f"outage, {tally.abandoned:,} reads abandoned"
        )
        for line in tally.examples:
            print(f"{'':20}{line}")
    for error, times in tally.errors.most_common(3):
        print(f"{'':20}{times:,} × {error}")
    sys.stdout.flush()


_QUANTILES: Final = (("p50", 0.5), ("p99", 0.99))


def _run_process(number: str, port: str, path: str, *race_: str) -> None:
    name, reads, seed, slow_s = race_

    async def run() -> Tally:
        truth = Truth(Path(path), len(places()))
        async with RACERS[name](f"redis://127.0.0.1:{port}/0") as racer:
            random, end = Random(f"{seed} {number}"), monotonic() + LONGEST_S
            return await Runner(racer, truth, int(number), random, int(reads), float(slow_s), end).run()

    logging.disable(logging.CRITICAL)  # that connections are cut is the point
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        sys.stdout.buffer.write(msgspec.json.encode(runner.run(run())))


if __name__ == "__main__":
    main()
