"""Counters, by the first word of the key."""

from dataclasses import fields
from typing import Final

from keel.cache.contract import GroupStats
from keel.cache.keys import group

MOST_GROUPS: Final = 200
"""Groups that are counted by themselves; the keys of any further one are counted as `other`."""
_COUNTERS: Final = tuple(field.name for field in fields(GroupStats))


class Group:
    """The counters of one group. Plain integers: a hit costs one addition."""

    __slots__ = (*_COUNTERS, "length", "weighed", "weight")

    memory_hits: int
    shared_hits: int
    stale_hits: int
    misses: int
    loads: int
    coalesced: int
    discarded: int
    errors: int
    weighed: int
    """Values whose size in memory was measured or estimated; `weight` bytes were measured for `length` encoded."""
    weight: int
    length: int

    def __init__(self) -> None:
        for name in self.__slots__:
            setattr(self, name, 0)

    def stats(self) -> GroupStats:
        """The counters as they are now."""
        return GroupStats(*(getattr(self, name) for name in _COUNTERS))


class Counters:
    """All groups."""

    def __init__(self) -> None:
        self._groups: dict[str, Group] = {}

    def of(self, key: str) -> Group:
        """The counters of the key's group."""
        name = group(key)
        found = self._groups.get(name)
        if found is None:
            name = name if len(self._groups) < MOST_GROUPS else "other"
            found = self._groups.setdefault(name, Group())
        return found

    def stats(self) -> tuple[GroupStats, dict[str, GroupStats]]:
        """All together, and each."""
        groups = {name: each.stats() for name, each in self._groups.items()}
        total = GroupStats(*(sum(getattr(each, name) for each in groups.values()) for name in _COUNTERS))
        return total, groups
