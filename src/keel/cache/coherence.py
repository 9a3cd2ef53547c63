"""What makes copies in memory outdated: a cell per tag and prefix, whose mark moves with every invalidation heard.

An entry remembers the cells it depends upon and the sum of their marks from *before* it was read or computed. Marks
only grow, so it counts as long as the sum is the same: an invalidation that overtakes a reply, or comes while a value
is computed, has moved a mark, and what was made before it is never used (KEEL.md, "coherent memory").
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Final, NamedTuple
from weakref import WeakValueDictionary

from keel.cache.contract import Kind, Names
from keel.cache.keys import RECENT, safe


class Cell:
    """The marks of one tag, prefix or key: how often it was invalidated, hard and softly. They only grow."""

    __slots__ = ("__weakref__", "mark", "soft")

    def __init__(self) -> None:
        self.mark = 0
        self.soft = 0


class Seen(NamedTuple):
    """Cells, and the sums of their marks when they were looked at."""

    cells: tuple[Cell, ...]
    total: int
    soft: int

    @property
    def unmoved(self) -> bool:
        """Whether nothing was heard about any of them since."""
        return marks(self.cells) == self.total and soft_marks(self.cells) == self.soft


def marks(cells: tuple[Cell, ...]) -> int:
    """The sum of the hard marks."""
    total = 0
    for cell in cells:
        total += cell.mark
    return total


def soft_marks(cells: tuple[Cell, ...]) -> int:
    """The sum of the soft marks."""
    total = 0
    for cell in cells:
        total += cell.soft
    return total


class Watched:
    """The cells of an entry, and what they were when they were last looked at."""

    __slots__ = ("cells", "seen", "stamp")

    def __init__(self, cells: tuple[Cell, ...]) -> None:
        self.cells = cells
        self.stamp = -1
        self.seen: Seen


class Coherence:
    """All cells of one cache. `stamp` moves with any of them, so that most entries are checked by one comparison."""

    def __init__(self) -> None:
        self.stamp = 0
        self._root: Final = Cell()
        self._cells = WeakValueDictionary[tuple[Kind, str], Cell]()
        self._of: Final = lru_cache(maxsize=RECENT)(self._all)

    def observe(self, names: Names) -> Seen:
        """The cells of an entry as they are now; to be taken before anything is read. The first one is the key's."""
        return self.seen(self._of(names))

    def watched(self, names: Names) -> Watched:
        """What `seen` takes, to be kept by who looks at the entry again and again."""
        return self._of(names)

    def seen(self, watched: Watched) -> Seen:
        """As `observe`."""
        if watched.stamp != self.stamp:
            watched.stamp, watched.seen = self.stamp, _seen(watched.cells)
        return watched.seen

    def add(self, seen: Seen, tags: Iterable[str]) -> Seen:
        """`seen` with the cells of more tags, as they are now."""
        more = _seen(tuple(self._cell(Kind.TAG, each) for each in tags))
        return Seen(seen.cells + more.cells, seen.total + more.total, seen.soft + more.soft)

    def hear(self, kind: Kind, safe_name: str, *, soft: bool = False) -> None:
        """An invalidation was made, here or elsewhere."""
        self.stamp += 1
        cell = self._root if kind is Kind.ROOT else self._cells.get((kind, safe_name))
        if cell is None:
            return
        if soft:
            cell.soft += 1
        else:
            cell.mark += 1

    def hear_all(self) -> None:
        """Nothing that was seen until now counts any more."""
        self.hear(Kind.ROOT, "")

    def _all(self, names: Names) -> Watched:
        cells = (
            self._cell(Kind.KEY, names.key),
            self._root,
            *(self._cell(Kind.PREFIX, each) for each in names.prefixes),
            *(self._cell(Kind.TAG, each) for each in names.tags),
        )
        return Watched(cells)

    def _cell(self, kind: Kind, name: str) -> Cell:
        at = (kind, safe(name))
        cell = self._cells.get(at)
        if cell is None:
            cell = self._cells[at] = Cell()
        return cell


def _seen(cells: tuple[Cell, ...]) -> Seen:
    return Seen(cells, marks(cells), soft_marks(cells))
