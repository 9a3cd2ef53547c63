"""Columns of exact decimals in numpy: what Decimal would give, to the last digit, at the speed of integers.

A column is Σ limbs[i] × 10^(9i) ÷ 10^scale, each limb an int64 array. Almost every column has a single limb; only where
a value does not fit into it, or where a sum might not, is the value carried into limbs of nine digits.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal, InvalidOperation
from functools import cached_property
from math import gcd
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from tradesense.domain.money import exact

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_LARGEST: Final = 2**63 - 1
_DIGITS: Final = 9
_BASE: Final = 10**_DIGITS


class ExactColumn:
    """A column of decimals, at most 60 digits each. `limbs` and `scale` are its whole state; both are only read."""

    def __init__(self, limbs: Sequence[Ints], scale: int) -> None:
        self.limbs = tuple(limbs)
        self.scale = scale

    @classmethod
    def of(cls, values: Sequence[Decimal]) -> Self:
        """The column of these values, at the smallest scale that holds them all.

        Raises `decimal.InvalidOperation` for what is not finite, `decimal.Inexact` where 60 digits do not hold the sum.
        """
        with exact():
            lowest = sum(values, Decimal(0)).as_tuple().exponent  # a sum keeps the smallest exponent of its terms
            if isinstance(lowest, str):
                raise InvalidOperation("a column holds finite numbers only")
            scale = max(0, -lowest)
            whole = list(map(int, map(_power(scale).__mul__, values)))
        zeros = _trailing_zeros(gcd(*whole), scale)
        if zeros:
            unit = 10**zeros
            whole = [number // unit for number in whole]
        return cls(_split(whole), scale - zeros)

    @classmethod
    def concatenate(cls, columns: Sequence[Self]) -> Self:
        """The values of all columns, one after the other, at the largest of their scales."""
        scale = max((column.scale for column in columns), default=0)
        if all(len(column.limbs) == 1 for column in columns):
            limb = np.concatenate([_EMPTY, *(column.limbs[0] for column in columns)])
            if all(column.scale == scale for column in columns):
                return cls((limb,), scale)
            factors = [10 ** min(scale - column.scale, _DIGITS * 2) for column in columns]
            factor = np.repeat(np.array(factors, np.int64), [len(column) for column in columns])
            if scale - min(column.scale for column in columns) <= _DIGITS * 2 and _all_fit(limb, factor):
                return cls((limb * factor,), scale)
        return cls(_stack([column.rescaled(scale).limbs for column in columns]), scale)

    def __len__(self) -> int:
        return len(self.limbs[0])

    @cached_property
    def bound(self) -> int:
        """The size of the largest limb."""
        return max((max(int(limb.max()), -int(limb.min())) for limb in self.limbs if len(limb)), default=0)

    def integers(self) -> list[int]:
        """The values × 10^scale."""
        limbs: list[list[int]] = [limb.tolist() for limb in self.limbs]
        whole = limbs[0]
        for place, limb in enumerate(limbs[1:], start=1):
            unit = _BASE**place
            whole = [low + high * unit for low, high in zip(whole, limb, strict=True)]
        return whole

    def decimals(self) -> list[Decimal]:
        """The values."""
        with exact():
            return list(map(_power(-self.scale).__mul__, map(Decimal, self.integers())))

    def floats(self) -> Floats:
        """The values as float64: the nearest where a value × 10^scale is below 2^53."""
        unit = 10.0**self.scale
        if len(self.limbs) == 1:
            return self.limbs[0] / unit
        signs = self.signs()
        sizes = _carried([limb * signs for limb in self.limbs])
        total = np.zeros(len(self))
        for limb in reversed(sizes):
            total = total * _BASE + limb
        return total * signs / unit

    def signs(self) -> Ints:
        """1, 0 or -1 for each value."""
        if len(self.limbs) == 1:
            return np.sign(self.limbs[0])
        *lower, top = _carried(self.limbs)
        rest = np.logical_or.reduce(lower)
        return np.where(top == 0, rest, np.sign(top))

    def sum(self) -> Decimal:
        """The sum of all values."""
        column = self._summable()
        total = sum(int(limb.sum()) * _BASE**place for place, limb in enumerate(column.limbs))
        return self._decimal(total)

    def sum_by(self, groups: npt.NDArray[np.integer[Any]], count: int) -> Self:
        """The sum of the values of each group; `groups` holds for each value a number from 0 to `count` - 1."""
        sums = []
        for limb in self._summable().limbs:
            total = np.zeros(count, np.int64)
            np.add.at(total, groups, limb)
            sums.append(total)
        return type(self)(sums, self.scale)

    def largest(self) -> Decimal:
        """The largest value; raises `ValueError` when there is none."""
        return self._decimal(int(self.limbs[0].max()) if len(self.limbs) == 1 else max(self.integers()))

    def smallest(self) -> Decimal:
        """The smallest value; raises `ValueError` when there is none."""
        return self._decimal(int(self.limbs[0].min()) if len(self.limbs) == 1 else min(self.integers()))

    def take(self, which: npt.NDArray[np.integer[Any]] | Bools | slice) -> Self:
        """The values at these positions, where this mask is true, or of this slice."""
        return type(self)([limb[which] for limb in self.limbs], self.scale)

    def __sub__(self, other: Self) -> Self:
        scale = max(self.scale, other.scale)
        left, right = self.rescaled(scale), other.rescaled(scale)
        if left.bound + right.bound > _LARGEST:
            left, right = left._spread(), right._spread()
        pairs = _padded([left.limbs, right.limbs])
        return type(self)([one - two for one, two in zip(*pairs, strict=True)], scale)

    def rescaled(self, scale: int) -> Self:
        """The same values at a larger scale."""
        more = scale - self.scale
        if more == 0:
            return self
        if max(1, self.bound) * 10**more <= _LARGEST:
            return type(self)([limb * 10**more for limb in self.limbs], scale)
        shift, factor = more // _DIGITS, 10 ** (more % _DIGITS)
        zeros = np.zeros(len(self), np.int64)
        return type(self)([*[zeros] * shift, *(limb * factor for limb in self._spread().limbs)], scale)

    def _summable(self) -> Self:
        """The same values in limbs whose sums fit."""
        return self if self.bound * max(1, len(self)) <= _LARGEST else self._spread()

    def _spread(self) -> Self:
        return type(self)(_carried(self.limbs), self.scale)

    def _decimal(self, whole: int) -> Decimal:
        with exact():
            return Decimal(whole) * _power(-self.scale)


_EMPTY: Final = np.zeros(0, np.int64)
_EMPTY.setflags(write=False)


def _power(exponent: int) -> Decimal:
    return Decimal((0, (1,), exponent))


def _trailing_zeros(number: int, limit: int) -> int:
    if not number:
        return limit
    zeros = 0
    while zeros < limit and number % 10 == 0:
        number, zeros = number // 10, zeros + 1
    return zeros


def _split(whole: list[int]) -> list[Ints]:
    """Integers of any size as limbs: one where they fit, else the lower ones from 0 to `_BASE` - 1."""
    limbs = []
    while max(map(abs, whole), default=0) > _LARGEST:
        limbs.append(np.array([number % _BASE for number in whole], np.int64))
        whole = [number // _BASE for number in whole]
    return [*limbs, np.array(whole, np.int64)]


def _carried(limbs: Sequence[Ints]) -> list[Ints]:
    """The same values with one limb more, the lower ones from 0 to `_BASE` - 1 and the last one small.

    The last limb alone is negative where the value is.
    """
    out = []
    carry = np.zeros_like(limbs[0])
    for limb in limbs:
        quotient, rest = np.divmod(limb, _BASE)
        more, low = np.divmod(rest + carry, _BASE)
        out.append(low)
        carry = quotient + more
    return [*out, carry]


def _padded(columns: Iterable[Sequence[Ints]]) -> list[list[Ints]]:
    """The limbs of each column, filled up with zeros to the same number of limbs."""
    columns = list(columns)
    count = max(map(len, columns))
    return [[*limbs, *[np.zeros_like(limbs[0])] * (count - len(limbs))] for limbs in columns]


def _stack(columns: Sequence[Sequence[Ints]]) -> list[Ints]:
    return [np.concatenate(limbs) for limbs in zip(*_padded(columns), strict=True)]


def _all_fit(limb: Ints, factor: Ints) -> bool:
    """Whether no product overflows."""
    return bool(np.all(np.abs(limb) <= _LARGEST // factor))
