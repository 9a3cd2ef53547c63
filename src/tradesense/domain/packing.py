"""The blob of a segment: the columns of its trades and of what they realised, each at its narrowest width."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from struct import Struct
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from tradesense.domain.columns import ExactColumn, Floats, Ints
from tradesense.domain.trades import Direction, Trade

OPEN: Final = 2**63 - 1
"""The closing time of a trade that is open."""

Ids = npt.NDArray[np.void]
Array = npt.NDArray[Any]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_HEAD: Final = Struct("<2sBBII")
_MARK: Final = b"TS"
_VERSION: Final = 1
_WIDTHS: Final = ("<i1", "<i2", "<i4", "<i8")
_TYPES: Final = tuple(map(np.dtype, (*_WIDTHS, "<f8", "V16")))
"""The types of a limb in a blob, which names them by their place here."""
_FLOAT: Final = 4
_ID: Final = 5


class UnreadableSegment(ValueError):
    """A blob that this version did not write; its segment must be rebuilt from its executions."""


class Columns(NamedTuple):
    """The columns of a run of trades; `realised_trade` counts the trades of the run from 0.

    Times are µs since 1970 UTC. `direction` is 1 for long and -1 for short, `quantity` the most held at once, `price`
    the average entry price.
    """

    ids: Ids
    opened_at: Ints
    closed_at: Ints
    direction: Ints
    quantity: Floats
    price: Floats
    executions: Ints
    gross: ExactColumn
    costs: ExactColumn
    open_costs: ExactColumn
    realised_at: Ints
    realised_trade: Ints
    realised_gross: ExactColumn
    realised_costs: ExactColumn


_MONEY: Final = None
_IDS, _INTS, _FLOATS = np.dtype("V16"), np.dtype(np.int64), np.dtype(np.float64)
_HOLDS: Final = (_IDS, _INTS, _INTS, _INTS, _FLOATS, _FLOATS, _INTS, *[_MONEY] * 3, _INTS, _INTS, *[_MONEY] * 2)
"""What each of `Columns` holds."""
_OF_TRADES: Final = Columns._fields.index("realised_at")


def pack(trades: Sequence[Trade]) -> bytes:
    """The blob of these trades, which are one book's.

    Raises what `ExactColumn.of` raises for money that is not finite or has too many digits.
    """
    columns = _columns(trades)
    kinds = bytearray()
    data = []
    for column in columns:
        limbs = column.limbs if isinstance(column, ExactColumn) else (column,)
        kinds += bytes((len(limbs), column.scale if isinstance(column, ExactColumn) else 0))
        for limb in limbs:
            kind = _kind(limb)
            kinds.append(kind)
            data.append(limb.astype(_TYPES[kind]).tobytes())
    head = _HEAD.pack(_MARK, _VERSION, len(kinds), len(trades), len(columns.realised_at))
    return b"".join((head, kinds, *data))


def unpack(blobs: Iterable[bytes]) -> tuple[Columns, list[int]]:
    """The columns of all blobs, one after the other, and the number of trades in each.

    Raises `UnreadableSegment`.
    """
    layouts: dict[bytes, list[_Column]] = {}
    parts: list[list[Any]] = [[] for _ in _HOLDS]
    counts, realised = [], []
    for blob in blobs:
        mark, version, described, trades, realisations = _head(blob)
        if (mark, version) != (_MARK, _VERSION):
            raise UnreadableSegment(f"the blob is marked {mark!r}, version {version}")
        start = _HEAD.size + described
        description = blob[_HEAD.size : start]
        layout = layouts.get(description) or layouts.setdefault(description, _layout(description))
        _cut(blob, start, layout, (trades, realisations), parts)
        counts.append(trades)
        realised.append(realisations)
    columns = Columns(*map(_joined, parts, _HOLDS))
    offsets = np.cumsum([0, *counts])[:-1]
    return columns._replace(realised_trade=columns.realised_trade + np.repeat(offsets, realised)), counts


class _Column(NamedTuple):
    """How a column lies in a blob: the types of its limbs, and its scale where it is money."""

    limbs: tuple[np.dtype[Any], ...]
    scale: int
    money: bool
    of_realisations: bool


def _columns(trades: Sequence[Trade]) -> Columns:
    realised = [realisation for trade in trades for realisation in trade.realisations]
    entries = _floats(trade.entry_value for trade in trades) / _floats(trade.entry_quantity for trade in trades)
    return Columns(
        ids=np.frombuffer(b"".join([trade.id.bytes for trade in trades]), "V16"),
        opened_at=_microseconds([trade.opened_at for trade in trades]),
        closed_at=_closing(trades),
        direction=np.array([1 if trade.direction is Direction.LONG else -1 for trade in trades], np.int64),
        quantity=_floats(trade.max_quantity for trade in trades),
        price=entries,
        executions=np.array([trade.executions for trade in trades], np.int64),
        gross=ExactColumn.of([trade.gross for trade in trades]),
        costs=ExactColumn.of([trade.costs for trade in trades]),
        open_costs=ExactColumn.of([trade.open_costs for trade in trades]),
        realised_at=_microseconds([realisation.at for realisation in realised]),
        realised_trade=np.repeat(np.arange(len(trades)), [len(trade.realisations) for trade in trades]),
        realised_gross=ExactColumn.of([realisation.gross for realisation in realised]),
        realised_costs=ExactColumn.of([realisation.costs for realisation in realised]),
    )


def _floats(values: Iterable[Any]) -> Floats:
    return np.fromiter(map(float, values), np.float64)


def _microseconds(times: Iterable[datetime]) -> Ints:
    since = [at - _EPOCH for at in times]
    return np.array([(gap.days * 86_400 + gap.seconds) * 1_000_000 + gap.microseconds for gap in since], np.int64)


def _closing(trades: Sequence[Trade]) -> Ints:
    closed = _microseconds([trade.closed_at or _EPOCH for trade in trades])
    closed[[trade.closed_at is None for trade in trades]] = OPEN
    return closed


def _kind(limb: Array) -> int:
    """The place in `_TYPES` of the narrowest type that holds the values."""
    if limb.dtype.kind == "V":
        return _ID
    if limb.dtype.kind == "f":
        return _FLOAT
    size = max(int(limb.max()), ~int(limb.min())) if len(limb) else 0
    return (size >= 1 << 7) + (size >= 1 << 15) + (size >= 1 << 31)


def _head(blob: bytes) -> tuple[bytes, int, int, int, int]:
    if len(blob) < _HEAD.size:
        raise UnreadableSegment(f"the blob has {len(blob)} bytes")
    head: tuple[bytes, int, int, int, int] = _HEAD.unpack_from(blob)
    return head


def _layout(description: bytes) -> list[_Column]:
    layout = []
    place = 0
    for number, holds in enumerate(_HOLDS):
        limbs, scale = description[place], description[place + 1]
        types = tuple(_TYPES[code] for code in description[place + 2 : place + 2 + limbs])
        layout.append(_Column(types, scale, holds is _MONEY, number >= _OF_TRADES))
        place += 2 + limbs
    return layout


def _cut(blob: bytes, start: int, layout: list[_Column], counts: tuple[int, int], parts: list[list[Any]]) -> None:
    """Append each column of a blob to its part."""
    for column, part in zip(layout, parts, strict=True):
        count = counts[column.of_realisations]
        limbs = []
        for kind in column.limbs:
            limbs.append(np.frombuffer(blob, kind, count, start))
            start += count * kind.itemsize
        if column.money:
            part.append(ExactColumn([limb.astype(np.int64) for limb in limbs], column.scale))
        else:
            part.append(limbs[0])


def _joined(parts: list[Any], dtype: np.dtype[Any] | None) -> Any:  # noqa: ANN401 - one of the types of `Columns`
    if dtype is _MONEY:
        return ExactColumn.concatenate(parts)
    return np.concatenate(parts, dtype=dtype) if parts else np.zeros(0, dtype)
