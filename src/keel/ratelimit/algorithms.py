"""The arithmetic of each algorithm on plain whole numbers; `take.lua` does the same on the server.

A state is a tuple of numbers, or None where nothing has been counted. Times are µs. GCRA and the token bucket: ITU-T
I.371, annex A, the continuous-state leaky bucket, in units that make both sides whole (a request is `step` units, each
microsecond takes `leak`). The weighted counter: "How we built rate limiting capable of scaling to millions of domains",
Cloudflare, 2017.
"""

from typing import Final, Protocol

from keel.ratelimit.calendars import window
from keel.ratelimit.contract import METERS, Algorithm, Limit

State = tuple[int, ...]


class Arithmetic(Protocol):
    """One algorithm. `now_us` never goes back by more than a failing server's clock does."""

    def seen(self, limit: Limit, state: State | None, now_us: int) -> State:
        """The state as it is now."""

    def room(self, limit: Limit, state: State) -> int:
        """How many a state that was seen now still admits at once; negative where the limit was lowered."""

    def wait_us(self, limit: Limit, state: State, now_us: int, cost: int) -> int:
        """When it would admit `cost`, which it does not now."""

    def reset_us(self, limit: Limit, state: State, now_us: int) -> int:
        """When nothing would be left of what was counted."""

    def charged(self, limit: Limit, state: State, many: int) -> State:
        """The state with `many` more."""

    def given_back(self, limit: Limit, state: State, many: int, mark: int) -> State:
        """The state with `many` less, of those that were counted when the mark was `mark`."""

    def mark(self, state: State) -> int:
        """What tells apart the windows that something can be counted in."""


class _Meter:
    """State: level, and when it was that high."""

    def seen(self, limit: Limit, state: State | None, now_us: int) -> State:
        if state is None:
            return 0, now_us
        level, then = state
        return max(0, level - max(0, now_us - then) * limit.leak), now_us

    def room(self, limit: Limit, state: State) -> int:
        return (limit.capacity * limit.step - state[0]) // limit.step

    def wait_us(self, limit: Limit, state: State, now_us: int, cost: int) -> int:  # noqa: ARG002 - of its kind
        return -(((limit.capacity - cost) * limit.step - state[0]) // limit.leak)

    def reset_us(self, limit: Limit, state: State, now_us: int) -> int:  # noqa: ARG002 - of its kind
        return -(-state[0] // limit.leak)

    def charged(self, limit: Limit, state: State, many: int) -> State:
        return state[0] + many * limit.step, state[1]

    def given_back(self, limit: Limit, state: State, many: int, mark: int) -> State:  # noqa: ARG002 - of its kind
        return max(0, state[0] - many * limit.step), state[1]

    def mark(self, state: State) -> int:  # noqa: ARG002 - of its kind
        return 0


class _Sliding:
    """State: number of the window, counted in it, counted in the one before, ticks since it began.

    Of the earlier window counts the part that lies within one period from now.
    """

    def seen(self, limit: Limit, state: State | None, now_us: int) -> State:
        index, elapsed = divmod(now_us // limit.tick_us, limit.period_us // limit.tick_us)
        if state is None:
            return index, 0, 0, elapsed
        then, current, previous, *_ = state
        if then > index:
            return then, current, previous, 0
        if then == index:
            return index, current, previous, elapsed
        return index, 0, current if then == index - 1 else 0, elapsed

    def room(self, limit: Limit, state: State) -> int:
        period = limit.period_us // limit.tick_us
        _, current, previous, elapsed = state
        return (limit.count * period - current * period - previous * (period - elapsed)) // period

    def wait_us(self, limit: Limit, state: State, now_us: int, cost: int) -> int:
        period = limit.period_us // limit.tick_us
        _, current, previous, elapsed = state
        if cost > limit.count:
            ticks = 2 * period - elapsed
        elif current + cost <= limit.count:
            ticks = period - (limit.count - current - cost) * period // previous - elapsed
        else:
            ticks = period - elapsed + max(0, period - (limit.count - cost) * period // current)
        return ticks * limit.tick_us - now_us % limit.tick_us

    def reset_us(self, limit: Limit, state: State, now_us: int) -> int:
        _, current, previous, elapsed = state
        windows = 2 if current else 1 if previous else 0
        if not windows:
            return 0
        return windows * limit.period_us - elapsed * limit.tick_us - now_us % limit.tick_us

    def charged(self, limit: Limit, state: State, many: int) -> State:  # noqa: ARG002 - of its kind
        index, current, previous, elapsed = state
        return index, current + many, previous, elapsed

    def given_back(self, limit: Limit, state: State, many: int, mark: int) -> State:  # noqa: ARG002 - of its kind
        index, current, previous, elapsed = state
        if mark == index:
            return index, max(0, current - many), previous, elapsed
        return index, current, max(0, previous - many) if mark == index - 1 else previous, elapsed

    def mark(self, state: State) -> int:
        return state[0]


class _Fixed:
    """State: counted, and when the window ends.

    A window that has begun ends when it was going to: nobody gets another one by moving to another time zone.
    """

    def seen(self, limit: Limit, state: State | None, now_us: int) -> State:
        if state is not None and now_us < state[1]:
            return state
        if limit.unit is None:
            return 0, now_us - now_us % limit.period_us + limit.period_us
        return 0, window(limit.unit, limit.zone, now_us).end

    def room(self, limit: Limit, state: State) -> int:
        return limit.count - state[0]

    def wait_us(self, limit: Limit, state: State, now_us: int, cost: int) -> int:  # noqa: ARG002 - of its kind
        return state[1] - now_us

    def reset_us(self, limit: Limit, state: State, now_us: int) -> int:  # noqa: ARG002 - of its kind
        return state[1] - now_us if state[0] else 0

    def charged(self, limit: Limit, state: State, many: int) -> State:  # noqa: ARG002 - of its kind
        return state[0] + many, state[1]

    def given_back(self, limit: Limit, state: State, many: int, mark: int) -> State:  # noqa: ARG002 - of its kind
        return (max(0, state[0] - many), state[1]) if mark == state[1] else state

    def mark(self, state: State) -> int:
        return state[1]


_METER: Final = _Meter()
_OTHERS: Final[dict[Algorithm, Arithmetic]] = {
    Algorithm.SLIDING_WINDOW: _Sliding(),
    Algorithm.FIXED_WINDOW: _Fixed(),
}


def arithmetic(limit: Limit) -> Arithmetic:
    """How this limit is counted. A concurrency is no matter of numbers: see `memory.py`."""
    return _METER if limit.algorithm in METERS else _OTHERS[limit.algorithm]
