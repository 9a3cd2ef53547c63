"""Does the cache's memory stay within its bytes: what it accounts for beside what the process really takes.

`python -m benchmarks.memory_tier [entries]` fills a tier with a million entries of each kind, in a process each, once
under a limit that holds them and once under a quarter of it, and prints how the resident memory has grown.
"""

import gc
import subprocess
import sys
from collections.abc import Callable
from random import Random
from time import monotonic, process_time
from typing import Final

import psutil

from keel.cache.coherence import Coherence
from keel.cache.counting import Counters, Group
from keel.cache.keys import names
from keel.cache.memory import Entry, MemoryTier, charge

ENTRIES: Final = 1_000_000
USERS: Final = 1_000
MIB: Final = 1 << 20

_RANDOM: Final = Random(3)


def small_int() -> object:
    """A number of its own."""
    return _RANDOM.randrange(1_000, 1_000_000_000)


def hundred_bytes() -> object:
    """An answer of a hundred bytes."""
    return _RANDOM.randbytes(100)


def portfolio() -> object:
    """A dict of about 1 kB, of the parts that a query returns."""
    return {
        "id": _RANDOM.randrange(1 << 40),
        "name": f"Portfolio {_RANDOM.random()}",
        "currency": "USD",
        "net": _RANDOM.random() * 1e6,
        "open": [_RANDOM.random() for _ in range(8)],
        "positions": {f"S{_RANDOM.randrange(10_000)}": _RANDOM.randrange(1_000, 100_000) for _ in range(5)},
    }


KINDS: Final[dict[str, Callable[[], object]]] = {each.__name__: each for each in (small_int, hundred_bytes, portfolio)}


def main() -> None:
    """Print the table."""
    entries = int(sys.argv[1]) if len(sys.argv) > 1 else ENTRIES
    print(f"{entries:,} entries\n")
    print("value          limit MiB  accounted MiB  resident MiB  resident/accounted  kept       evicted    put CPU µs")
    for kind in KINDS:
        for share in (1.0, 0.25):
            command = [sys.executable, "-m", "benchmarks.memory_tier", str(entries), kind, str(share)]
            subprocess.run(command, check=True)  # noqa: S603 - this very file


def fill(entries: int, kind: str, share: float) -> None:
    """Fill one tier as the cache would, and print a row."""
    make, coherence, group = KINDS[kind], Coherence(), Counters().of("summary")
    make_entry = _maker(coherence, group, make)
    first = make_entry(0)  # which is charged for the cells that it shares with those to come
    limit = int(charge(*make_entry(USERS)) * 1.2 * entries * share)
    tier, process = MemoryTier(limit), psutil.Process()
    gc.collect()
    before, seconds = process.memory_info().rss, 0.0
    for number in range(entries):
        key, entry = make_entry(number) if number else first
        started = process_time()
        tier.put(key, entry)
        seconds += process_time() - started
    grown = process.memory_info().rss - before
    print(
        f"{kind:14} {limit / MIB:9.0f} {tier.bytes / MIB:14.0f} {grown / MIB:13.0f} {grown / tier.bytes:19.3f}"
        f"  {tier.entries:<10,} {tier.evictions:<10,} {seconds / entries * 1e6:.1f}",
        flush=True,
    )


def _maker(coherence: Coherence, group: Group, make: Callable[[], object]) -> Callable[[int], tuple[str, Entry]]:
    def make_entry(number: int) -> tuple[str, Entry]:
        key = f"summary:{number:08d}"
        seen, now = coherence.observe(names(key, (f"user:{number % USERS}",))), monotonic()
        times = (now + 300.0, now + 290.0, now + 30.0, now + 600.0)
        return key, Entry(
            make(), *times, None, *seen, coherence.stamp, group, cost_s=now / 1e9, id=_RANDOM.randbytes(8)
        )

    return make_entry


if __name__ == "__main__":
    if len(sys.argv) > 3:
        fill(int(sys.argv[1]), sys.argv[2], float(sys.argv[3]))
    else:
        main()
