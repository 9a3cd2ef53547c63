"""Trades that a later row of the file takes back: both rows are ignored."""

from collections import defaultdict
from collections.abc import Hashable, Iterable
from typing import NamedTuple


class Entry(NamedTuple):
    """A row that trades or takes a trade back; rows of the same key cancel each other, one by one."""

    line: int
    key: Hashable
    cancels: bool


class Cancellations:
    """The lines of a file that cancel others or are cancelled."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        trades: defaultdict[Hashable, list[int]] = defaultdict(list)
        cancels: defaultdict[Hashable, list[int]] = defaultdict(list)
        for entry in entries:
            (cancels if entry.cancels else trades)[entry.key].append(entry.line)
        self._lines: set[int] = set()
        for key, lines in cancels.items():
            self._lines.update(lines)
            self._lines.update(trades[key][: len(lines)])

    def __contains__(self, line: int) -> bool:
        return line in self._lines
