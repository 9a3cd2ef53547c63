"""Groups of errors in this process's memory."""

from collections import OrderedDict, deque
from datetime import datetime
from typing import Literal

import msgspec

from keel.failures.contract import (
    MOST_GROUPS,
    Batch,
    ErrorGroup,
    ErrorGroupNotFound,
    ErrorState,
    added,
)
from keel.failures.counting import estimate


class _Kept(msgspec.Struct):
    """A group, and the bits that its users have set."""

    group: ErrorGroup
    users: set[int]
    tokens: deque[str]


class MemoryErrorGroups:
    """Implements `ErrorGroups`; `most` groups, the latest seen last."""

    scope: Literal["instance", "shared"] = "instance"

    def __init__(self, most: int = MOST_GROUPS) -> None:
        self._most = most
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    async def add(self, batch: Batch) -> ErrorGroup:
        """Count what happened."""
        latest = batch.latest
        kept = self._kept.get(latest.fingerprint)
        if kept is None:
            kept = self._kept[latest.fingerprint] = _Kept(_new(batch), set(), deque(maxlen=32))
        if batch.token in kept.tokens:
            return kept.group
        kept.tokens.append(batch.token)
        kept.users |= batch.users
        kept.group = _grown(kept.group, batch, estimate(len(kept.users)))
        self._kept.move_to_end(latest.fingerprint)
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)
        return kept.group

    async def get(self, fingerprint: str) -> ErrorGroup:
        """One group."""
        return self._get(fingerprint).group

    async def newest(
        self, *, state: ErrorState | None = None, since: datetime | None = None, limit: int = 100
    ) -> list[ErrorGroup]:
        """Those in a `state`, and seen `since`."""
        found = (kept.group for kept in self._kept.values())
        wanted = [
            group
            for group in found
            if (state is None or group.state is state) and (since is None or group.last_seen >= since)
        ]
        return sorted(wanted, key=lambda group: group.last_seen, reverse=True)[:limit]

    async def decide(self, fingerprint: str, state: ErrorState, at: datetime) -> ErrorGroup:
        """Set the state of a group."""
        kept = self._get(fingerprint)
        kept.group = msgspec.structs.replace(kept.group, state=state, changed_at=at)
        return kept.group

    def _get(self, fingerprint: str) -> _Kept:
        kept = self._kept.get(fingerprint)
        if kept is None:
            raise ErrorGroupNotFound
        return kept


def _new(batch: Batch) -> ErrorGroup:
    latest = batch.latest
    return ErrorGroup(
        fingerprint=latest.fingerprint,
        type=latest.type,
        where=latest.where,
        state=ErrorState.OPEN,
        count=0,
        first_seen=batch.since,
        last_seen=latest.at,
        users=0,
        routes={},
        regressions=0,
        changed_at=latest.at,
        sample=latest,
    )


def _grown(group: ErrorGroup, batch: Batch, users: int) -> ErrorGroup:
    at = batch.latest.at
    returned = group.state is ErrorState.RESOLVED and at > group.changed_at
    return msgspec.structs.replace(
        group,
        count=group.count + batch.count,
        first_seen=min(group.first_seen, batch.since),
        last_seen=max(group.last_seen, at),
        users=users,
        routes=added(group.routes, batch.routes),
        sample=batch.latest,
        state=ErrorState.OPEN if returned else group.state,
        regressions=group.regressions + returned,
        changed_at=at if returned else group.changed_at,
    )
