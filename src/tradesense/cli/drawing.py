"""Charts in characters: a curve in braille dots and a calendar with a cell for each day."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from itertools import pairwise
from typing import Final, NamedTuple

from rich.text import Text

_BRAILLE: Final = 0x2800
_DOTS: Final = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
"""The bit of each dot in a cell of 2 columns by 4 rows (Unicode, Braille Patterns)."""

DAYS_IN_A_ROW: Final = 31
_SATURDAY: Final = 5
_STRENGTHS: Final = 3
_STYLES: Final = {1: ("green4", "green3", "bold green1"), -1: ("red3", "red1", "bold bright_red")}


def curve(values: Sequence[float], width: int, height: int) -> list[str]:
    """A line through `values`, equally spaced, in `height` lines of `width` braille cells, the highest value on top."""
    columns, rows = width * 2, height * 4
    levels = _levels(_resampled(values, columns), rows)
    cells = [[0] * width for _ in range(height)]
    for column, (low, high) in enumerate(_strokes(levels)):
        for level in range(low, high + 1):
            row = rows - 1 - level
            cells[row // 4][column // 2] |= _DOTS[column % 2][row % 4]
    return ["".join(chr(_BRAILLE + cell) for cell in line) for line in cells]


def _resampled(values: Sequence[float], count: int) -> list[float]:
    """`count` values along the same way, each the last one reached by then."""
    last = len(values) - 1
    return [values[round(position * last / max(count - 1, 1))] for position in range(count)]


def _levels(values: Sequence[float], rows: int) -> list[int]:
    low, high = min(values), max(values)
    if low == high:
        return [rows // 2] * len(values)
    return [round((value - low) / (high - low) * (rows - 1)) for value in values]


def _strokes(levels: Sequence[int]) -> Iterator[tuple[int, int]]:
    """The dots of each column, from and to, so that neighbours touch."""
    yield levels[0], levels[0]
    for before, level in pairwise(levels):
        if level > before:
            yield min(before + 1, level), level
        else:
            yield level, max(before - 1, level)


class Month(NamedTuple):
    """One row of the calendar: a cell for each day and the month's total."""

    first: date
    cells: Text
    total: Decimal


def calendar(days: Mapping[date, Decimal]) -> Iterator[Month]:
    """One row per month from the first day to the last: `■` a gain, `□` a loss, `·` a weekday without either.

    The colour grows with the amount, compared with the largest of the whole calendar.
    """
    if not days:
        return
    largest = max(abs(amount) for amount in days.values())
    first, last = min(days).replace(day=1), max(days)
    while first <= last:
        following = date(first.year + first.month // 12, first.month % 12 + 1, 1)
        count = (following - first).days
        dates = [first.replace(day=number) for number in range(1, count + 1)]
        cells = Text.assemble(*(_cell(day, days.get(day), largest) for day in dates))
        yield Month(first, cells, sum((days[day] for day in dates if day in days), Decimal(0)))
        first = following


def _cell(day: date, amount: Decimal | None, largest: Decimal) -> tuple[str, str]:
    if not amount:
        return (" " if amount is None and day.weekday() >= _SATURDAY else "·"), "dim"
    sign = 1 if amount > 0 else -1
    strength = min(int(abs(amount) / largest * _STRENGTHS), _STRENGTHS - 1)
    return ("■" if sign > 0 else "□"), _STYLES[sign][strength]
