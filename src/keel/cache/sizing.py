"""How many bytes of this process's memory a value holds on to."""

import gc
import sys
from collections import deque
from decimal import Decimal
from enum import Enum
from random import Random
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Final, cast

import msgspec

PLAIN: Final = frozenset({str, bytes, int, float, bool, type(None), complex, Decimal})
_EXACT: Final = frozenset({list, tuple, set, frozenset, deque})
_OTHERS: Final = (type, Enum, ModuleType, FunctionType, BuiltinFunctionType, MethodType)  # they live without the value
_BUDGET: Final = 512  # children looked at in the widest container; within 10 % for any but the oddest mixtures
_FEWEST: Final = 4  # children looked at in any container
_MOST_OPENED: Final = 50_000  # containers; only what is nested without end holds more of them than this
_ONCE: Final = 4  # references to a leaf that one container holds: its own, the list of children, the loop, the call
_FAMOUS: Final = 16  # a leaf with so many references from outside belongs to the program, not to the value
_SMALL: Final = 256
_MANAGED_DICT: Final = 1 << 4  # Py_TPFLAGS_MANAGED_DICT: two pointers before the object and a block of attributes
_Part = tuple[list[object], float, float]


def size_of(value: object) -> int:
    """Bytes that would be free if the value went away, give or take a few percent.

    What it holds is followed to the end: containers, dataclasses, slots, Structs, Pydantic models, objects of any
    class, numpy arrays with the memory beneath them. What is held several times counts once. Classes, functions,
    modules, enum members and small values which many others hold (`None`, the names of fields) count nothing.
    Work is bounded: of a wide value about five hundred parts are measured and the rest are taken to be like them.
    """
    return _allocated(sys.getsizeof(value)) if type(value) in PLAIN else _Measure().measure([value])


def _allocated(size: int) -> int:
    """What the allocator sets aside: pymalloc gives multiples of 16, malloc adds a word to its own."""
    return (size + 15) & ~15 if size <= 512 else (size + 23) & ~15  # noqa: PLR2004 - pymalloc's largest block


class _Measure:
    """One walk over values."""

    def __init__(self) -> None:
        self._opened: dict[int, object] = {}
        self._held: dict[int, _Held] = {}
        self._todo: list[_Part] = []
        self._random: Random | None = None

    def measure(self, values: list[object]) -> int:
        """All of it, the leaves shared with others last, when it is known how often they are held from within."""
        self._todo.append((values, _BUDGET, 1.0))
        size = 0.0
        while self._todo and len(self._opened) < _MOST_OPENED:
            size += self._part(*self._todo.pop())
        self._todo.clear()
        while self._held:
            _, held = self._held.popitem()
            size += held.size_unless_famous()
        return round(size)

    def _part(self, children: list[object], budget: float, weight: float) -> float:
        """Bytes of what a container holds, each standing for `weight` like it; what they hold in turn is to be done."""
        size = 0.0
        for child in children:
            if type(child) not in PLAIN:
                size += self._open(child, budget, weight)
            elif sys.getrefcount(child) <= _ONCE:
                size += weight * _allocated(sys.getsizeof(child))
            elif (held := self._held.get(id(child))) is None:
                self._held[id(child)] = _Held(child, weight)
            else:
                held.times += 1
        return size

    def _open(self, value: object, budget: float, weight: float) -> float:
        """Bytes of a container alone. Of what it holds, at most `budget` are to be looked at."""
        if id(value) in self._opened or isinstance(value, _OTHERS):
            return 0
        self._opened[id(value)] = value
        children, own = _opened(value)
        if children:
            count, total = min(len(children), max(_FEWEST, int(budget))), len(children)
            if count < total:
                children = self._sample(children, count)
            self._todo.append((children, budget / count, weight * total / count))
        return weight * own

    def _sample(self, children: list[object], count: int) -> list[object]:
        if self._random is None:
            self._random = Random(0)
        return self._random.sample(children, count)


class _Held:
    """A leaf to which there are several references: how many of them come from within."""

    __slots__ = ("leaf", "times", "weight")

    def __init__(self, leaf: object, weight: float) -> None:
        self.leaf = leaf
        self.times = 1
        self.weight = weight

    def size_unless_famous(self) -> float:
        """Nothing for a small leaf that many others hold; what was met once in a sample stands for more like it."""
        size = _allocated(sys.getsizeof(self.leaf))
        weight = self.weight if self.times == 1 else 1.0
        if size <= _SMALL and sys.getrefcount(self.leaf) - self.times * weight > _FAMOUS:
            return 0
        return size * weight


def _opened(value: object) -> tuple[list[object], int]:
    """What the value holds, and its own bytes."""
    own = _allocated(sys.getsizeof(value, 0))
    if isinstance(value, dict):
        return [*dict.values(value), *dict.keys(value)], own
    if isinstance(value, list | tuple | set | frozenset | deque):
        return list(value), own if type(value) in _EXACT else own + 16  # an heir has room for an end mark
    if isinstance(value, msgspec.Struct):
        return [getattr(value, name) for name in value.__struct_fields__], own
    if type(value).__module__ == "numpy" and hasattr(value, "nbytes"):
        return _opened_array(value, own)
    children = gc.get_referents(value)
    if type(value).__flags__ & _MANAGED_DICT and not any(type(child) is dict for child in children):
        own += 16 + _allocated(8 * len(children))
    return children, own


def _opened_array(array: object, own: int) -> tuple[list[object], int]:
    """A view keeps all of the array beneath it; an array of objects holds them."""
    base = getattr(array, "base", None)
    own = max(own, cast("int", array.nbytes)) if base is None else own  # type: ignore[attr-defined]
    held = list(array.flat) if getattr(array, "dtype", None) == "O" else []  # type: ignore[attr-defined]
    return held if base is None else [*held, base], own
