"""Executions: what a broker did, one value per fill or adjusting event, in the order in which it counts."""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from struct import Struct
from typing import Final, NamedTuple, NewType
from uuid import UUID

ExecutionId = NewType("ExecutionId", UUID)


class Side(StrEnum):
    """The direction of a fill."""

    BUY = "buy"
    SELL = "sell"


class ExecutionKind(StrEnum):
    """Why a quantity changed hands.

    `EXPIRY` closes at 0, whatever its side and price say. `ASSIGNMENT` and `EXERCISE` close the option so, too (the
    underlying's leg is a `TRADE`).
    `TRANSFER` against the open position takes it out at its own cost, realising no gross. Any other brings a position
    in at a given cost, its price; but a sale at price 0 never opens a short: it withdraws what nobody saw come in.
    `SPLIT` makes `quantity` of every `price` open units and leaves their value alone; its side means nothing. 1 for 15
    is quantity 1, price 15 (0 counts as 1); the holding before and after does as well: 33 for 100.
    """

    TRADE = "trade"
    EXPIRY = "expiry"
    ASSIGNMENT = "assignment"
    EXERCISE = "exercise"
    TRANSFER = "transfer"
    SPLIT = "split"


class Execution(NamedTuple):
    """One fill of one book (account and instrument), as the matcher takes it.

    `quantity > 0`, `price >= 0`; `costs` are commission and fees together, positive when they cost. `order` sorts
    the book: time, sequence and identity as one byte string (see `order_key`).
    """

    id: ExecutionId
    order: bytes
    at: datetime
    side: Side
    quantity: Decimal
    price: Decimal
    costs: Decimal
    kind: ExecutionKind = ExecutionKind.TRADE


_EPOCH_OFFSET: Final = 1 << 63
_KEY: Final = Struct(">QQ16s")


def order_key(at_us: int, sequence: int, identity: bytes) -> bytes:
    """The 32 bytes that sort a book: 8 of time (µs since 1970, UTC), 8 of sequence, 16 of identity."""
    return _KEY.pack(at_us + _EPOCH_OFFSET, sequence + _EPOCH_OFFSET, identity)
