"""What is true at any moment, in memory that all processes of a race share: each key has one process that writes it."""

import mmap
from pathlib import Path
from time import monotonic_ns
from typing import Final, Self

RING: Final = 1 << 13
"""Versions of a key whose completion is remembered."""
_FLAGS: Final = 8
_INTEGER: Final = 8


class Truth:
    """Per key: the version that the source has, and the newest one whose invalidation has completed everywhere.

    A number is written by one process alone, in one store of eight bytes, so nobody ever sees half of one.
    """

    def __init__(self, path: Path, keys: int) -> None:
        self.keys: Final = keys
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), _size(keys))
        self._cells = memoryview(self._map).cast("q")
        self._completed = keys
        self._times = 2 * keys
        self._flags = 2 * keys + keys * RING

    @classmethod
    def make(cls, path: Path, keys: int) -> Self:
        """A new one, in a file that the processes open by its path."""
        path.write_bytes(bytes(_size(keys)))
        return cls(path, keys)

    def current(self, key: int) -> int:
        """The version that the source has."""
        return self._cells[key]

    def write(self, key: int) -> int:
        """Change the source; its new version."""
        self._cells[key] += 1
        return self._cells[key]

    def completed(self, key: int) -> int:
        """The newest version whose invalidation has completed everywhere."""
        return self._cells[self._completed + key]

    def complete(self, key: int, version: int) -> None:
        """The invalidation that belongs to a version has completed everywhere."""
        self._cells[self._times + key * RING + version % RING] = monotonic_ns()
        at = self._completed + key
        self._cells[at] = max(self._cells[at], version)

    def overdue_s(self, key: int, version: int, floor: int, now_ns: int) -> float:
        """For how long a version had been outdated at `now_ns`: since the first completion of a later one."""
        later = range(version + 1, floor + 1)[-RING + 1 :]
        times = [self._cells[self._times + key * RING + each % RING] for each in later]
        return (now_ns - min((each for each in times if each), default=now_ns)) / 1e9

    def raise_flag(self, number: int) -> None:
        """Say that a process is done."""
        self._cells[self._flags + number] = 1

    def flag(self, number: int) -> bool:
        """Whether a process is done."""
        return bool(self._cells[self._flags + number])


def _size(keys: int) -> int:
    return _INTEGER * (keys * (2 + RING) + _FLAGS)
