"""What a file gave, on its way to a book: packed in blocks, in memory while small, in a nameless file beyond."""

import tempfile
from collections.abc import Iterator
from typing import Any, Final, Generic, TypeAlias, TypeVar, get_type_hints

import msgspec

from tradesense.brokers.contract import CashMovement, Fill
from tradesense.domain.instruments import Instrument

_BLOCK: Final = 512
_MEMORY_BYTES: Final = 4 << 20
_LENGTH_BYTES: Final = 4

T = TypeVar("T")


class _Blocks(Generic[T]):
    """A list of records that is appended to, and then read again and again."""

    def __init__(self, record: object) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=_MEMORY_BYTES)  # noqa: SIM115  (closed by close)
        self._pending: list[Any] = []
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(list.__class_getitem__(record))
        self._end = 0
        self.count = 0

    def append(self, record: tuple[Any, ...]) -> None:
        self._pending.append(record)
        self.count += 1
        if len(self._pending) == _BLOCK:
            self._flush()

    def _flush(self) -> None:
        block = self._encoder.encode(self._pending)
        self._file.seek(self._end)
        self._file.write(len(block).to_bytes(_LENGTH_BYTES, "big"))
        self._file.write(block)
        self._end = self._file.tell()
        self._pending = []

    def __iter__(self) -> Iterator[T]:
        if self._pending:
            self._flush()
        position = 0
        while position < self._end:
            self._file.seek(position)
            size = int.from_bytes(self._file.read(_LENGTH_BYTES), "big")
            block = self._file.read(size)
            position += _LENGTH_BYTES + size
            yield from self._decoder.decode(block)

    def close(self) -> None:
        self._file.close()


SpooledFill: TypeAlias = tuple[int, int, bytes, Fill]
"""The line, the place among the row's fills, the fill's digest before the ordinal, and the fill."""


class FillSpool:
    """Fills in file order. Instruments are kept once, and come back as the same objects."""

    def __init__(self) -> None:
        hints = get_type_hints(Fill)
        packed = (int, int, bytes, int, *(hints[name] for name in Fill._fields[1:]))
        self._blocks: _Blocks[tuple[Any, ...]] = _Blocks(tuple.__class_getitem__(packed))
        self._indices: dict[Instrument, int] = {}
        self._instruments: list[Instrument] = []
        self._recent: dict[int, int] = {}

    def __len__(self) -> int:
        return self._blocks.count

    def append(self, line: int, part: int, digest: bytes, fill: Fill) -> None:
        """Add a fill."""
        index = self._recent.get(id(fill.instrument))
        if index is None:
            index = self._index(fill.instrument)
        self._blocks.append((line, part, digest, index, *fill[1:]))

    def _index(self, instrument: Instrument) -> int:
        index = self._indices.get(instrument)
        if index is None:
            index = self._indices[instrument] = len(self._instruments)
            self._instruments.append(instrument)
            self._recent[id(instrument)] = index
        return index

    def __iter__(self) -> Iterator[SpooledFill]:
        instruments = self._instruments
        for line, part, digest, index, *rest in self._blocks:
            # A third of the time that calling the class takes, which has a default for each of them to look at.
            yield line, part, digest, tuple.__new__(Fill, (instruments[index], *rest))

    def close(self) -> None:
        """Let the memory or the file go."""
        self._blocks.close()


class CashSpool:
    """Cash movements in file order, with their lines."""

    def __init__(self) -> None:
        self._blocks: _Blocks[tuple[int, bytes, CashMovement]] = _Blocks(tuple[int, bytes, CashMovement])

    def __len__(self) -> int:
        return self._blocks.count

    def append(self, line: int, digest: bytes, movement: CashMovement) -> None:
        """Add a movement."""
        self._blocks.append((line, digest, movement))

    def __iter__(self) -> Iterator[tuple[int, bytes, CashMovement]]:
        return iter(self._blocks)

    def close(self) -> None:
        """Let the memory or the file go."""
        self._blocks.close()
