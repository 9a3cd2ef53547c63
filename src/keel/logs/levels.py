"""From which level on a logger's lines are written; it can change while the program runs, for a while."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from time import monotonic
from typing import Final

from keel.logs.contract import LEVELS

ROOT: Final = "root"
"""The name of the level that holds where no other does."""
MOST_LOGGERS: Final = 1000
"""Whose level is remembered; and most that can be set apart, a tenth of them."""


@dataclass(frozen=True, slots=True)
class Override:
    """A level that was set while the program runs; `until` is of `time.monotonic`."""

    level: int
    until: float | None = None


class Levels:
    """The level of each logger: its own, else that of the nearest above it (`a.b` of `a.b.c`), else the root's."""

    def __init__(self, level: str) -> None:
        self._given = LEVELS[level]
        self._overrides: dict[str, Override] = {}
        self._effective: dict[str, int] = {}
        self._next: float | None = None
        self.changed: list[Callable[[], None]] = []
        """Called when anything was set, or has expired."""

    @property
    def expires(self) -> bool:
        """Whether anything was set for a while."""
        return self._next is not None

    def of(self, name: str) -> int:
        """The level that holds for a logger now."""
        if self._next is not None and monotonic() >= self._next:
            self._expire()
        level = self._effective.get(name)
        if level is None:
            level = self._find(name)
            if len(self._effective) < MOST_LOGGERS:
                self._effective[name] = level
        return level

    def set(self, name: str, level: str, lasting: timedelta | None = None) -> None:
        """Let `level` hold for a logger and those below it, for so long; `root` is all of them.

        Raises ValueError for what is no level, and where too many were set apart.
        """
        if level not in LEVELS:
            raise ValueError(f"{level} is no level: {', '.join(LEVELS)}")
        if name not in self._overrides and len(self._overrides) >= MOST_LOGGERS // 10:
            raise ValueError("too many loggers have a level of their own")
        until = None if lasting is None else monotonic() + lasting.total_seconds()
        self._overrides[name] = Override(LEVELS[level], until)
        self._tell()

    def reset(self, name: str) -> None:
        """Let the level hold again that the program was started with."""
        self._overrides.pop(name, None)
        self._tell()

    def overrides(self) -> Mapping[str, Override]:
        """What was set and has not expired, by logger."""
        self.of(ROOT)
        return dict(self._overrides)

    def _find(self, name: str) -> int:
        while name:
            found = self._overrides.get(name)
            if found is not None:
                return found.level
            name = name.rpartition(".")[0]
        root = self._overrides.get(ROOT)
        return self._given if root is None else root.level

    def _expire(self) -> None:
        now = monotonic()
        self._overrides = {
            name: each for name, each in self._overrides.items() if each.until is None or each.until > now
        }
        self._tell()

    def _tell(self) -> None:
        self._effective = {}
        self._next = min((each.until for each in self._overrides.values() if each.until is not None), default=None)
        for changed in self.changed:
            changed()


@lru_cache(maxsize=64)
def level_name(level: int) -> str:
    """The nearest name of a number."""
    return logging.getLevelName(max(10, min(50, level // 10 * 10))).lower()
