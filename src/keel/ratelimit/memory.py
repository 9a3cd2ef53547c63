"""Counts in this process's memory, for a process that is alone, or while the server is away."""

import secrets
import time
from collections.abc import Callable, Sequence
from typing import Final

from keel.clock import wall_ns
from keel.ratelimit.algorithms import State, arithmetic
from keel.ratelimit.contract import Charge, Decision, Limit, Limits, Source, Spent, Verdict

MOST_STATES: Final = 100_000
"""Beyond it the states that were used longest ago are forgotten."""
_SWEPT: Final = 2
Leases = dict[str, int]
Place = tuple[str, str]


def steady_clock() -> Callable[[], int]:
    """A clock of µs since 1970 that runs on evenly from now, whatever becomes of the machine's."""
    ahead_ns = wall_ns() - time.monotonic_ns()
    return lambda: (time.monotonic_ns() + ahead_ns) // 1000


class MemoryCounters:
    """`Counters` for one process. Nothing in it waits, so each check is undivided."""

    def __init__(
        self,
        now_us: Callable[[], int] | None = None,
        *,
        source: Source = Source.SHARED,
        most: int = MOST_STATES,
    ) -> None:
        self._now_us = now_us or steady_clock()
        self._source = source
        self._most = most
        self._states: dict[Place, tuple[int, State | Leases]] = {}

    async def take(self, subject: str, limits: Limits, cost: int, extra: int = 0) -> Decision:
        """Charge at once."""
        return self.decide(subject, limits, cost, extra, take=True)

    def spend(self, charge: Charge) -> Spent | None:
        """Charge 1 at once where nothing refuses it, or is held."""
        if any(limit.is_held for limit in charge.limits) or not self.decide(*charge, 1, 0, take=False).allowed:
            return None
        return Spent(self.decide(*charge, 1, 0, take=True))

    async def peek(self, subject: str, limits: Limits, cost: int) -> Decision:
        """Look."""
        return self.decide(subject, limits, cost, 0, take=False)

    def decide(self, subject: str, limits: Limits, cost: int, extra: int, *, take: bool) -> Decision:
        """`take` or `peek`, without waiting."""
        now_us = self._now_us()
        looks = [self._look(subject, limit, now_us, cost) for limit in limits]
        allowed = all(look.fits or look.limit.shadow for look in looks)
        charges = take and allowed
        rooms = [look.room for look in looks if look.fits]
        granted = max(0, min(extra, (min(rooms) - cost) // 4)) if charges and rooms else 0
        token = secrets.token_hex(8) if charges and any(isinstance(look, _Leased) for look in looks) else ""
        verdicts = []
        for look in looks:
            if charges and look.fits:
                look.charge(cost + granted, token)
                self._keep((subject, look.limit.key), now_us, look)
            verdicts.append(look.verdict(cost))
        return Decision(subject, tuple(verdicts), allowed, cost, now_us, self._source, token, granted)

    async def give_back(self, decision: Decision, cost: int) -> None:
        """Take back at once."""
        now_us = self._now_us()
        for each in decision.verdicts:
            place = decision.subject, each.limit.key
            if not each.charged or place not in self._states:
                continue
            look = self._look(decision.subject, each.limit, now_us, cost)
            look.give_back(cost, each.mark, decision.token)
            self._keep(place, now_us, look)

    async def reset(self, subject: str, limits: Sequence[Limit]) -> None:
        """Forget at once."""
        for limit in limits:
            self._states.pop((subject, limit.key), None)

    def clear(self) -> None:
        """Forget everything."""
        self._states.clear()

    def _look(self, subject: str, limit: Limit, now_us: int, cost: int) -> "_Counted | _Leased":
        _, kept = self._states.get((subject, limit.key), (0, None))
        if limit.is_held:
            return _Leased(limit, kept if isinstance(kept, dict) else {}, now_us)
        return _Counted(limit, kept if isinstance(kept, tuple) else None, now_us, cost)

    def _keep(self, place: Place, now_us: int, look: "_Counted | _Leased") -> None:
        """Keep a state as the one used last, and forget some that do not matter any more, or any longer."""
        states = self._states
        states.pop(place, None)
        states[place] = now_us + look.reset_us, look.state
        for old in [key for key, _ in zip(states, range(_SWEPT), strict=False)]:
            if len(states) > self._most or states[old][0] <= now_us:
                del states[old]


class _Counted:
    """One limit's numbers during one check."""

    def __init__(self, limit: Limit, state: State | None, now_us: int, cost: int) -> None:
        self.limit = limit
        self._now_us = now_us
        self._how = arithmetic(limit)
        self.state = self._how.seen(limit, state, now_us)
        self.room = self._how.room(limit, self.state)
        self.fits = self.room >= cost
        self._charged = False

    def charge(self, many: int, token: str) -> None:  # noqa: ARG002 - of its kind
        self.state = self._how.charged(self.limit, self.state, many)
        self.room -= many
        self._charged = True

    def give_back(self, many: int, mark: int, token: str) -> None:  # noqa: ARG002 - of its kind
        self.state = self._how.given_back(self.limit, self.state, many, mark)

    @property
    def reset_us(self) -> int:
        return self._how.reset_us(self.limit, self.state, self._now_us)

    def verdict(self, cost: int) -> Verdict:
        wait_us = 0 if self.fits else self._how.wait_us(self.limit, self.state, self._now_us, cost)
        mark = self._how.mark(self.state)
        return Verdict(self.limit, self.fits, max(0, self.room), wait_us, self.reset_us, mark, self._charged)


class _Leased:
    """One concurrency's leases, by token with the end of each, during one check."""

    def __init__(self, limit: Limit, leases: Leases, now_us: int) -> None:
        self.limit = limit
        self._now_us = now_us
        self.state = {token: end for token, end in leases.items() if end > now_us}
        self.room = limit.count - len(self.state)
        self.fits = self.room >= 1
        self._charged = False

    def charge(self, many: int, token: str) -> None:  # noqa: ARG002 - of its kind
        self.state[token] = self._now_us + self.limit.period_us
        self.room -= 1
        self._charged = True

    def give_back(self, many: int, mark: int, token: str) -> None:  # noqa: ARG002 - of its kind
        self.state.pop(token, None)

    @property
    def reset_us(self) -> int:
        return self.limit.period_us if self.state else 0

    def verdict(self, cost: int) -> Verdict:  # noqa: ARG002 - of its kind
        wait_us = 0 if self.fits else min(self.state.values()) - self._now_us
        return Verdict(self.limit, self.fits, max(0, self.room), wait_us, self.reset_us, 0, self._charged)
