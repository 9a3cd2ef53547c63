"""What a thousand groups of the worst kind take of Redis."""

from datetime import UTC, datetime

from keel.failures.contract import MOST_GROUPS, MOST_ROUTES, USER_BITS, Batch, Frame, Occurrence
from keel.failures.fingerprints import MOST_FRAMES
from keel.failures.recorder import LONGEST_MESSAGE
from keel.failures.redis import RedisErrorGroups
from keel.redis.connecting import connect
from tests.valkey import Valkey

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)


def worst(number: int) -> Batch:
    """A group with as much of everything as there may be."""
    frames = tuple(
        Frame(f"tradesense/of/{number}/a/deep/folder/module{line}.py", line, f"Class{line}.function", is_own=True)
        for line in range(MOST_FRAMES)
    )
    message = "".join(chr(33 + (number * 7 + at * at) % 90) for at in range(LONGEST_MESSAGE))
    latest = Occurrence(
        f"{number:016x}", "LookupError", message, "somewhere", frames, AT, "GET /", "ab" * 16, "cd" * 18
    )
    routes = {f"GET /api/v1/some/route/of/{number}/{each}": 1 for each in range(MOST_ROUTES)}
    return Batch(latest, 1, routes, set(range(0, USER_BITS, 97)))


async def test_a_thousand_groups_stay_small(valkey: Valkey) -> None:
    def used() -> int:
        return int(valkey.info("memory")["used_memory_dataset"])

    async with connect(valkey.url) as redis:
        groups, before = RedisErrorGroups(redis, "it"), used()
        for number in range(100):
            await groups.add(worst(number))
        each = (used() - before) / 100
    assert each * MOST_GROUPS < 8 << 20
